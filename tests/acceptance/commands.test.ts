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
