/** The report's table of simrupt, row by row over HTTP, as a caller would check it who knows the documentation alone. */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, bytesOf, newSession, refusal, Session, type Answer, type Machine, type Process } from "./client.ts";
import { newDatabase, startServer, type Server } from "./server.ts";

let server: Server;
beforeAll(async () => void (server = await startServer()));
afterAll(() => server.end());

async function lab(variant?: string, machine: Machine = { clock: "virtual" }): Promise<Session> {
  const session = await newSession(server.url, machine);
  expect((await session.insmod("simrupt", variant)).status).toBe(201);
  return session;
}

interface Reader {
  process: Process;
  fd: number;
}

async function reader(session: Session, flags = "O_RDONLY"): Promise<Reader> {
  const process = await session.process({ comm: "cat" });
  return { process, fd: await process.must("openat", { pathname: "/dev/simrupt", flags }) };
}

const read = ({ process, fd }: Reader, count = 65536, wait = 0): Promise<Answer> => process.call("read", { fd, count }, { wait });
const advance = (session: Session, ms: number): Promise<unknown> => session.ask("POST", "/clock/advance", { json: { ms } });

/** What a reader that goes on reading gets in `ms` of kernel time. */
async function cat(session: Session, from: Reader, ms: number): Promise<string> {
  let got = "";
  for (let at = 0; at < ms; at += 50) {
    const answer = await read(from);
    await advance(session, 50);
    const ended = answer.state === "sleeping" ? await session.callState(answer.callId) : answer;
    if (ended.state === "sleeping") {
      await session.ask("DELETE", `/calls/${ended.callId}`);
      continue;
    }
    expect(ended.errno).toBeNull();
    got += bytesOf(ended.buf).toString("latin1");
  }
  return got;
}

function characters(count: number, from = 0): string {
  return Array.from({ length: count }, (_, at) => String.fromCharCode(0x20 + (from + at) % 95)).join("");
}

const ticks = (lines: string[]): string[] => lines.filter((line) => line.startsWith("simrupt: [CPU#"));

test("A004-1: twelve seconds of reading give 115 to 120 characters, from the space on, in a cycle of 95", async () => {
  const session = await lab();
  const from = await reader(session);
  const got = await cat(session, from, 12_000);
  expect(got.length).toBeGreaterThanOrEqual(114);
  expect(got.length).toBeLessThanOrEqual(120);
  expect(got).toBe(characters(got.length));
  expect(got).not.toContain("\x7f");
});

