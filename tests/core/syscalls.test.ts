/** Calls that a caller drives: decoding, batches, sleeping, interruption, signals, restarts. */
import { beforeEach, describe, expect, test } from "vitest";
import { addSyscall } from "../../core/tables.ts";
import type { CallAnswer, Json, Output } from "../../core/input.ts";
import { callRecord, processView, traceLines } from "../../core/read.ts";
import { int, ulong } from "../../core/syscalls/args.ts";
import { sleepOn, timedOut, type SleepOptions } from "../../core/sched/wait_queue.ts";
import { CoreMachine } from "../helpers/core.ts";

let m: CoreMachine;
let pid: number;

beforeEach(async () => {
  m = new CoreMachine({ ramMiB: 16, swapMiB: 8 });
  pid = await m.createProcess();
});

type Answer = { [field: string]: Json };

function call(name: string | number, args: Json = {}, by = pid): Answer {
  return m.callNow(by, name, args) as unknown as Answer;
}

/** Feeds a call and answers its whole output, refusals too. */
function feed(name: string | number, args: Json = {}, callId = `f${m.calls++}`): Output {
  return m.feed({ type: "syscall", pid, callId, call: name, args });
}

function batch(calls: { call: string | number; args?: Json }[], onError: "stop" | "continue" = "stop", callId = `b${m.calls++}`): Output {
  return m.feed({ type: "batch", pid, callId, calls, onError });
}

function results(output: Output): Answer[] {
  const answer = output.ended.at(-1)?.answer;
  if (answer === undefined || !("results" in answer) || answer.results === undefined) throw new Error(JSON.stringify(output).slice(0, 300));
  return answer.results as unknown as Answer[];
}

function newPipe(flags = "0", by = pid): [number, number] {
  return call("pipe2", { flags }, by).pipefd as [number, number];
}

function pending(answer: Answer): string {
  expect(answer.state).toBe("sleeping");
  return answer.callId as string;
}

function stand(callId: string): Answer {
  return m.stand(callId) as unknown as Answer;
}

/** A row of this file alone: a sleep that nobody wakes. */
function testRow(name: string, nr: number, options: SleepOptions): void {
  addSyscall({
    name, x86_64: nr, args: [int("x")], pointers: false,
    run: (k, task) => (timedOut(task) ? 7 : sleepOn(k.state.log.wait, { wchan: name, ...options })),
  });
}

testRow("test_interruptible", 900, {});
testRow("test_killable", 901, { mode: "killable" });
testRow("test_uninterruptible", 902, { mode: "uninterruptible", untilNs: 5_000_000_000 });
testRow("test_nohand", 903, { interrupted: -514 });
testRow("test_nointr", 904, { interrupted: -513 });

let taken: (number | bigint)[] = [];
addSyscall({
  name: "test_take", x86_64: 905, args: [int("i"), ulong("u")], pointers: false,
  run: (_k, _task, args: (number | bigint)[]) => {
    taken = args;
    return 0;
  },
});

