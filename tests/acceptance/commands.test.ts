/** Commands over HTTP: what a teacher would type, and what comes back. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, noise, refusal, type Answer, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

interface Ended {
  exit: number;
  stdout: string;
  stderr: string;
  stdoutBytes?: string;
}

let server: Server;
beforeAll(async () => void (server = await startServer()));
afterAll(() => server.end());

const sh = (session: Session, script: string): Promise<Ended> => session.json<Ended>("POST", "/commands", { json: { script } });
const run = (session: Session, ...argv: string[]): Promise<Ended> => session.json<Ended>("POST", "/commands", { json: { argv } });

test("the first lab by its scripts: insmod, lsmod, rmmod say what kmod says", async () => {
  const session = await newSession(server.url);
  expect(await run(session, "insmod", "master_device.ko")).toEqual({
    exit: 1, stdout: "", stderr: "insmod: ERROR: could not insert module master_device.ko: Unknown symbol in module\n",
  });
  for (const name of ["ksocket", "master_device", "slave_device"]) expect(await run(session, "insmod", `${name}.ko`)).toEqual({ exit: 0, stdout: "", stderr: "" });
  expect((await run(session, "lsmod")).stdout).toMatch(/^Module {18}Size {2}Used by\nslave_device +\d+ {2}0\nmaster_device +\d+ {2}0\nksocket +\d+ {2}2 slave_device,master_device\n$/);
  expect(await sh(session, "ls -l /dev/master_device | cut -c1-10")).toMatchObject({ stdout: "crw-------\n" });
  // The teacher's clean.sh removes in the wrong order.
  expect(await sh(session, "rmmod ksocket; rmmod master_device slave_device; lsmod | wc -l; rmmod ksocket; dmesg | tail -1 | cut -d' ' -f2- | grep -o 'ksocket exit'")).toEqual({
    exit: 0, stdout: "2\nksocket exit\n", stderr: "rmmod: ERROR: Module ksocket is in use by: slave_device master_device\n",
  });
});

test("master and slave are programs: both print their time, the file arrives whole", async () => {
  const session = await newSession(server.url);
  const bytes = noise(12_345, 7);
  await session.put("/tmp/in", bytes);
  await sh(session, "insmod ksocket.ko && insmod master_device.ko && insmod slave_device.ko");
  for (const [master, slave] of [["fcntl", "mmap"], ["mmap", "fcntl"]]) {
    const { exit, stdout } = await sh(session, `master 1 /tmp/in ${master} 2>/dev/null & slave 1 /tmp/out ${slave} 127.0.0.1 2>/dev/null; wait`);
    expect(exit).toBe(0);
    expect(stdout.match(/^Transmission time: \d+\.\d{6} ms, File size: 12345 bytes$/gm)).toHaveLength(2);
    expect(bytes.equals(await session.cat("/tmp/out"))).toBe(true);
  }
  expect((await sh(session, "rmmod master_device; slave 1 /tmp/x fcntl 127.0.0.1")).stderr).toMatch(/ioclt create slave socket error\n: Connection refused\n$/);
  expect((await run(session, "master", "1")).exit).toBe(1);
});

/** Sizes of the course's ten small input files, bytes, and of its large one. */
const SIZES = [32, 859, 1343, 1663, 2042, 3065, 2808, 4056, 3659, 4619];
const LARGE = 12_022_885;

