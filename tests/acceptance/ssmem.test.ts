/** ssmem over HTTP: what the second lab's teacher would check, by calls 320 and 321. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Process, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

const PAGE = 4096;

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

const attach = (process: Process, id: number | string, flags: number | string, length: number) => process.call(320, { id, flags, length });

/** The address of a mapping that must come about. */
async function attached(process: Process, id: number, flags: number, length = PAGE): Promise<string> {
  const answer = await attach(process, id, flags, length);
  expect(answer.ret, answer.strace).toMatch(/^0x[0-9a-f]+$/);
  return answer.ret as unknown as string;
}

const plus = (addr: string, offset: number): string => `0x${(BigInt(addr) + BigInt(offset)).toString(16)}`;
const store = (process: Process, addr: string, buf: string) => process.call("store", { addr, buf });
const load = async (process: Process, addr: string, length = 1): Promise<string | undefined> => (await process.call("load", { addr, length })).buf?.text;
const ssmemLines = async (process: Process, session: Session): Promise<string[]> =>
  (await session.cat(`/proc/${process.pid}/maps`)).toString().split("\n").filter((line) => line.includes("[ssmem:"));

/** The report's two, as they should have been. */
const DESIGNS = ["fault", "anon"] as const;

for (const ssmem of DESIGNS) {
  test(`two processes share what they attach (${ssmem})`, async () => {
    const session = await newSession(server.url, { clock: "virtual", ssmem });
    const [a, b] = [await session.process(), await session.process()];
    const [there, here] = [await attached(a, 1, 7), await attached(b, 1, 7)];
    expect((await store(a, there, "hello")).ret).toBe(5);
    expect(await load(b, here, 5)).toBe("hello");
    expect((await store(b, here, "J")).ret).toBe(1);
    expect(await load(a, there, 5)).toBe("Jello");

    // A child has the parent's mapping, and counts.
    const { ret: child } = await a.call("fork", {});
    expect((await session.at(child).call("store", { addr: there, buf: "C" })).ret).toBe(1);
    expect(await load(b, here, 5)).toBe("Cello");
    expect((await session.cat("/proc/ssmem")).toString()).toMatch(/^ +1 +1 +1 +3$/m);
  });

  test(`each attachment is a mapping of its own with all rights that were asked for (${ssmem})`, async () => {
    const session = await newSession(server.url, { clock: "virtual", ssmem });
    const process = await session.process();
    for (let count = 0; count < 3; count++) await attached(process, 4, 7, 5000);
    const lines = await ssmemLines(process, session);
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      const [, from, to, rights] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) /.exec(line)!;
      expect(BigInt(`0x${to}`) - BigInt(`0x${from}`)).toBe(8192n);
      expect(rights).toBe(ssmem === "fault" ? "rwxs" : "rwxp");
    }
  });

  test(`exit, execve and munmap detach, and a part that is unmapped is only that part (${ssmem})`, async () => {
    const session = await newSession(server.url, { clock: "virtual", ssmem });
    const process = await session.process();
    const attachments = async (): Promise<number> => Number(/^ +6 +3 +\d+ +(\d+)$/m.exec((await session.cat("/proc/ssmem")).toString())?.[1] ?? 0);
    const addr = await attached(process, 6, 7, 3 * PAGE);
    await store(process, plus(addr, 2 * PAGE), "tail");
    const { ret: first } = await process.call("fork", {});
    const { ret: second } = await process.call("fork", {});
    expect(await attachments()).toBe(3);
    expect(await session.at(first).call("exit_group", { status: 0 })).toMatchObject({ state: "ended" });
    expect(await attachments()).toBe(2);
    await session.at(second).call("execve", { pathname: "/bin/true", argv: ["true"], envp: [] });
    expect(await attachments()).toBe(1);
    // A hole in the middle leaves two mappings of one attachment.
    await process.must("munmap", { addr: plus(addr, PAGE), length: PAGE });
    expect(await attachments()).toBe(2);
    expect((await process.call(321, { addr })).ret).toBe(0);
    expect(await load(process, plus(addr, 2 * PAGE), 4)).toBe("tail");
    await process.must("munmap", { addr: plus(addr, 2 * PAGE), length: PAGE });
    expect((await session.cat("/proc/ssmem")).toString()).toBe("  id pages frames attached\n");
    expect(await attach(process, 6, 2, PAGE)).toMatchObject({ errno: "EADDRNOTAVAIL", errnoNumber: 99, message: "Cannot assign requested address" });
  });
}