test("A004-2: an event has its six lines, in order, the timer's and the tasklet's on one CPU", async () => {
  const session = await lab();
  await reader(session);
  await advance(session, 110);
  const tick = ticks(await session.dmesg());
  expect(tick.map((line) => line.replace(/CPU#\d/, "CPU#n").replace(/: \d+ usec/, ": n usec"))).toEqual([
    "simrupt: [CPU#n] enter timer_handler", "simrupt: [CPU#n] produce data", "simrupt: [CPU#n] scheduling tasklet",
    "simrupt: [CPU#n] timer_handler in_irq: n usec", "simrupt: [CPU#n] simrupt_tasklet_func in_softirq: n usec", "simrupt: [CPU#n] simrupt_work_func",
  ]);
  expect(new Set(tick.slice(0, 5).map((line) => line.slice(0, 16))).size).toBe(1);
});

test("A004-3: of two readers each gets its own characters; both go on until both have closed", async () => {
  const session = await lab();
  const readers = [await reader(session), await reader(session)];
  const got = ["", ""];
  const calls: (Answer | null)[] = [null, null];
  for (let at = 0; at < 40; at++) {
    for (const which of [0, 1]) calls[which] ??= await read(readers[which]!);
    await advance(session, 52);
    for (const which of [0, 1]) {
      const stands = calls[which]!.state === "sleeping" ? await session.callState(calls[which]!.callId) : calls[which]!;
      if (stands.state === "sleeping") continue;
      got[which] += bytesOf(stands.buf).toString("latin1");
      calls[which] = null;
    }
  }
  const [one, two] = got as [string, string];
  expect([...one, ...two].sort().join("")).toBe(characters(one.length + two.length));
  expect(Math.min(one.length, two.length)).toBeGreaterThanOrEqual(8);
  expect(Math.abs(one.length - two.length)).toBeLessThanOrEqual(2);
  for (const call of calls) if (call !== null) await session.ask("DELETE", `/calls/${call.callId}`);
  await readers[0]!.process.must("close", { fd: readers[0]!.fd });
  const before = ticks(await session.dmesg()).length;
  await advance(session, 1000);
  const between = ticks(await session.dmesg()).length;
  expect(between - before).toBeGreaterThanOrEqual(9 * 6);
  await readers[1]!.process.must("close", { fd: readers[1]!.fd });
  await advance(session, 5000);
  expect(ticks(await session.dmesg()).length).toBeLessThanOrEqual(between + 6);
});

test("A004-3 of the report's build: the first close ends it for both", async () => {
  const session = await lab("seed");
  const readers = [await reader(session), await reader(session)];
  await advance(session, 500);
  await readers[0]!.process.must("close", { fd: readers[0]!.fd });
  const before = ticks(await session.dmesg()).length;
  await advance(session, 5000);
  expect(ticks(await session.dmesg()).length).toBe(before);
});

test("A004-4: with nothing there O_NONBLOCK is EAGAIN; while another reader sleeps it waits for that one", async () => {
  const session = await lab();
  const eager = await reader(session, "O_RDONLY|O_NONBLOCK");
  expect(await read(eager)).toMatchObject({ state: "returned", ret: -1, errno: "EAGAIN", errnoNumber: 11 });
  const first = await read(await reader(session));
  expect(first).toMatchObject({ state: "sleeping", wchan: "simrupt_read" });
  const second = await read(eager);
  expect(second.state).toBe("sleeping");
  await advance(session, 110);
  expect(bytesOf((await session.ended(first)).buf).toString()).toBe(" ");
  expect(await session.ended(second)).toMatchObject({ ret: -1, errno: "EAGAIN" });
});

test("A004-5: the module cannot be removed while a reader has it open", async () => {
  const session = await lab();
  const from = await reader(session);
  expect(await refusal(session.rmmod("simrupt"))).toMatchObject({ status: 409, detail: "rmmod: ERROR: Module simrupt is in use" });
  await from.process.must("close", { fd: from.fd });
  await session.rmmod("simrupt");
  expect((await session.dmesg()).at(-1)).toBe("simrupt: unloaded");
  expect(await refusal(session.cat("/dev/simrupt"))).toMatchObject({ errno: "ENOENT" });
});

test("A004-6: five seconds after the last close nothing new is said", async () => {
  const session = await lab();
  const from = await reader(session);
  await advance(session, 330);
  await from.process.must("close", { fd: from.fd });
  const said = await session.dmesg();
  expect(said.at(-1)).toBe("release, current cnt: 0");
  await advance(session, 5000);
  expect(await session.dmesg()).toEqual(said);
});

test("A004-7: unread for 430 seconds, 4096 bytes are kept: the newest, or, in the report's build, the oldest", async () => {
  const kept = async (variant: string): Promise<string> => {
    const session = await lab(variant);
    const from = await reader(session);
    await advance(session, 430_000);
    return bytesOf((await read(from)).buf).toString("latin1");
  };
  const events = Math.floor(430_000 / 104);
  expect(await kept("corrected")).toBe(characters(4096, events - 4096));
  expect(await kept("seed")).toBe(characters(4096));
});

interface Ended {
  stdout: string;
  stderr: string;
  exit: number;
}

/** A script, while the clock is moved by up to `seconds`. */
async function shell(session: Session, script: string, seconds = 0): Promise<Ended> {
  const reply = await session.ask("POST", "/commands", { json: { script }, wait: 0 });
  if (reply.status === 200) return JSON.parse(reply.text) as Ended;
  const { callId } = JSON.parse(reply.text) as { callId: string };
  for (let at = 0; at < seconds; at++) await advance(session, 1000);
  const answer = await session.callState(callId);
  expect(answer.state).not.toBe("sleeping");
  return answer as unknown as Ended;
}

test("the report's own command lines: insmod, timeout 12 cat, two cats, rmmod", async () => {
  const session = await newSession(server.url);
  const loaded = await shell(session, "insmod simrupt.ko; lsmod; ls -l /dev/simrupt; grep simrupt /proc/devices; cat /sys/class/simrupt/simrupt/uevent");
  expect(loaded.stdout).toMatch(/^Module +Size +Used by\nsimrupt +20480 +0\ncrw-{7} +1 root +root +(\d+), +0 .* \/dev\/simrupt\n *\1 simrupt\nMAJOR=\1\nMINOR=0\nDEVNAME=simrupt\n$/);
  const { stdout, exit } = await shell(session, "timeout 12 cat /dev/simrupt", 13);
  expect([stdout, exit]).toEqual([characters(115), 124]);
  // As recorded: 10 and 9, 19 in all.
  const both = await shell(session, "(timeout 2 cat /dev/simrupt > /tmp/a) & (timeout 2 cat /dev/simrupt > /tmp/b) & sleep 2.5; wc -c /tmp/a /tmp/b", 4);
  const [a, b, total] = [...both.stdout.matchAll(/^ *(\d+) (\/tmp\/[ab]|total)$/gm)].map(([, count]) => Number(count));
  expect(a! + b!).toBe(total);
  expect([a, b]).toSatisfy((counts: number[]) => counts.every((count) => count === 9 || count === 10));
  const busy = await shell(session, "cat /dev/simrupt > /dev/null & P=$!; sleep 0.5; cat /sys/module/simrupt/refcnt; cat /proc/$P/wchan; echo; rmmod simrupt; kill $P; sleep 0.3; cat /sys/module/simrupt/refcnt", 2);
  expect(busy.stdout).toBe("1\nsimrupt_read\n0\n");
  expect(busy.stderr).toContain("rmmod: ERROR: Module simrupt is in use\n");
  const gone = await shell(session, "rmmod simrupt; ls -l /dev/simrupt; cat /dev/simrupt; dmesg | tail -1");
  expect(gone.stderr).toBe("ls: /dev/simrupt: No such file or directory\ncat: can't open '/dev/simrupt': No such file or directory\n");
  expect(gone.stdout).toMatch(/^\[[ 0-9.]+\] simrupt: unloaded\n$/);
});

test("a reader asleep goes on after a restore of the session", async () => {
  const session = await lab();
  const from = await reader(session);
  await advance(session, 320);
  expect(bytesOf((await read(from)).buf).toString("latin1")).toBe(characters(3));
  const asleep = await read(from);
  expect(asleep.state).toBe("sleeping");
  const { id } = await session.json<{ id: string }>("POST", "/snapshots", { json: { name: "asleep" } });
  await advance(session, 500);
  expect(bytesOf((await session.ended(asleep)).buf).toString()).toBe(characters(1, 3));
  await session.ask("POST", `/snapshots/${id}/restore`, { json: {} });
  await advance(session, 60);
  expect((await session.callState(asleep.callId)).state).toBe("sleeping");
  await advance(session, 60);
  expect(bytesOf((await session.callState(asleep.callId)).buf).toString()).toBe(characters(1, 3));
});

test("a cat asleep survives kill -9 of the server, and goes on in a fork too", async () => {
  const database = newDatabase();
  let own = await startServer({ database });
  try {
    const session = await newSession(own.url);
    await session.insmod("simrupt");
    const { callId } = JSON.parse((await session.ask("POST", "/commands", { json: { script: "timeout 2 cat /dev/simrupt" }, wait: 0 })).text) as { callId: string };
    await advance(session, 1000);
    const { id } = await session.json<{ id: string }>("POST", "/snapshots", { json: { name: "asleep" } });
    await advance(session, 500);
    await own.end("SIGKILL");
    own = await startServer({ database });
    session.url = own.url;
    expect((await session.callState(callId)).state).toBe("sleeping");
    await advance(session, 600);
    const ended = await session.callState(callId) as unknown as Ended;
    expect([ended.stdout, ended.exit]).toEqual([characters(19), 124]);
    // The fork is the kernel as it was; its reader is a process like any other.
    const fork = JSON.parse((await ask(own.url, session.token, "POST", "/v1/sessions", { json: { from: id } })).text) as { id: string; token: string };
    const other = new Session(own.url, fork.id, fork.token);
    expect((await other.cat("/sys/module/simrupt/refcnt")).toString()).toBe("1\n");
    await advance(other, 1200);
    expect((await other.cat("/sys/module/simrupt/refcnt")).toString()).toBe("0\n");
    expect((await other.dmesg()).at(-1)).toBe("release, current cnt: 0");
    expect(ticks(await other.dmesg()).filter((line) => line.endsWith("simrupt_work_func"))).toHaveLength(19);
  } finally {
    await own.end();
    rmSync(dirname(database), { recursive: true, force: true });
  }
});

test("a real clock streams about 9.6 bytes a second to a reader that waits", async () => {
  const session = await lab(undefined, { clock: "real" });
  const nowNs = async (): Promise<number> => Number((await session.json<{ nowNs: number | string }>("GET", "/clock")).nowNs);
  const beganNs = await nowNs();
  const from = await reader(session);
  let got = "";
  while (got.length < 15) {
    const answer = await session.ended(await read(from, 16, 30));
    expect(answer.errno).toBeNull();
    got += bytesOf(answer.buf).toString("latin1");
  }
  const seconds = (await nowNs() - beganNs) / 1e9;
  expect(got).toBe(characters(got.length));
  // By the kernel's own clock a byte comes every 104 ms; a slow machine only looks later, and finds more at once.
  expect(got.length / seconds).toBeLessThanOrEqual(9.7);
  expect(seconds).toBeGreaterThan(1.4);
});