describe("decoding", () => {
  test("takes calls by name and by number, arguments by name and as raw registers", () => {
    expect(call("getpid").ret).toBe(pid);
    expect(call(39).ret).toBe(pid);
    expect(call("getpid", [1, 2, 3]).ret).toBe(pid);
    const path = "/dev/null";
    const fd = call("openat", { pathname: path, flags: "O_RDWR" }).ret as number;
    expect(call(1, [fd, null, 0]).ret).toBe(0);
    expect(call("write", [`0x${fd.toString(16)}`, 0, 5]).ret).toBe(5);
  });

  test("answers ENOSYS to numbers outside the table, and to names that this kernel leaves out", () => {
    for (const nr of [451, 600, 99999, -1, 2 ** 40]) expect(call(nr, [1, 2]), String(nr)).toMatchObject({ ret: -1, errno: "ENOSYS", errnoNumber: 38 });
    for (const name of ["bpf", "kexec_file_load"]) expect(call(name), name).toMatchObject({ ret: -1, errno: "ENOSYS" });
  });

  test("refuses a name that Linux does not have, before anything happens", () => {
    const output = feed("no_such_call");
    expect(output.refusal).toMatchObject({ refused: "no-call", detail: "no system call is named no_such_call" });
    expect(output.ended).toEqual([]);
    expect(processView(m.kernel, pid)?.call).toBeNull();
  });

  test("cuts int arguments to 32 bits and keeps wide ones", () => {
    call("test_take", [2 ** 32 + 5, "0xffffffffffffffff"]);
    expect(taken).toEqual([5, 2n ** 64n - 1n]);
    call("test_take", ["0x80000000", -1]);
    expect(taken).toEqual([-(2 ** 31), 2n ** 64n - 1n]);
    call("test_take", [-1, 2 ** 52]);
    expect(taken).toEqual([-1, 2 ** 52]);
    call("test_take", ["-9223372036854775808", "9223372036854775807"]);
    expect(taken).toEqual([0, 2n ** 63n - 1n]);
    call("test_take", { i: "4294967299", u: "18446744073709551615" });
    expect(taken).toEqual([3, 2n ** 64n - 1n]);
  });

  test("an fd register with high bits names the same file", () => {
    const [read] = newPipe();
    expect(call("close", [2 ** 32 + read]).ret).toBe(0);
    expect(call("close", [read])).toMatchObject({ errno: "EBADF" });
  });

  test("refuses numbers that JSON has rounded, and takes them as strings", () => {
    for (const wrong of [2 ** 53, -(2 ** 60), 1.5, "1x", "", "0x", "99999999999999999999999", true, [1]]) {
      const output = feed("lseek", { fd: 0, offset: wrong, whence: 0 });
      expect(output.refusal, String(wrong)).toMatchObject({ refused: "invalid", errors: [{ path: "/args/offset" }] });
    }
    expect(feed("lseek", { fd: 99, offset: "9223372036854775807", whence: "SEEK_SET" }).answer).toMatchObject({ errno: "EBADF" });
  });

  test("names every mistake by its path and acts on none", () => {
    const output = feed("openat", { pathname: 1.5, flags: "O_RDONLY|O_NONSENSE", mode: "rw", extra: 1 });
    expect(output.refusal).toMatchObject({ refused: "invalid" });
    const errors = (output.refusal as { errors: { path: string; message: string }[] }).errors;
    expect(errors.map(({ path }) => path).sort()).toEqual(["/args/extra", "/args/flags", "/args/mode", "/args/pathname"]);
    for (const { message } of errors) expect(message).not.toBe("");
  });

  test("names the call of a batch in which a mistake stands, and makes none of them", () => {
    const output = batch([{ call: "close", args: { fd: 0 } }, { call: "getpid" }, { call: "close", args: { fd: "zero" } }, { call: "nonsense" }]);
    expect(output.refusal).toMatchObject({ refused: "invalid" });
    expect((output.refusal as { errors: { path: string }[] }).errors.map(({ path }) => path)).toEqual(["/calls/2/args/fd", "/calls/3/call"]);
    expect(call("close", { fd: 0 }).ret).toBe(0);
  });

  test("refuses what is neither an object nor registers, and a seventh register", () => {
    expect(feed("getpid", "text").refusal).toMatchObject({ refused: "invalid" });
    expect(feed("getpid", [1, 2, 3, 4, 5, 6, 7]).refusal).toMatchObject({ refused: "invalid" });
    expect(feed("getpid", [{}]).refusal).toMatchObject({ refused: "invalid", errors: [{ path: "/args/0" }] });
  });

  test("refuses a count above the bytes given, and takes one below", () => {
    const [, write] = newPipe();
    expect(feed("write", { fd: write, buf: "abc", count: 4 }).refusal).toMatchObject({ refused: "invalid", errors: [{ path: "/args/count" }] });
    expect(call("write", { fd: write, buf: "abc", count: 2 }).ret).toBe(2);
  });

  test("takes bytes in every form", () => {
    const [read, write] = newPipe();
    for (const [buf, text] of [["é", "é"], [{ base64: "YWI=" }, "ab"], [{ hex: "6364" }, "cd"], [{ zero: 2 }, "\0\0"], [{ u32: 0x64636261 }, "abcd"]] as [Json, string][]) {
      expect(call("write", { fd: write, buf }).ret).toBe(Buffer.byteLength(text));
      expect(call("read", { fd: read, count: 64 }).buf).toEqual({ base64: Buffer.from(text).toString("base64"), text });
    }
    for (const buf of [{ base64: "!" }, { hex: "abc" }, { zero: -1 }, { other: 1 }] as Json[]) {
      expect(feed("write", { fd: write, buf }).refusal, JSON.stringify(buf)).toMatchObject({ refused: "invalid" });
    }
    expect(feed("write", { fd: write, buf: { zero: 2 ** 40 } }).refusal).toMatchObject({ refused: "too-large" });
  });

  test("hands pointers through as they are", () => {
    const [read, write] = newPipe();
    call("write", { fd: write, buf: "abc" });
    expect(call("read", { fd: read, buf: null, count: 3 })).toMatchObject({ errno: "EFAULT" });
    expect(call("read", { fd: read, buf: { addr: "0xffff800000000000" }, count: 3 })).toMatchObject({ errno: "EFAULT" });
    expect(call("openat", { pathname: null })).toMatchObject({ errno: "EFAULT" });
    expect(call("read", { fd: read, count: 3 })).toMatchObject({ ret: 3 });
  });
});