test("all 1024 segments at once, each with memory of its own; what is out of memory is killed, and the ids are free", async () => {
  const session = await newSession(server.url, { clock: "virtual", ramMiB: 8, swapMiB: 8 });
  const process = await session.process();
  const calls = Array.from({ length: 1024 }, (_, at) => [
    { call: 320, args: { id: at + 1, flags: 3, length: 10 * PAGE } }, { call: "store", args: { addr: { ret: 2 * at }, buf: String(at) } },
  ]).flat();
  const done = await process.mustBatch(calls.slice(0, 1000));
  for (const at of [0, 250, 499]) expect(await load(process, done[2 * at]!.ret as unknown as string, 3)).toBe(String(at).padEnd(3, "\0"));
  await process.mustBatch(calls.slice(1000).filter(({ call }) => call === 320));
  const { length } = (await session.cat("/proc/ssmem")).toString().split("\n").filter((line) => /^ {0,3}\d+ +10 /.test(line));
  expect(length).toBe(1024);
  for (const id of [0, 1025]) expect(await attach(process, id, 3, PAGE)).toMatchObject({ errno: "EINVAL" });

  // 40 MiB of pages that nobody may swap do not fit: the process dies of the one that is too many.
  const fits = done.filter((_, at) => at % 2 === 0).map(({ ret }) => ret as unknown as string);
  const stores = fits.flatMap((addr) => [1, 2, 3, 4].map((page) => ({ call: "store", args: { addr: plus(addr, page * PAGE), buf: "x" } })));
  const ended = await process.batch(stores);
  expect(ended.at(-1)).toMatchObject({ state: "ended", signaled: "SIGKILL" });
  expect((await session.dmesg()).some((line) => line.startsWith(`Out of memory: Killed process ${process.pid} `))).toBe(true);
  expect((await session.cat("/proc/ssmem")).toString()).toBe("  id pages frames attached\n");
  const fresh = await attached(await session.process(), 1, 3);
  expect(fresh).toMatch(/^0x/);
});

test("what cannot be attached, by errno", async () => {
  const session = await newSession(server.url);
  const process = await session.process();
  const wrong: [id: number | string, flags: number | string, length: number, errno: string][] = [
    [5, 2, PAGE, "EADDRNOTAVAIL"],
    [0, 7, PAGE, "EINVAL"], [-1, 7, PAGE, "EINVAL"], [1025, 7, PAGE, "EINVAL"], [2 ** 31, 7, PAGE, "EINVAL"],
    [1, 7, 0, "EINVAL"], [1, 7, 10 * PAGE + 1, "EINVAL"], [1, 8, PAGE, "EINVAL"],
    ["0x100000000", 7, PAGE, "EINVAL"],
  ];
  for (const [id, flags, length, errno] of wrong) {
    expect(await attach(process, id, flags, length), `${id} ${flags} ${length}`).toMatchObject({ ret: -1, errno });
  }
  // A register holds 64 bits, an id 32 of them.
  const overflowed = await process.call(320, ["0x100000001", 7, PAGE]);
  expect(overflowed.ret).toMatch(/^0x/);
  expect((await session.cat("/proc/ssmem")).toString()).toMatch(/^ +1 /m);
  expect(overflowed.strace).toMatch(/^ssmem_attach\(1, SSMEM_FLAG_CREATE\|SSMEM_FLAG_WRITE\|SSMEM_FLAG_EXEC, 4096\) = 0x/);
});