for (const [master, slave] of [["fcntl", "fcntl"], ["fcntl", "mmap"], ["mmap", "fcntl"], ["mmap", "mmap"]]) {
  test(`the course's files by the programs, ${master} to ${slave}, whoever comes first`, async () => {
    const session = await newSession(server.url, { clock: "virtual", ramMiB: 128 });
    const files = SIZES.map((size, at) => noise(size, at));
    for (const [at, bytes] of files.entries()) await session.put(`/tmp/in${at}`, bytes);
    await sh(session, "insmod ksocket.ko; insmod master_device.ko; insmod slave_device.ko");
    const names = (kind: string): string => files.map((_bytes, at) => `/tmp/${kind}${at}`).join(" ");
    const sender = `master ${files.length} ${names("in")} ${master} 2>/dev/null`;
    const receiver = `slave ${files.length} ${names("out")} ${slave} 127.0.0.1 2>/dev/null`;
    const total = SIZES.reduce((sum, size) => sum + size, 0);
    for (const [first, second] of [[sender, receiver], [receiver, sender]]) {
      const { status, text } = await session.ask("POST", "/commands", { json: { script: first }, wait: 0 });
      expect(status).toBe(202);
      const done = await sh(session, second!);
      const other = await session.json<Ended>("GET", `/calls/${(JSON.parse(text) as Answer).callId}`, { wait: 30 });
      for (const { exit, stdout } of [done, other]) {
        expect(exit).toBe(0);
        expect(stdout).toMatch(new RegExp(`^Transmission time: \\d+\\.\\d{6} ms, File size: ${total} bytes\\n$`));
      }
      for (const [at, bytes] of files.entries()) expect(bytes.equals(await session.cat(`/tmp/out${at}`)), `file ${at}`).toBe(true);
      await sh(session, "rm /tmp/out*");
    }
    if (master !== slave) return;
    const large = noise(LARGE, 99);
    await session.put("/tmp/large", large);
    await sh(session, `master 1 /tmp/large ${master} 2>/dev/null & slave 1 /tmp/copy ${slave} 127.0.0.1 2>/dev/null; wait`);
    expect(large.equals(await session.cat("/tmp/copy"))).toBe(true);
  });
}

test("what the programs print on stderr, and what the log says of a mapping", async () => {
  const session = await newSession(server.url);
  await session.put("/tmp/in", noise(5000, 3));
  await sh(session, "insmod ksocket.ko; insmod master_device.ko; insmod slave_device.ko");
  const { stderr } = await sh(session, "slave 1 /tmp/out mmap 127.0.0.1 2>/dev/null >/dev/null & master 1 /tmp/in mmap; wait");
  expect(stderr).toBe("file name : /tmp/in\nioctl success\nmethod : mmap\nfile num : 1\nnew file /tmp/in size 5000 bytes\nwrite 4096 bytes\nwrite 904 bytes\n");
  const { stdout } = await sh(session, "dmesg | grep -o '\\[[a-z]*\\] page descriptor: [0-9A-F]*$'");
  expect(stdout.match(/\[master\] page descriptor: 8000000[0-9A-F]{8}7$/gm)).toHaveLength(1);
  expect(stdout.match(/\[slave\] page descriptor: 8000000[0-9A-F]{8}5$/gm)).toHaveLength(1);
});

test("the programs' refusals: no module, no right, no master, in each build's own words", async () => {
  for (const [variant, message] of [["seed", "Operation not permitted"], ["corrected", "Connection refused"]]) {
    const session = await newSession(server.url);
    expect((await sh(session, "master 1 /tmp/in f")).stderr).toMatch(/failed to open \/dev\/master_device\n: No such file or directory\n$/);
    for (const name of ["ksocket", "slave_device"]) await session.insmod(name, variant);
    const { exit, stderr } = await sh(session, "slave 1 /tmp/out fcntl 127.0.0.1");
    expect(exit).not.toBe(0);
    expect(stderr.endsWith(`ioclt create slave socket error\n: ${message}\n`), stderr).toBe(true);
    expect((await session.dmesg()).at(-1)).toBe("[slave] connect failed");
  }
  const session = await newSession(server.url);
  await sh(session, "insmod ksocket.ko; insmod master_device.ko");
  const student = await session.member("ann", "student");
  expect((await sh(student, "master 1 /etc/passwd f")).stderr).toMatch(/failed to open \/dev\/master_device\n: Permission denied\n$/);
  expect((await sh(student, "insmod slave_device.ko")).stderr).toBe("insmod: ERROR: could not insert module slave_device.ko: Operation not permitted\n");
  expect((await sh(student, "rmmod master_device")).stderr).toContain("rmmod: ERROR: could not remove module master_device: Operation not permitted\n");
});