describe("an answer", () => {
  test("has the strace line, the kernel time and the errno of a failure", () => {
    const path = "/nowhere";
    expect(call("openat", { pathname: path, flags: "O_RDWR" })).toEqual({
      state: "returned", ret: -1, errno: "ENOENT", errnoNumber: 2, message: "No such file or directory",
      strace: "openat(AT_FDCWD, \"/nowhere\", O_RDWR) = -1 ENOENT (No such file or directory)", ns: expect.any(Number) as number,
    });
    const answer = call("getpid");
    expect(answer).toEqual({ state: "returned", ret: pid, errno: null, strace: `getpid() = ${pid}`, ns: answer.ns });
    expect(answer.ns).toBeGreaterThan(0);
    expect(traceLines(m.kernel, { pid }).at(-1)?.text).toBe(`getpid() = ${pid}`);
  });

  test("of a call that ended at once is not kept", () => {
    const output = feed("getpid");
    expect(callRecord(m.kernel, output.ended[0].callId)).toBeNull();
  });
});

describe("a batch", () => {
  test("uses what earlier calls answered", () => {
    const output = batch([
      { call: "pipe2" },
      { call: "write", args: { fd: { out: 0, at: "/pipefd/1" }, buf: "hello" } },
      { call: "read", args: { fd: { out: 0, at: "/pipefd/0" }, count: { ret: 1, plus: -1 } } },
      { call: "dup", args: { oldfd: { out: 0, at: "/pipefd/0" } } },
      { call: "close", args: [{ ret: 3 }] },
    ]);
    expect(results(output).map(({ ret }) => ret)).toEqual([0, 5, 4, 5, 0]);
    expect(results(output)[2].buf).toMatchObject({ text: "hell" });
  });

  test("answers EINVAL to a reference ahead, to itself, to a failed call and to nothing", () => {
    const output = batch([
      { call: "close", args: { fd: { ret: 1 } } }, { call: "close", args: { fd: { ret: 1 } } }, { call: "close", args: { fd: 99 } },
      { call: "close", args: { fd: { ret: 2 } } }, { call: "close", args: { fd: { out: 0, at: "/nothing" } } }, { call: "getpid" },
    ], "continue");
    expect(results(output).map(({ errno }) => errno)).toEqual(["EINVAL", "EINVAL", "EBADF", "EINVAL", "EINVAL", null]);
  });

  test("stops at the first failure, or goes on", () => {
    const calls = [{ call: "getpid" }, { call: "close", args: { fd: 99 } }, { call: "getpid" }];
    expect(results(batch(calls, "stop"))).toHaveLength(2);
    expect(results(batch(calls, "continue"))).toHaveLength(3);
  });

  test("of thousands of calls is one call, in slices too", () => {
    const calls = Array.from({ length: 3000 }, () => ({ call: "getpid" }));
    expect(results(batch(calls))).toHaveLength(3000);
    m.budget = 2;
    const before = m.journal.length;
    expect(results(batch(calls))).toHaveLength(3000);
    expect(m.journal.length - before).toBeGreaterThan(5);
    expect(results(batch([]))).toEqual([]);
  });

  test("sleeps with the results so far, and goes on when its call is woken", async () => {
    const [read, write] = newPipe();
    const child = call("fork").ret as number;
    const output = batch([{ call: "getpid" }, { call: "read", args: { fd: read, count: 10 } }, { call: "getppid" }], "stop", "b");
    expect(output.answer).toMatchObject({ state: "sleeping", callId: "b", pid, results: [{ ret: pid }] });
    expect(feed("getpid").refusal).toMatchObject({ refused: "busy" });
    const woken = m.feed({ type: "syscall", pid: child, callId: "w", call: "write", args: { fd: write, buf: "x" } });
    expect(woken.ended.map(({ callId }) => callId).sort()).toEqual(["b", "w"]);
    expect(stand("b")).toMatchObject({ state: "returned", results: [{ ret: pid }, { ret: 1 }, { ret: 1 }] });
  });

  test("that is interrupted ends with the call under way", () => {
    const [read] = newPipe();
    batch([{ call: "getpid" }, { call: "read", args: { fd: read, count: 10 } }, { call: "getpid" }], "continue", "b");
    const output = m.feed({ type: "interruptCall", callId: "b" });
    expect(output.answer).toMatchObject({ state: "returned", results: [{ ret: pid }, { ret: -1, errno: "EINTR" }] });
    expect((output.answer as { results: CallAnswer[] }).results).toHaveLength(2);
  });

  test("whose process dies ends with that", () => {
    const output = batch([{ call: "getpid" }, { call: "exit_group", args: { status: 3 } }, { call: "getpid" }]);
    expect(output.answer).toMatchObject({ state: "ended", exited: 3, results: [{ ret: pid }, { state: "ended", exited: 3 }] });
    expect(output.ended).toHaveLength(1);
  });
});

