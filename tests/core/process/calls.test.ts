/** The calls as a caller of the service sees them: JSON in and out, the strace line, sleeping through a snapshot. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { ITIMER_PROF } from "../../../core/abi/time.ts";
import { createProgram } from "../../../core/process/create.ts";
import { setItimer } from "../../../core/process/itimer.ts";
import { run, steps, to } from "../../../core/sched/steps.ts";
import { groupOf } from "../../../core/sched/task.ts";
import { CoreMachine } from "../../helpers/core.ts";
import { copy, expectSame } from "../../helpers/replay.ts";

type Answer = { [field: string]: Json };

let m: CoreMachine;
let pid: number;

beforeEach(async () => {
  m = new CoreMachine({ ramMiB: 16 });
  pid = await m.createProcess();
});

function call(by: number, name: string, args: Json = {}): Answer {
  return m.callNow(by, name, args) as unknown as Answer;
}

function strace(by: number, name: string, args: Json = {}): string {
  return call(by, name, args).strace as string;
}

describe("structures in JSON", () => {
  test("sigaction, signal sets and siginfo", () => {
    const act = { sa_handler: "count", sa_flags: "SA_RESTART", sa_mask: ["SIGUSR2"] };
    expect(call(pid, "rt_sigaction", { signum: "SIGUSR1", act }).oldact).toEqual({ sa_handler: "SIG_DFL", sa_flags: 0, sa_mask: [] });
    expect(call(pid, "rt_sigaction", { signum: 10 }).oldact).toEqual({ sa_handler: "count", sa_flags: 0x1000_0000, sa_mask: ["SIGUSR2"] });
    call(pid, "rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "0x401000" } });
    expect(call(pid, "rt_sigaction", { signum: "SIGUSR1" }).oldact).toMatchObject({ sa_handler: "0x401000" });
    call(pid, "rt_sigprocmask", { how: "SIG_SETMASK", set: ["SIGUSR1", "SIGKILL", "SIGRT_2"] });
    expect(call(pid, "rt_sigprocmask", {}).oldset).toEqual(["SIGUSR1", "SIGRT_2"]);
    call(pid, "rt_sigqueueinfo", { tgid: pid, sig: "SIGRT_2", info: { si_code: "SI_QUEUE", si_pid: 5, si_uid: 6, si_value: 7 } });
    expect(call(pid, "rt_sigtimedwait", { set: ["SIGRT_2"] })).toMatchObject({
      ret: 34, info: { si_signo: 34, si_code: -1, si_pid: 5, si_uid: 6, si_value: 7 },
    });
  });

  test("wait status, usage and limits", () => {
    const child = Number(call(pid, "fork").ret);
    call(child, "exit", { status: 300 });
    expect(call(pid, "wait4", { pid: -1 })).toMatchObject({
      ret: child, wstatus: 44 << 8, status: { exited: 44 }, rusage: { ru_utime: { tv_sec: 0 } },
    });
    expect(call(pid, "wait4", { pid: -1, options: "WNOHANG" })).toMatchObject({ errno: "ECHILD" });
    expect(call(pid, "getrlimit", { resource: "RLIMIT_NOFILE" }).rlim).toEqual({ rlim_cur: 1024, rlim_max: 4096 });
    expect(call(pid, "getrlimit", { resource: "RLIMIT_CPU" }).rlim).toEqual({ rlim_cur: "18446744073709551615", rlim_max: "18446744073709551615" });
    expect(call(pid, "prlimit64", { resource: "RLIMIT_NOFILE", new_limit: { rlim_cur: 10, rlim_max: "0x20" } }).old_limit)
      .toEqual({ rlim_cur: 1024, rlim_max: 4096 });
    expect(call(pid, "prlimit64", { resource: "RLIMIT_NOFILE" }).old_limit).toEqual({ rlim_cur: 10, rlim_max: 32 });
  });

  test("ids, groups, capabilities, CPUs", () => {
    call(pid, "setgroups", { list: [7, 5], size: 2 });
    expect(call(pid, "getgroups", { size: 10 })).toMatchObject({ ret: 2, list: [5, 7] });
    expect(call(pid, "getgroups", {})).toMatchObject({ ret: 2 });
    call(pid, "setresuid", { ruid: 1, euid: 2, suid: 3 });
    expect(call(pid, "getresuid")).toMatchObject({ ruid: 1, euid: 2, suid: 3 });
    const none = { effective: 0, permitted: 0, inheritable: 0 };
    expect(call(pid, "capget", { hdrp: { version: 0x20080522 } }).datap).toEqual([none, none]);
    expect(call(pid, "sched_getaffinity")).toMatchObject({ ret: 8, mask: [0, 1] });
    expect(call(pid, "sched_setaffinity", { mask: [1] })).toMatchObject({ ret: 0 });
    expect(call(pid, "getcpu").cpu).toBe(1);
    expect(m.broken()).toEqual([]);
  });

  test("names, times, random bytes", () => {
    expect(call(pid, "uname").buf).toMatchObject({ sysname: "Linux", nodename: "syslab", release: "6.1.0-syslab", machine: "x86_64" });
    call(pid, "sethostname", { name: "lab1" });
    expect(call(pid, "uname").buf).toMatchObject({ nodename: "lab1" });
    expect(m.text("/proc/sys/kernel/hostname")).toBe("lab1\n");
    expect(call(pid, "prctl", { option: "PR_SET_NAME", arg2: "worker" })).toMatchObject({ ret: 0 });
    expect(m.text(`/proc/${pid}/comm`)).toBe("worker\n");
    const { text } = call(pid, "prctl", { option: "PR_GET_NAME", arg2: { out: 16 } }).arg2 as { text: string };
    expect(text.replace(/\0.*/s, "")).toBe("worker");
    expect(call(pid, "clock_gettime", { clockid: "CLOCK_REALTIME" }).tp).toMatchObject({ tv_sec: 1_704_067_200 });
    const random = (): string => (call(pid, "getrandom", { buflen: 100_000 }).buf as { base64: string }).base64;
    expect(Buffer.from(random(), "base64")).toHaveLength(100_000);
    expect(random()).not.toBe(random());
  });
});

