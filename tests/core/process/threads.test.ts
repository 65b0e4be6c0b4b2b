/** Threads: what they share, how they end, and who gets a signal. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

type Answer = { [field: string]: Json };

const THREAD = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM";

let m: CoreMachine;
let pid: number;

beforeEach(async () => {
  m = new CoreMachine({ ramMiB: 16 });
  pid = await m.createProcess();
});

function call(by: number, name: string, args: Json = {}): Answer {
  return m.callNow(by, name, args) as unknown as Answer;
}

function ret(by: number, name: string, args: Json = {}): Json {
  const answer = call(by, name, args);
  return answer.errno ?? answer.ret;
}

function thread(by = pid, flags = THREAD, more: { [name: string]: Json } = {}): number {
  return Number(call(by, "clone", { flags, ...more }).ret);
}

function page(): string {
  return call(pid, "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED|MAP_ANONYMOUS" }).ret as string;
}

function gone(tid: number): boolean {
  return !m.kernel.state.sched.tasks.has(tid);
}

describe("what threads share", () => {
  test("one process id, numbers of their own, the same memory and descriptors", () => {
    const tid = thread();
    expect(ret(tid, "getpid")).toBe(pid);
    expect(ret(tid, "gettid")).toBe(tid);
    expect(ret(tid, "getppid")).toBe(1);
    const at = page();
    call(pid, "store", { addr: at, buf: "shared" });
    expect(call(tid, "load", { addr: at, length: 6 }).buf).toMatchObject({ text: "shared" });
    expect(ret(tid, "openat", { pathname: "f", flags: "O_CREAT|O_RDWR", mode: "0600" })).toBe(3);
    expect(ret(pid, "write", { fd: 3, buf: "x" })).toBe(1);
    expect(ret(tid, "chdir", { path: "/" })).toBe(0);
    expect(call(pid, "getcwd", { size: 64 }).buf).toMatchObject({ text: "/\0" });
    expect(m.broken()).toEqual([]);
  });

  test("the handlers are the process's, the mask is the thread's", async () => {
    const tid = thread();
    call(tid, "rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count" } });
    expect(call(pid, "rt_sigaction", { signum: "SIGUSR1" }).oldact).toMatchObject({ sa_handler: "count" });
    call(pid, "rt_sigprocmask", { how: "SIG_BLOCK", set: ["SIGUSR1"] });
    expect(call(tid, "rt_sigprocmask", {}).oldset).toEqual([]);
    ret(pid, "kill", { pid, sig: "SIGUSR1" });
    expect(await m.signalCount(pid, "SIGUSR1")).toBe(1); // the other thread took it
    ret(tid, "tgkill", { tgid: pid, tid: pid, sig: "SIGUSR1" });
    expect(await m.signalCount(pid, "SIGUSR1")).toBe(1); // it waits for the one that blocks it
    expect(call(pid, "rt_sigpending", {}).set).toEqual(["SIGUSR1"]);
    expect(call(tid, "rt_sigpending", {}).set).toEqual([]);
    expect(m.broken()).toEqual([]);
  });

  test("flags that belong together are asked for", () => {
    expect(ret(pid, "clone", { flags: "CLONE_THREAD" })).toBe("EINVAL");
    expect(ret(pid, "clone", { flags: "CLONE_THREAD|CLONE_SIGHAND" })).toBe("EINVAL");
    expect(ret(pid, "clone", { flags: "CLONE_SIGHAND" })).toBe("EINVAL");
    expect(ret(pid, "clone", { flags: `${THREAD}|CLONE_PIDFD` })).toBe("EINVAL");
    expect(ret(pid, "clone", { flags: "CLONE_PIDFD|SIGCHLD", parent_tid: null })).toBe("EFAULT");
  });

  test("tids are written where the flags say", () => {
    const at = Number(page());
    const tid = thread(pid, `${THREAD}|CLONE_PARENT_SETTID|CLONE_CHILD_SETTID`, { parent_tid: { addr: at }, child_tid: at + 8 });
    const bytes = (offset: number): number => {
      const { base64 } = call(pid, "load", { addr: at + offset, length: 4 }).buf as { base64: string };
      return Buffer.from(base64, "base64").readInt32LE();
    };
    expect([bytes(0), bytes(8)]).toEqual([tid, tid]);
  });
});

describe("how threads end", () => {
  test("one that ends leaves nothing; the process lives on", () => {
    const tid = thread();
    expect(call(tid, "exit", { status: 3 })).toMatchObject({ state: "ended", exited: 3 });
    expect(gone(tid)).toBe(true);
    expect(ret(pid, "getpid")).toBe(pid);
    expect(m.broken()).toEqual([]);
  });

  test("a leader that ends first stays until the last thread ends, and its status is the process's", () => {
    const child = Number(call(pid, "fork").ret);
    const tid = thread(child);
    call(child, "exit", { status: 7 });
    expect(m.text(`/proc/${child}/stat`)).toContain(" Z ");
    expect(ret(pid, "wait4", { pid: -1, options: "WNOHANG" })).toBe(0);
    call(tid, "exit", { status: 9 });
    expect(call(pid, "wait4", { pid: -1 })).toMatchObject({ ret: child, status: { exited: 7 } });
    expect(m.broken()).toEqual([]);
  });

  test("exit_group ends all, one that sleeps and one that rests too", () => {
    const child = Number(call(pid, "fork").ret);
    const sleeper = thread(child);
    const rester = thread(child);
    const asleep = call(sleeper, "pause");
    expect(asleep.state).toBe("sleeping");
    expect(call(child, "exit_group", { status: 5 })).toMatchObject({ state: "ended", exited: 5 });
    expect(m.stand(asleep.callId as string)).toMatchObject({ state: "ended", exited: 5 });
    expect([gone(sleeper), gone(rester)]).toEqual([true, true]);
    expect(call(pid, "wait4", { pid: child })).toMatchObject({ ret: child, status: { exited: 5 } });
    expect(m.broken()).toEqual([]);
  });

  test("a signal that kills one thread kills the process", () => {
    const child = Number(call(pid, "fork").ret);
    const tid = thread(child);
    ret(pid, "tgkill", { tgid: child, tid, sig: "SIGTERM" });
    expect(call(pid, "wait4", { pid: child })).toMatchObject({ ret: child, status: { signaled: "SIGTERM" } });
    expect(m.broken()).toEqual([]);
  });

  test("the word of set_tid_address is cleared, and who waits for it wakes", () => {
    const at = Number(page());
    const tid = thread(pid, `${THREAD}|CLONE_CHILD_SETTID|CLONE_CHILD_CLEARTID`, { child_tid: at });
    const wait = call(pid, "futex", { uaddr: at, futex_op: "FUTEX_WAIT", val: tid });
    expect(wait.state).toBe("sleeping");
    call(tid, "exit", { status: 0 });
    expect(m.stand(wait.callId as string)).toMatchObject({ state: "returned", ret: 0 });
    expect(call(pid, "load", { addr: at, length: 4 }).buf).toMatchObject({ base64: "AAAAAA==" });
    expect(m.broken()).toEqual([]);
  });

  test("a robust futex of a dead thread is marked and one waiter wakes", () => {
    const at = Number(page());
    const tid = thread();
    // struct robust_list_head at +0 (one entry at +64), futex word 16 bytes behind the entry, held by the thread with waiters.
    const head = Buffer.alloc(24);
    head.writeBigUInt64LE(BigInt(at + 64), 0);
    head.writeBigInt64LE(16n, 8);
    call(pid, "store", { addr: at, buf: { hex: head.toString("hex") } });
    call(pid, "store", { addr: at + 64, buf: { u64: at } });
    const held = Buffer.alloc(4);
    held.writeUInt32LE((0x8000_0000 | tid) >>> 0);
    call(pid, "store", { addr: at + 80, buf: { hex: held.toString("hex") } });
    expect(ret(tid, "set_robust_list", { head: at, len: 24 })).toBe(0);
    const wait = call(pid, "futex", { uaddr: at + 80, futex_op: "FUTEX_WAIT", val: (0x8000_0000 | tid) >>> 0 });
    call(tid, "exit", { status: 0 });
    expect(m.stand(wait.callId as string)).toMatchObject({ state: "returned", ret: 0 });
    const { base64 } = call(pid, "load", { addr: at + 80, length: 4 }).buf as { base64: string };
    expect(Buffer.from(base64, "base64").readUInt32LE()).toBe(0xc000_0000);
  });

  test("a group that nobody waits for goes at once, with what it had open", () => {
    const [readEnd, writeEnd] = call(pid, "pipe2", { flags: "0" }).pipefd as [number, number];
    const child = Number(call(pid, "fork").ret);
    thread(child);
    call(pid, "rt_sigaction", { signum: "SIGCHLD", act: { sa_handler: "SIG_IGN" } });
    call(pid, "close", { fd: writeEnd });
    const read = call(pid, "read", { fd: readEnd, count: 1 });
    expect(read.state).toBe("sleeping");
    call(child, "exit_group", { status: 0 });
    expect(m.stand(read.callId as string)).toMatchObject({ state: "returned", ret: 0 });
    expect(gone(child)).toBe(true);
    expect(m.broken()).toEqual([]);
  });
});

test("a vfork parent waits on though its child makes threads, with CLONE_VFORK too, and they end", () => {
  const asleep = call(pid, "vfork");
  const child = Math.max(...m.kernel.state.sched.tasks.keys());
  const tid = thread(child, `${THREAD}|CLONE_VFORK`);
  expect(tid).toBeGreaterThan(child);
  call(tid, "exit", { status: 0 });
  expect(gone(tid)).toBe(true);
  expect(m.stand(String(asleep.callId)).state).toBe("sleeping");
  call(child, "exit_group", { status: 0 });
  expect(m.stand(String(asleep.callId))).toMatchObject({ state: "returned", ret: child });
  expect(m.broken()).toEqual([]);
});