describe("a sleeping call", () => {
  test("is told as such, with where it sleeps, and its answer is kept", () => {
    const [read, write] = newPipe();
    const child = call("fork").ret as number;
    const callId = pending(call("read", { fd: read, count: 3 }, child));
    expect(stand(callId)).toMatchObject({ state: "sleeping", pid: child, callId });
    expect(processView(m.kernel, child)).toMatchObject({ state: "S", call: { callId, call: "read" } });
    call("write", { fd: write, buf: "abc" });
    expect(stand(callId)).toMatchObject({ state: "returned", ret: 3, buf: { text: "abc" } });
    m.advance(60_000);
    expect(stand(callId)).toMatchObject({ state: "returned", ret: 3 });
  });

  test("keeps its process from other calls, and nobody else", () => {
    const [read] = newPipe();
    const child = call("fork").ret as number;
    pending(call("read", { fd: read, count: 3 }, child));
    expect(m.feed({ type: "syscall", pid: child, callId: "x", call: "getpid" }).refusal).toMatchObject({ refused: "busy" });
    expect(call("getpid").ret).toBe(pid);
  });

  test("has 64 answers kept a process", () => {
    const [read, write] = newPipe();
    const child = call("fork").ret as number;
    const ids: string[] = [];
    for (let at = 0; at < 70; at++) {
      ids.push(pending(call("read", { fd: read, count: 3 }, child)));
      call("write", { fd: write, buf: "x" });
    }
    expect(ids.map((id) => callRecord(m.kernel, id) !== null)).toEqual(ids.map((_, at) => at >= 6));
    expect(m.broken()).toEqual([]);
  });

  test("goes on with the file that its fd named when it entered", () => {
    const [read, write] = newPipe();
    const child = call("clone", { flags: "CLONE_FILES|SIGCHLD" }).ret as number;
    const callId = pending(call("read", { fd: read, count: 3 }, child));
    expect(call("close", { fd: read }).ret).toBe(0);
    expect(call("write", { fd: write, buf: "abc" }).ret).toBe(3);
    expect(stand(callId)).toMatchObject({ ret: 3, buf: { text: "abc" } });
    expect(call("write", { fd: write, buf: "abc" }), "nobody is left to read").toMatchObject({ state: "ended", signaled: "SIGPIPE" });
  });
});