describe("strace lines", () => {
  test("of processes and waiting", () => {
    const child = Number(call(pid, "fork").ret);
    expect(call(child, "exit_group", { status: 3 }).strace).toBe("exit_group(3) = ?");
    expect(strace(pid, "wait4", { pid: -1, rusage: null })).toBe(`wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = ${child}`);
    const stopped = Number(call(pid, "fork").ret);
    expect(strace(pid, "kill", { pid: stopped, sig: "SIGSTOP" })).toBe(`kill(${stopped}, SIGSTOP) = 0`);
    expect(strace(pid, "wait4", { pid: stopped, options: "WUNTRACED", rusage: null }))
      .toBe(`wait4(${stopped}, [{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}], WSTOPPED, NULL) = ${stopped}`);
    expect(m.text(`/proc/${stopped}/wchan`)).toContain("do_signal_stop");
  });

  test("of signals", () => {
    expect(strace(pid, "rt_sigprocmask", { how: "SIG_BLOCK", set: ["SIGUSR1", "SIGTERM"], oldset: null }))
      .toBe("rt_sigprocmask(SIG_BLOCK, [USR1 TERM], NULL, 8) = 0");
    expect(strace(pid, "rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "SIG_IGN", sa_flags: "SA_RESTART" }, oldact: null }))
      .toBe("rt_sigaction(SIGUSR1, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=SA_RESTART}, NULL, 8) = 0");
    expect(strace(pid, "rt_sigaction", { signum: "SIGKILL", act: { sa_handler: "SIG_IGN" } })).toContain("= -1 EINVAL (Invalid argument)");
  });

  test("of futexes", () => {
    expect(strace(pid, "futex", { uaddr: 4096, futex_op: "FUTEX_WAKE_PRIVATE", val: 1 })).toContain("futex(0x1000, FUTEX_WAKE_PRIVATE, 1");
    expect(strace(pid, "futex", { uaddr: 4096, futex_op: "FUTEX_WAIT_PRIVATE", val: 1, timeout: { tv_sec: 1 } }))
      .toContain("futex(0x1000, FUTEX_WAIT_PRIVATE, 1, {tv_sec=1, tv_nsec=0}");
  });
});

describe("sleeping", () => {
  test("a handler is told by the call that it interrupts", () => {
    call(pid, "rt_sigaction", { signum: "SIGALRM", act: { sa_handler: "count" } });
    call(pid, "alarm", { seconds: 1 });
    const asleep = call(pid, "nanosleep", { req: { tv_sec: 5 } });
    expect(asleep).toMatchObject({ state: "sleeping", wchan: "hrtimer_nanosleep" });
    m.advance(1500);
    expect(m.stand(asleep.callId as string)).toMatchObject({ errno: "EINTR", delivered: ["SIGALRM"], rem: { tv_sec: 3 } });
  });

  test("sleeps, waits, timers and futexes go on in a restored kernel as in the first", () => {
    const other = Number(call(pid, "fork").ret);
    const at = call(other, "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED|MAP_ANONYMOUS" }).ret;
    const waiting = call(pid, "wait4", { pid: other });
    const third = m.feed({ type: "createProcess", comm: "sh", uid: 0, member: "owner", home: "/root" }).pid ?? 0;
    call(third, "setitimer", { which: "ITIMER_REAL", new_value: { it_value: { tv_usec: 400_000 }, it_interval: { tv_usec: 300_000 } } });
    call(third, "rt_sigaction", { signum: "SIGALRM", act: { sa_handler: "count", sa_flags: "SA_RESTART" } });
    call(third, "nanosleep", { req: { tv_sec: 2 } });
    call(other, "futex", { uaddr: at, futex_op: "FUTEX_WAIT", timeout: { tv_sec: 1 } });
    m.advance(100);
    expect(m.broken()).toEqual([]);
    const first = m.kernel;
    const second = copy(first);
    const ends = [first, second].map((kernel) => {
      m.kernel = kernel;
      m.advance(3000);
      call(other, "exit", { status: 6 });
      return JSON.stringify(m.stand(waiting.callId as string));
    });
    expect(ends[0]).toBe(ends[1]);
    expect(JSON.parse(ends[0])).toMatchObject({ status: { exited: 6 } });
    expectSame(first, second);
    expect(m.broken()).toEqual([]);
  });
});

interface Spin {
  left: number;
}

const spin = steps<Spin>("test.spin", {
  run: () => run(1_000_000),
  again: (_k, _task, { locals }) => (--locals.left > 0 ? to("run") : 0),
});

describe("CPU timers", () => {
  test("count what a process uses, not what passes", async () => {
    const task = createProgram(m.kernel, {
      comm: "spin", uid: 0, member: "owner", home: "/root", code: "process.program", locals: { code: spin.name, locals: { left: 200 } },
    });
    if (typeof task === "number") throw new Error("no process");
    call(pid, "setitimer", { which: "ITIMER_VIRTUAL", new_value: { it_value: { tv_sec: 1 } } });
    m.advance(5000);
    expect(call(pid, "getitimer", { which: "ITIMER_VIRTUAL" }).curr_value).toMatchObject({ it_value: { tv_sec: 1 } });
    expect(m.kernel.state.sched.tasks.has(task.tid)).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("send their signal at the tick after the time is used", () => {
    const task = createProgram(m.kernel, {
      comm: "spin", uid: 0, member: "owner", home: "/root", code: "process.program", locals: { code: spin.name, locals: { left: 500 } },
    });
    if (typeof task === "number") throw new Error("no process");
    setItimer(m.kernel, groupOf(m.kernel, task), ITIMER_PROF, { valueNs: 100_000_000, intervalNs: 0 });
    const { events, nowNs } = m.advance(1);
    expect(nowNs).toBeLessThan(110_000_000);
    expect(events).toContainEqual({ event: "process", data: { pid: task.tid, what: "exited", signaled: "SIGPROF" } });
    expect(m.broken()).toEqual([]);
  });
});

describe("numbers of 64 bits", () => {
  test("a limit is told as it was set", () => {
    const rlim = { rlim_cur: "9223372036854775807", rlim_max: "18446744073709551614" };
    expect(call(pid, "setrlimit", { resource: "RLIMIT_FSIZE", rlim }).ret).toBe(0);
    expect(call(pid, "getrlimit", { resource: "RLIMIT_FSIZE" }).rlim).toEqual(rlim);
    expect(m.text(`/proc/${pid}/limits`)).toContain("Max file size             9223372036854775807  18446744073709551614 bytes");
    expect(m.broken()).toEqual([]);
  });

  test("securebits has eight bits, and a bit of it keeps capabilities from becoming ambient", () => {
    expect(call(pid, "prctl", { option: "PR_SET_SECUREBITS", arg2: 0x2_0000_0000 }).errno).toBe("EPERM");
    expect(call(pid, "prctl", { option: "PR_GET_SECUREBITS" }).ret).toBe(0);
    const header = { version: 0x20080522, pid: 0 };
    const { datap } = call(pid, "capget", { hdrp: header });
    call(pid, "capset", { hdrp: header, datap: (datap as Answer[]).map((half) => ({ ...half, inheritable: half.permitted })) });
    const raise = (): Json => call(pid, "prctl", { option: "PR_CAP_AMBIENT", arg2: 2, arg3: 0 }).errno;
    expect(raise()).toBeNull();
    call(pid, "prctl", { option: "PR_SET_SECUREBITS", arg2: 1 << 6 });
    expect(raise()).toBe("EPERM");
  });
});
