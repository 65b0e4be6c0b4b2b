/** Signals at their corners: what is forced, the order in which they are taken, masks of a call, limits of the queue, timers' signals. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { exitedStatus } from "../../../core/abi/wait.ts";
import { queuedSignals } from "../../../core/sched/signal.ts";
import { groupOf, taskOf } from "../../../core/sched/task.ts";
import { CoreMachine } from "../../helpers/core.ts";

type Answer = { [field: string]: Json };

const THREAD = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM";

let m: CoreMachine;
let pid: number;

beforeEach(async () => {
  m = new CoreMachine({ ramMiB: 16, swapMiB: 0 });
  pid = await m.createProcess();
});

function call(by: number, name: string, args: Json = {}): Answer {
  return m.callNow(by, name, args) as unknown as Answer;
}

function ret(by: number, name: string, args: Json = {}): Json {
  const answer = call(by, name, args);
  return answer.errno ?? answer.ret;
}

function count(by: number, ...signals: string[]): void {
  for (const signum of signals) call(by, "rt_sigaction", { signum, act: { sa_handler: "count" } });
}

function block(by: number, ...set: string[]): void {
  call(by, "rt_sigprocmask", { how: "SIG_BLOCK", set });
}

const sigQ = (): string => /SigQ:\t(\S+)/.exec(m.text(`/proc/${pid}/status`))?.[1] ?? "";

describe("how signals are taken", () => {
  test("a fault kills though its signal is blocked and waits already", () => {
    block(pid, "SIGSEGV");
    call(pid, "tgkill", { tgid: pid, tid: pid, sig: "SIGSEGV" });
    expect(call(pid, "load", { addr: "0x10", length: 4 })).toMatchObject({ state: "ended", signaled: "SIGSEGV" });
    expect(m.broken()).toEqual([]);
  });

  test("those of faults come first, then the lowest number", () => {
    block(pid, "SIGHUP", "SIGBUS", "SIGSEGV", "SIGQUIT");
    for (const sig of ["SIGQUIT", "SIGHUP", "SIGSEGV", "SIGBUS"]) call(pid, "kill", { pid, sig });
    const taken = [1, 2, 3, 4].map(() => ret(pid, "rt_sigtimedwait", { set: ["SIGHUP", "SIGBUS", "SIGSEGV", "SIGQUIT"] }));
    expect(taken).toEqual([7, 11, 1, 3]);
  });

  test("all 64 are told apart", () => {
    const numbers = [64, 33, 32, 31, 1];
    const set = numbers.map((number) => 1n << BigInt(number - 1)).reduce((all, one) => all | one);
    const bytes = new Uint8Array(new BigUint64Array([set]).buffer);
    const mask = { base64: Buffer.from(bytes).toString("base64") };
    call(pid, "rt_sigprocmask", { how: "SIG_BLOCK", set: mask });
    for (const sig of numbers) expect(ret(pid, "kill", { pid, sig })).toBe(0);
    expect((call(pid, "rt_sigpending").set as Json[]).length).toBe(5);
    expect(numbers.map(() => ret(pid, "rt_sigtimedwait", { set: mask }))).toEqual([31, 1, 32, 33, 64]);
    expect(m.broken()).toEqual([]);
  });

  test("what sigsuspend's own mask held back is delivered before the call answers", () => {
    count(pid, "SIGUSR1", "SIGUSR2");
    const { callId } = call(pid, "rt_sigsuspend", { mask: ["SIGUSR2"] });
    m.feed({ type: "signal", pid, signal: 12, uid: 0 });
    expect(m.stand(String(callId)).state).toBe("sleeping");
    m.feed({ type: "signal", pid, signal: 10, uid: 0 });
    expect(m.stand(String(callId))).toMatchObject({ state: "returned", errno: "EINTR", delivered: ["SIGUSR1", "SIGUSR2"] });
    expect(m.broken()).toEqual([]);
  });

  test("while one thread is deaf with a signal, another takes the next, and the first too", () => {
    const thread = Number(ret(pid, "clone", { flags: THREAD }));
    count(pid, "SIGUSR1", "SIGUSR2");
    call(pid, "vfork");
    const { callId } = call(thread, "pause");
    m.feed({ type: "signal", pid, signal: 10, uid: 0 });
    expect(m.stand(String(callId)).state).toBe("sleeping");
    m.feed({ type: "signal", pid, signal: 12, uid: 0 });
    expect(m.stand(String(callId))).toMatchObject({ errno: "EINTR", delivered: ["SIGUSR1", "SIGUSR2"] });
    expect(m.broken()).toEqual([]);
  });

  test("SIGKILL decides how the process ends, whatever else it finds as it goes on", () => {
    const child = Number(ret(pid, "fork"));
    call(pid, "kill", { pid: child, sig: "SIGSTOP" });
    call(pid, "tgkill", { tgid: child, tid: child, sig: "SIGQUIT" });
    call(pid, "kill", { pid: child, sig: "SIGKILL" });
    expect(call(pid, "wait4", { pid: child, options: 0 })).toMatchObject({ ret: child, wstatus: 9 });
  });

  test("SIGKILL to one that has ended changes nothing", () => {
    const child = Number(ret(pid, "fork"));
    call(child, "exit", { status: 3 });
    call(pid, "kill", { pid: child, sig: "SIGKILL" });
    expect(groupOf(m.kernel, taskOf(m.kernel, child)).exitStatus).toBe(exitedStatus(3));
  });
});

describe("RLIMIT_SIGPENDING", () => {
  beforeEach(() => {
    block(pid, "SIGUSR1", "SIGRT_1", "SIGRT_2");
    call(pid, "setrlimit", { resource: "RLIMIT_SIGPENDING", rlim: { rlim_cur: 3, rlim_max: 3 } });
  });

  const queue = (sig: string, code: Json = "SI_QUEUE"): Json => ret(pid, "rt_sigqueueinfo", { tgid: pid, sig, info: { si_code: code, si_value: 1 } });

  test("counts all of a user's processes; sigqueue is refused, kill arrives once", () => {
    const child = Number(ret(pid, "fork"));
    expect(ret(pid, "rt_sigqueueinfo", { tgid: child, sig: "SIGRT_1", info: { si_code: "SI_QUEUE" } })).toBe(0);
    expect([queue("SIGRT_1"), queue("SIGRT_1"), queue("SIGRT_1")]).toEqual([0, 0, "EAGAIN"]);
    expect([1, 2].map(() => ret(pid, "kill", { pid, sig: "SIGRT_2" }))).toEqual([0, 0]);
    expect(call(pid, "rt_sigtimedwait", { set: ["SIGRT_2"] })).toMatchObject({ ret: 34, info: { si_code: 0, si_pid: 0 } });
    expect(ret(pid, "rt_sigtimedwait", { set: ["SIGRT_2"], timeout: { tv_sec: 0, tv_nsec: 0 } })).toBe("EAGAIN");
    expect(sigQ()).toBe("3/3");
  });

  test("a timer has its place from its creation on", () => {
    const sevp = { sigev_notify: "SIGEV_SIGNAL", sigev_signo: "SIGRT_1" };
    expect(ret(pid, "timer_create", { clockid: "CLOCK_MONOTONIC", sevp })).toBe(0);
    expect([queue("SIGRT_1"), queue("SIGRT_1"), queue("SIGRT_1")]).toEqual([0, 0, "EAGAIN"]);
    expect(ret(pid, "timer_create", { clockid: "CLOCK_MONOTONIC", sevp })).toBe("EAGAIN");
    call(pid, "timer_settime", { timerid: 0, new_value: { it_value: { tv_sec: 1, tv_nsec: 0 }, it_interval: { tv_sec: 0, tv_nsec: 0 } } });
    m.advance(2000);
    expect([1, 2, 3].map(() => (call(pid, "rt_sigtimedwait", { set: ["SIGRT_1"] }).info as Answer).si_code)).toEqual([-1, -1, -2]);
  });

  test("who claims to be a timer is none: its signals are limited like others", () => {
    expect([1, 2, 3].map(() => queue("SIGUSR1", -2))).toEqual([0, 0, 0]);
    expect(queuedSignals(m.kernel, 0)).toBe(1);
    expect([1, 2, 3].map(() => queue("SIGRT_1", -2))).toEqual([0, 0, "EAGAIN"]);
  });
});

describe("timers' signals", () => {
  test("a timer of one thread stops when the thread is gone", async () => {
    const other = await m.createProcess();
    const tid = Number(ret(pid, "clone", { flags: THREAD }));
    count(pid, "SIGUSR1");
    count(other, "SIGUSR1");
    call(pid, "timer_create", { clockid: "CLOCK_MONOTONIC", sevp: { sigev_notify: "SIGEV_THREAD_ID", sigev_signo: "SIGUSR1", sigev_tid: tid } });
    const second = { tv_sec: 1, tv_nsec: 0 };
    call(pid, "timer_settime", { timerid: 0, new_value: { it_value: second, it_interval: second } });
    m.advance(1500);
    expect(await m.signalCount(pid, "SIGUSR1")).toBe(1);
    call(tid, "exit", { status: 0 });
    m.advance(5000);
    expect(await m.signalCount(pid, "SIGUSR1")).toBe(1);
    expect(m.broken()).toEqual([]);
  });

  test("execve takes away what waits of them", () => {
    block(pid, "SIGALRM", "SIGUSR1");
    call(pid, "timer_create", { clockid: "CLOCK_MONOTONIC" });
    call(pid, "timer_settime", { timerid: 0, new_value: { it_value: { tv_sec: 1, tv_nsec: 0 }, it_interval: { tv_sec: 0, tv_nsec: 0 } } });
    call(pid, "kill", { pid, sig: "SIGUSR1" });
    m.advance(1500);
    expect(groupOf(m.kernel, taskOf(m.kernel, pid)).pending.map(({ number }) => number).sort()).toEqual([10, 14]);
    call(pid, "execve", { pathname: "/bin/sleep", argv: ["sleep", "100"], envp: [] });
    expect(groupOf(m.kernel, taskOf(m.kernel, pid)).pending.map(({ number }) => number)).toEqual([10]);
  });

  test("alarm takes what an unsigned int holds", () => {
    call(pid, "alarm", { seconds: 4294967295 });
    m.advance(1000);
    expect(ret(pid, "alarm", { seconds: 0 })).toBe(4294967294);
  });

  test("a timer of CPU time has a tick more, and its period though it is disarmed; one of real time neither", () => {
    const set = (which: string, tv_sec: number): Json => {
      call(pid, "setitimer", { which, new_value: { it_value: { tv_sec, tv_usec: 0 }, it_interval: { tv_sec: 1, tv_usec: 0 } } });
      return call(pid, "getitimer", { which }).curr_value;
    };
    const second = { tv_sec: 1, tv_usec: 0 };
    expect([set("ITIMER_PROF", 0), set("ITIMER_REAL", 0)]).toEqual([
      { it_interval: second, it_value: { tv_sec: 0, tv_usec: 0 } }, { it_interval: { tv_sec: 0, tv_usec: 0 }, it_value: { tv_sec: 0, tv_usec: 0 } },
    ]);
    expect(set("ITIMER_VIRTUAL", 5)).toEqual({ it_interval: second, it_value: { tv_sec: 5, tv_usec: 4000 } });
    expect(set("ITIMER_REAL", 5)).toMatchObject({ it_value: { tv_sec: 4 } });
  });

  test("no time is longer than 292 years", () => {
    call(pid, "timer_create", { clockid: "CLOCK_PROCESS_CPUTIME_ID" });
    const never = { tv_sec: "4611686018427387904", tv_nsec: 0 };
    expect(ret(pid, "timer_settime", { timerid: 0, new_value: { it_value: never, it_interval: never } })).toBe(0);
    expect((call(pid, "timer_gettime", { timerid: 0 }).curr_value as Answer).it_value).toMatchObject({ tv_sec: 9223372036 });
  });

  test("a period of a nanosecond floods nobody: signals come apart, and the overruns count the rest", async () => {
    count(pid, "SIGALRM", "SIGUSR1");
    const shortest = { tv_sec: 0, tv_nsec: 1 };
    call(pid, "timer_create", { clockid: "CLOCK_MONOTONIC", sevp: { sigev_notify: "SIGEV_SIGNAL", sigev_signo: "SIGUSR1" } });
    call(pid, "timer_settime", { timerid: 0, new_value: { it_value: shortest, it_interval: shortest } });
    call(pid, "setitimer", { which: "ITIMER_REAL", new_value: { it_value: { tv_sec: 0, tv_usec: 1 }, it_interval: { tv_sec: 0, tv_usec: 1 } } });
    m.advance(10);
    for (const signal of ["SIGALRM", "SIGUSR1"]) {
      const counted = await m.signalCount(pid, signal);
      expect(counted).toBeGreaterThan(90);
      expect(counted).toBeLessThanOrEqual(101);
    }
    expect(ret(pid, "timer_getoverrun", { timerid: 0 })).toBeGreaterThanOrEqual(99_999);
    expect(m.broken()).toEqual([]);
  });
});