describe("interruptCall", () => {
  test("ends an interruptible sleep as a handler without SA_RESTART would", () => {
    const [read] = newPipe();
    const callId = pending(call("read", { fd: read, count: 3 }));
    expect(m.feed({ type: "interruptCall", callId }).answer).toMatchObject({ state: "returned", ret: -1, errno: "EINTR" });
    expect(call("getpid").ret).toBe(pid);
    expect(processView(m.kernel, pid)?.signals).toEqual({});
  });

  test("lets a call that has moved bytes answer its count", () => {
    const [, write] = newPipe();
    const callId = pending(call("write", { fd: write, buf: { zero: 70_000 } }));
    const { answer } = m.feed({ type: "interruptCall", callId });
    expect(answer).toMatchObject({ state: "returned", ret: 65536, errno: null });
  });

  test("tells a nanosleep how much was left", () => {
    const callId = pending(call("nanosleep", { req: { tv_sec: 10, tv_nsec: 0 } }));
    m.advance(4_000);
    const { answer } = m.feed({ type: "interruptCall", callId });
    expect(answer).toMatchObject({ errno: "EINTR" });
    const { rem } = answer as unknown as { rem: { tv_sec: number; tv_nsec: number } };
    expect(rem.tv_sec * 1e9 + rem.tv_nsec).toBeGreaterThan(5.99e9);
    expect(rem.tv_sec * 1e9 + rem.tv_nsec).toBeLessThanOrEqual(6e9);
  });

  test("is refused for an uninterruptible sleep, for an ended call, and for none", () => {
    const callId = pending(call("test_uninterruptible"));
    expect(m.feed({ type: "interruptCall", callId }).refusal).toMatchObject({ refused: "busy" });
    m.advance(5_001);
    expect(stand(callId)).toMatchObject({ state: "returned", ret: 7 });
    expect(m.feed({ type: "interruptCall", callId }).refusal).toMatchObject({ refused: "busy", detail: "the call has ended" });
    expect(m.feed({ type: "interruptCall", callId: "never" }).refusal).toMatchObject({ refused: "no-call" });
  });
});

function handle(signal: string, flags = "0", by = pid): void {
  expect(call("rt_sigaction", { signum: signal, act: { sa_handler: "count", sa_flags: flags } }, by).ret).toBe(0);
}

function send(signal: number, to = pid): Output {
  return m.feed({ type: "signal", pid: to, signal, uid: 0 });
}

const SIGUSR1 = 10;
const SIGKILL = 9;
const SIGSTOP = 19;
const SIGCONT = 18;
const SIGTERM = 15;