test("the asynchronous build by its programs: the same bytes", async () => {
  const session = await newSession(server.url);
  for (const name of ["ksocket", "master_device", "slave_device"]) await session.insmod(name, "seed");
  const bytes = noise(4619, 5);
  await session.put("/tmp/in", bytes);
  const { stdout } = await sh(session, "slave 1 /tmp/out mmap 127.0.0.1 2>/dev/null & master 1 /tmp/in mmap 2>/dev/null; wait");
  expect(stdout.match(/^Transmission time: .* File size: 4619 bytes$/gm)).toHaveLength(2);
  expect(bytes.equals(await session.cat("/tmp/out"))).toBe(true);
});

test("a master that waits can be ended, and its module be removed", async () => {
  const session = await newSession(server.url, { clock: "real" });
  await sh(session, "insmod ksocket.ko && insmod master_device.ko; echo x > /tmp/in");
  expect((await sh(session, "master 1 /tmp/in f 2>/dev/null & sleep 0.1; rmmod master_device; kill $!; wait $!; echo $?; rmmod master_device && echo gone")))
    .toMatchObject({ stdout: "143\ngone\n", stderr: expect.stringMatching(/^rmmod: ERROR: Module master_device is in use\n/) as string });
});

test("a command that sleeps is a call: 202, its end, its killing", async () => {
  const session = await newSession(server.url);
  const reply = await session.ask("POST", "/commands", { json: { script: "echo begun; sleep 1000" }, wait: 0 });
  expect(reply.status).toBe(202);
  const { callId, state } = JSON.parse(reply.text) as Answer;
  expect(state).toBe("sleeping");
  const killed = JSON.parse((await session.ask("DELETE", `/calls/${callId}`)).text) as Ended;
  expect(killed).toMatchObject({ exit: 137, stdout: "begun\n" });
  expect(await session.json<Ended>("GET", `/calls/${callId}`)).toMatchObject({ exit: 137 });
});

test("stdin, bytes, limits, and what is no command", async () => {
  const session = await newSession(server.url);
  expect(await session.json("POST", "/commands", { json: { argv: ["wc", "-c"], stdin: "héllo" } })).toEqual({ exit: 0, stdout: "6\n", stderr: "" });
  expect(await session.json("POST", "/commands", { json: { argv: ["cat"], stdin: { hex: "ff00" } } })).toEqual({ exit: 0, stdout: "\ufffd\0", stdoutBytes: "/wA=", stderr: "" });
  expect((await run(session, "yes")).exit).toBe(141);
  for (const json of [{}, { argv: [] }, { argv: ["a"], script: "b" }, { script: "x".repeat(70_000) }, { argv: ["a\0"] }, { argv: ["ls"], what: 1 }]) {
    expect((await refusal(session.ask("POST", "/commands", { json }))).status).toBe(422);
  }
});

test("a key runs a command once", async () => {
  const session = await newSession(server.url);
  const ask = () => session.ask("POST", "/commands", { json: { script: "echo x >> /tmp/log; wc -l < /tmp/log" }, key: "once" });
  expect((await ask()).text).toBe((await ask()).text);
  expect((await session.cat("/tmp/log")).toString()).toBe("x\n");
});

test("a loop without end leaves the server to others", async () => {
  const session = await newSession(server.url);
  const reply = await session.ask("POST", "/commands", { json: { script: "while true; do :; done" }, wait: 1 });
  expect(reply.status).toBe(202);
  const other = await newSession(server.url);
  expect((await run(other, "true")).exit).toBe(0);
  expect((await run(session, "echo", "still here")).stdout).toBe("still here\n");
  await session.ask("DELETE", `/calls/${(JSON.parse(reply.text) as Answer).callId}`);
});