test.each(DESIGNS)("pages, rights and detaching (%s)", async (ssmem) => {
  const session = await newSession(server.url, { clock: "virtual", ssmem });
  const process = await session.process();
  const small = await attached(process, 2, 3, 1);
  expect((await store(process, plus(small, PAGE - 1), "x")).ret).toBe(1);
  const { ret: child } = await process.call("fork", {});
  expect(await session.at(child).call("load", { addr: plus(small, PAGE), length: 1 })).toMatchObject({ state: "ended", signaled: "SIGSEGV" });

  const two = await attached(process, 3, 3, 2 * PAGE);
  await store(process, two, "A");
  await store(process, plus(two, PAGE), "B");
  expect([await load(process, two), await load(process, plus(two, PAGE))]).toEqual(["A", "B"]);

  const readOnly = await attached(process, 3, 0);
  expect(await load(process, plus(readOnly, PAGE))).toBe("B");
  expect(await process.call("store", { addr: readOnly, buf: "x", onFault: "report" })).toMatchObject({ ret: -1, signal: "SIGSEGV", siCode: "SEGV_ACCERR" });
  expect(await process.call("mprotect", { addr: readOnly, len: PAGE, prot: "PROT_READ|PROT_WRITE" })).toMatchObject({ errno: "EACCES" });

  expect((await process.call(321, { addr: plus(two, 10) })).ret).toBe(0);
  expect(await process.call("load", { addr: two, length: 1, onFault: "report" })).toMatchObject({ signal: "SIGSEGV", siCode: "SEGV_MAPERR" });
  for (const addr of [two, "0x0", "0x7fffffffe000"]) expect(await process.call(321, { addr })).toMatchObject({ ret: -1, errno: "EFAULT" });
  const heap = (await process.call("mmap", { length: PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" })).ret as unknown as string;
  expect(await process.call(321, { addr: heap })).toMatchObject({ ret: -1, errno: "EFAULT" });
});

test.each(DESIGNS)("a segment lives as long as somebody maps it (%s)", async (ssmem) => {
  const session = await newSession(server.url, { clock: "virtual", ssmem });
  const [a, b] = [await session.process(), await session.process()];
  const first = await attached(a, 7, 7, 100);
  await store(a, first, "kept");
  const longer = await attached(b, 7, 2, 5 * PAGE);
  expect(await ssmemLines(b, session)).toEqual([expect.stringMatching(new RegExp(`^${longer.slice(2)}-${plus(longer, PAGE).slice(2)} rw-${ssmem === "fault" ? "s" : "p"} 00000000 00:00 0 +\\[ssmem:7\\]$`))]);

  await session.ask("DELETE", `/processes/${a.pid}`);
  expect(await load(b, longer, 4)).toBe("kept");
  expect((await b.call(321, { addr: longer })).ret).toBe(0);
  expect((await session.cat("/proc/ssmem")).toString()).toBe("  id pages frames attached\n");

  expect(await attach(b, 7, 2, PAGE)).toMatchObject({ ret: -1, errno: "EADDRNOTAVAIL" });
  const again = await attached(b, 7, 7, 3 * PAGE);
  expect(await b.call("load", { addr: plus(again, 2 * PAGE), length: 4 })).toMatchObject({ buf: { base64: "AAAAAA==" } });
});

test.each(DESIGNS)("a page is allocated once, and each process takes one minor fault for it (%s)", async (ssmem) => {
  const session = await newSession(server.url, { clock: "virtual", ssmem });
  const [a, b] = [await session.process(), await session.process()];
  const faults = async ({ pid }: Process): Promise<number> => Number((await session.cat(`/proc/${pid}/stat`)).toString().split(" ")[9]);
  for (const [process, frames] of [[a, 4], [b, 4]] as const) {
    const addr = await attached(process, 9, 7, 4 * PAGE);
    const before = await faults(process);
    for (const page of [0, 1, 2, 3, 1, 0]) await store(process, plus(addr, page * PAGE), "x");
    expect(await faults(process) - before).toBe(4);
    expect((await session.cat("/proc/ssmem")).toString()).toMatch(new RegExp(`^ +9 +4 +${frames} `, "m"));
  }
});

test.each(DESIGNS)("two students share a segment of one kernel while a third is refused, and an observer has no calls (%s)", async (ssmem) => {
  const session = await newSession(server.url, { clock: "virtual", ssmem });
  const [ann, ben, eve] = [await session.member("ann", "student"), await session.member("ben", "student"), await session.member("eve", "observer")];
  const tom = await session.member("tom", "student");
  const [a, b] = [await ann.process(), await ben.process()];
  const [there, here] = [await attached(a, 1, 7), await attached(b, 1, 7)];
  await store(a, there, "seminar");
  expect(await load(b, here, 7)).toBe("seminar");
  await expect(ben.at(a.pid).call("load", { addr: there, length: 1 })).rejects.toMatchObject({ problem: { status: 403 } });
  await expect(eve.process()).rejects.toMatchObject({ problem: { status: 403 } });
  // The third may look at what he attached without the right to write, and at nothing of theirs.
  const third = await tom.process();
  const seen = await attached(third, 1, 0);
  expect(await load(third, seen, 7)).toBe("seminar");
  expect(await third.call("store", { addr: seen, buf: "x", onFault: "report" })).toMatchObject({ ret: -1, signal: "SIGSEGV", siCode: "SEGV_ACCERR" });
  expect(await third.call("mprotect", { addr: seen, len: PAGE, prot: "PROT_READ|PROT_WRITE" })).toMatchObject({ errno: "EACCES" });
  expect(await attach(third, 2, 2, PAGE)).toMatchObject({ errno: "EADDRNOTAVAIL" });
  expect(await third.call("kill", { pid: a.pid, sig: "SIGKILL" })).toMatchObject({ errno: "EPERM" });
  for (const path of [`/processes/${a.pid}/memory?address=${there}&length=7`, `/processes/${b.pid}/memory?address=${here}&length=7`]) {
    await expect(tom.ask("GET", path)).rejects.toMatchObject({ problem: { status: 403 } });
  }
  await expect(tom.ask("DELETE", `/processes/${a.pid}`)).rejects.toMatchObject({ problem: { status: 403 } });
  expect((await store(third, seen, "x")).state).toBe("ended");
  expect(await load(b, here, 7)).toBe("seminar");
  expect((await session.cat("/proc/ssmem")).toString()).toMatch(/^ +1 +1 +1 +2$/m);
});

test("the report's own code, defects and all", async () => {
  const session = await newSession(server.url, { clock: "virtual", ssmem: "seed" });
  const process = await session.process();
  expect((await session.cat("/proc/cmdline")).toString()).toContain(" ssmem=seed");
  expect(await attach(process, 5, 2, PAGE)).toMatchObject({ ret: -1, errnoNumber: 100 });
  const two = await attached(process, 3, 3, 2 * PAGE);
  await store(process, two, "A");
  await store(process, plus(two, PAGE), "B");
  expect(await load(process, two)).toBe("B");
  // Detach says yes and unmaps nothing, and the id stays with its first length.
  expect((await process.call(321, { addr: two })).ret).toBe(0);
  expect(await load(process, two)).toBe("B");
  // The page was forgotten: whoever touches it next has a fresh one, and the id is taken for ever.
  const late = await attached(await session.process(), 3, 0, PAGE);
  expect(late).toMatch(/^0x/);
  await attached(process, 3, 0, PAGE);
  expect(await ssmemLinesOfSeed(process, session)).toEqual([2 * PAGE, 2 * PAGE]);
});

test("the report's code over processes that end, and addresses that are none of its own", async () => {
  const session = await newSession(server.url, { clock: "virtual", ssmem: "seed" });
  const [process, doomed] = [await session.process(), await session.process()];
  const addr = await attached(process, 8, 7);
  await attached(doomed, 8, 7);
  await session.ask("DELETE", `/processes/${doomed.pid}`);
  const attachments = async (): Promise<string | undefined> => /^ +8 +1 +\d+ +(\d+)$/m.exec((await session.cat("/proc/ssmem")).toString())?.[1];
  // Nobody tells it of an exit.
  expect(await attachments()).toBe("2");
  // find_vma finds the next mapping behind an address.
  expect((await process.call(321, { addr: plus(addr, -PAGE) })).ret).toBe(0);
  expect(await attachments()).toBe("1");
  expect((await process.call(321, { addr })).ret).toBe(0);
  expect(await process.call(321, { addr })).toMatchObject({ ret: -1, errno: "EFAULT" });
  // It locks what it maps: a student beyond RLIMIT_MEMLOCK gets EAGAIN, and the count rises all the same.
  const student = await session.member("ann", "student");
  const poor = await student.process();
  await poor.call("prlimit64", { resource: "RLIMIT_MEMLOCK", new_limit: { rlim_cur: PAGE, rlim_max: PAGE } });
  expect(await attach(poor, 9, 3, 2 * PAGE)).toMatchObject({ ret: -1, errno: "EAGAIN" });
  expect((await session.cat("/proc/ssmem")).toString()).toMatch(/^ +9 +2 +0 +1$/m);
});

/** Lengths of the mappings, which the report leaves without a name. */
async function ssmemLinesOfSeed({ pid }: Process, session: Session): Promise<number[]> {
  const lines = (await session.cat(`/proc/${pid}/maps`)).toString().split("\n").filter((line) => / r[w-]-s /.test(line));
  return lines.map((line) => {
    const [start, end] = line.split(" ")[0]!.split("-").map((word) => Number.parseInt(word, 16));
    return end! - start!;
  });
}

test("attaching ends with ENOMEM, and a killed process leaves nothing", async () => {
  const session = await newSession(server.url, { clock: "virtual", ramMiB: 8, swapMiB: 0 });
  const process = await session.process();
  await process.call("prlimit64", { resource: "RLIMIT_AS", new_limit: { rlim_cur: 1 << 20, rlim_max: 1 << 20 } });
  let errno: string | null = null;
  for (let count = 0; errno === null && count < 100; count++) ({ errno } = await attach(process, 1, 7, 10 * PAGE));
  expect(errno).toBe("ENOMEM");
  await session.ask("DELETE", `/processes/${process.pid}`);
  expect((await session.cat("/proc/ssmem")).toString()).toBe("  id pages frames attached\n");
});

interface Asleep {
  callId: string;
}

interface Ended {
  exit: number;
  stdout: string;
}

/** A command that goes on by itself. */
async function started(session: Session, body: { script: string; stdin?: string }): Promise<string> {
  return (JSON.parse((await session.ask("POST", "/commands", { json: body, wait: 0 })).text) as Asleep).callId;
}

test("two readers first, then a writer: both print every line", async () => {
  const session = await newSession(server.url);
  const readers = [await started(session, { script: "ssmpipe 1 1 reader" }), await started(session, { script: "ssmpipe 2 1 reader" })];
  const writer = await started(session, { script: "ssmpipe 1 1 writer", stdin: "hello, world!\nand again\n" });
  await session.ask("POST", "/clock/advance", { json: { ms: 5000 } });
  for (const [index, callId] of readers.entries()) {
    const name = `reader${index + 1}`;
    expect(await session.json<Ended>("GET", `/calls/${callId}`, { wait: 10 }))
      .toMatchObject({ exit: 0, stdout: `${name}: writer1 says hello, world!\n${name}: writer1 says and again\n` });
  }
  expect(await session.json<Ended>("GET", `/calls/${writer}`, { wait: 10 })).toMatchObject({ exit: 0 });
  expect((await session.cat("/proc/ssmem")).toString()).toBe("  id pages frames attached\n");
});

test("eight readers have room, a ninth has none", async () => {
  const session = await newSession(server.url);
  const readers: string[] = [];
  for (let name = 1; name <= 8; name++) readers.push(await started(session, { script: `ssmpipe ${name} 2 reader` }));
  expect(await session.json<Ended & { stderr: string }>("POST", "/commands", { json: { script: "ssmpipe 9 2 reader" } }))
    .toMatchObject({ exit: 1, stdout: "", stderr: "ssmpipe: there are 8 readers already\n" });
  const writer = await started(session, { script: "ssmpipe 1 2 writer", stdin: "one line\n" });
  await session.ask("POST", "/clock/advance", { json: { ms: 5000 } });
  for (const [index, callId] of readers.entries()) {
    expect(await session.json<Ended>("GET", `/calls/${callId}`, { wait: 10 })).toMatchObject({ exit: 0, stdout: `reader${index + 1}: writer1 says one line\n` });
  }
  expect(await session.json<Ended>("GET", `/calls/${writer}`, { wait: 10 })).toMatchObject({ exit: 0 });
});

test("the report's pipe: a word, and a reader within ten seconds", async () => {
  const session = await newSession(server.url);
  const writer = await started(session, { script: "ssmpipe.seed 1 1 writer", stdin: "helloworld\n" });
  await session.ask("POST", "/clock/advance", { json: { ms: 1000 } });
  const reader = await started(session, { script: "ssmpipe.seed 1 1 reader" });
  await session.ask("POST", "/clock/advance", { json: { ms: 11_000 } });
  expect(await session.json<Ended>("GET", `/calls/${reader}`, { wait: 10 })).toMatchObject({ exit: 0, stdout: "reader1: writer1 says helloworld\n" });
  expect(await session.json<Ended>("GET", `/calls/${writer}`, { wait: 10 })).toMatchObject({ exit: 0 });
  // An id that cannot be attached is an address that kills.
  expect(await session.json<Ended>("POST", "/commands", { json: { script: "ssmpipe.seed 1 5000 reader" } })).toMatchObject({ exit: 139 });
});