describe("a handler", () => {
  test("without SA_RESTART ends the call with EINTR and is told in its answer", () => {
    handle("SIGUSR1");
    const [read] = newPipe();
    const callId = pending(call("read", { fd: read, count: 3 }));
    send(SIGUSR1);
    expect(stand(callId)).toMatchObject({ ret: -1, errno: "EINTR", delivered: ["SIGUSR1"] });
    expect(processView(m.kernel, pid)?.signals).toEqual({ SIGUSR1: 1 });
  });

  test("with SA_RESTART lets the call go on as if nothing had happened", () => {
    handle("SIGUSR1", "SA_RESTART");
    const [read, write] = newPipe();
    const child = call("fork").ret as number;
    const callId = pending(call("read", { fd: read, count: 3 }, child));
    send(SIGUSR1, child);
    expect(stand(callId).state).toBe("sleeping");
    expect(processView(m.kernel, child)?.signals).toEqual({ SIGUSR1: 1 });
    call("write", { fd: write, buf: "abc" });
    expect(stand(callId)).toMatchObject({ ret: 3, delivered: ["SIGUSR1"] });
  });

  test("ends pause, poll and nanosleep whatever SA_RESTART says", () => {
    handle("SIGUSR1", "SA_RESTART");
    for (const [name, args] of [["pause", {}], ["poll", { fds: [], timeout: 60_000 }], ["nanosleep", { req: { tv_sec: 60, tv_nsec: 0 } }], ["test_nohand", {}]] as [string, Json][]) {
      const callId = pending(call(name, args));
      send(SIGUSR1);
      expect(stand(callId), name).toMatchObject({ ret: -1, errno: "EINTR" });
    }
  });

  test("does not end what is restarted always", () => {
    handle("SIGUSR1");
    const callId = pending(call("test_nointr"));
    send(SIGUSR1);
    expect(stand(callId).state).toBe("sleeping");
  });

  test("counts at once when the process is in no call", () => {
    handle("SIGUSR1");
    send(SIGUSR1);
    send(SIGUSR1);
    expect(processView(m.kernel, pid)?.signals).toEqual({ SIGUSR1: 2 });
  });

  test("waits while its signal is blocked", () => {
    handle("SIGUSR1");
    call("rt_sigprocmask", { how: "SIG_BLOCK", set: ["SIGUSR1"] });
    send(SIGUSR1);
    send(SIGUSR1);
    expect(processView(m.kernel, pid)?.signals).toEqual({});
    call("rt_sigprocmask", { how: "SIG_UNBLOCK", set: ["SIGUSR1"] });
    expect(processView(m.kernel, pid)?.signals).toEqual({ SIGUSR1: 1 });
  });
});

describe("a stop", () => {
  test("holds a sleeping call until the process is continued", () => {
    const [read, write] = newPipe();
    const child = call("fork").ret as number;
    const callId = pending(call("read", { fd: read, count: 3 }, child));
    send(SIGSTOP, child);
    expect(processView(m.kernel, child)?.state).toBe("T");
    call("write", { fd: write, buf: "abc" });
    m.advance(100);
    expect(stand(callId).state).toBe("sleeping");
    send(SIGCONT, child);
    expect(stand(callId)).toMatchObject({ ret: 3, buf: { text: "abc" } });
  });

  test("holds a call that begins while stopped", () => {
    send(SIGSTOP);
    expect(processView(m.kernel, pid)?.state).toBe("T");
    const callId = pending(call("getpid"));
    m.advance(100);
    expect(stand(callId).state).toBe("sleeping");
    send(SIGCONT);
    expect(stand(callId)).toMatchObject({ ret: pid });
  });

  test("and a continue let a nanosleep end at its time, and a pause sleep on", () => {
    const callId = pending(call("nanosleep", { req: { tv_sec: 10, tv_nsec: 0 } }));
    m.advance(2_000);
    send(SIGSTOP);
    m.advance(2_000);
    send(SIGCONT);
    expect(stand(callId).state).toBe("sleeping");
    m.advance(5_999);
    expect(stand(callId).state).toBe("sleeping");
    m.advance(2);
    expect(stand(callId)).toMatchObject({ ret: 0, errno: null });
    const paused = pending(call("pause"));
    send(SIGSTOP);
    send(SIGCONT);
    expect(stand(paused).state).toBe("sleeping");
  });

  test("is told to the waiting parent, and so is the continue", () => {
    const child = call("fork").ret as number;
    send(SIGSTOP, child);
    expect(call("wait4", { pid: -1, options: "WNOHANG|WUNTRACED" })).toMatchObject({ ret: child, status: { stopped: "SIGSTOP" } });
    send(SIGCONT, child);
    expect(call("wait4", { pid: -1, options: "WNOHANG|WCONTINUED" })).toMatchObject({ ret: child });
    expect(call("wait4", { pid: -1, options: "WNOHANG" })).toMatchObject({ ret: 0 });
  });
});

describe("SIGKILL", () => {
  test("ends interruptible and killable sleeps", () => {
    for (const name of ["test_interruptible", "test_killable", "pause"]) {
      const child = call("fork").ret as number;
      const callId = pending(call(name, {}, child));
      const output = send(SIGKILL, child);
      expect(output.ended, name).toMatchObject([{ callId, pid: child, answer: { state: "ended", signaled: "SIGKILL" } }]);
      expect(stand(callId)).toMatchObject({ state: "ended", signaled: "SIGKILL" });
      expect(call("wait4", { pid: child }), name).toMatchObject({ ret: child, status: { signaled: "SIGKILL" } });
    }
  });

  test("waits for an uninterruptible sleep to end", () => {
    const child = call("fork").ret as number;
    const callId = pending(call("test_uninterruptible", {}, child));
    expect(processView(m.kernel, child)?.state).toBe("D");
    expect(send(SIGKILL, child).ended).toEqual([]);
    m.advance(4_000);
    expect(stand(callId).state).toBe("sleeping");
    m.advance(1_500);
    expect(stand(callId)).toMatchObject({ state: "ended", signaled: "SIGKILL" });
  });

  test("ends a stopped process", () => {
    const child = call("fork").ret as number;
    send(SIGSTOP, child);
    send(SIGKILL, child);
    expect(call("wait4", { pid: child })).toMatchObject({ ret: child, status: { signaled: "SIGKILL" } });
  });

  test("is what killProcess sends: a process that a caller made is reaped, a child stays a zombie", () => {
    const child = call("fork").ret as number;
    expect(m.feed({ type: "killProcess", pid: child }).refusal).toBeUndefined();
    expect(processView(m.kernel, child)?.state).toBe("Z");
    m.feed({ type: "killProcess", pid });
    expect(processView(m.kernel, pid)).toBeNull();
    expect(processView(m.kernel, child), "init has reaped the orphan").toBeNull();
    expect(m.feed({ type: "killProcess", pid }).refusal).toBeDefined();
    expect(m.broken()).toEqual([]);
  });
});

describe("a fatal signal", () => {
  test("ends killable sleeps like SIGKILL, and its number is the status", () => {
    for (const name of ["test_interruptible", "test_killable"]) {
      const child = call("fork").ret as number;
      const callId = pending(call(name, {}, child));
      send(SIGTERM, child);
      expect(stand(callId), name).toMatchObject({ state: "ended", signaled: "SIGTERM" });
    }
  });

  test("that a handler counts does not end a killable sleep", () => {
    handle("SIGTERM");
    const child = call("fork").ret as number;
    const callId = pending(call("test_killable", {}, child));
    send(SIGTERM, child);
    expect(stand(callId).state).toBe("sleeping");
  });

  test("sent by the process to itself ends it before the call returns", () => {
    const child = call("fork").ret as number;
    expect(call("kill", { pid: child, sig: "SIGTERM" }, child)).toMatchObject({ state: "ended", signaled: "SIGTERM" });
  });
});

describe("exit", () => {
  test("answers how the process ended, and frees what it had", () => {
    const child = call("fork").ret as number;
    const answer = call("exit_group", { status: 258 }, child);
    expect(answer).toMatchObject({ state: "ended", exited: 2, strace: "exit_group(258) = ?" });
    expect(m.feed({ type: "syscall", pid: child, callId: "x", call: "getpid" }).refusal).toMatchObject({ refused: "no-process" });
    expect(call("wait4", { pid: child })).toMatchObject({ ret: child, status: { exited: 2 } });
    expect(processView(m.kernel, child)).toBeNull();
    expect(m.broken()).toEqual([]);
  });

  test("a thousand calls may sleep, and one more is interrupted; others go on", () => {
    const [read] = newPipe();
    for (let at = 0; at < 1024; at++) {
      const child = call("fork").ret as number;
      expect(child).toBeGreaterThan(0);
      pending(call("read", { fd: read, count: 1 }, child));
    }
    expect(call("getpid").ret).toBe(pid);
    expect(call("read", { fd: read, count: 1 })).toMatchObject({ ret: -1, errno: "EINTR", limited: true });
    expect(m.broken()).toEqual([]);
  });
});
