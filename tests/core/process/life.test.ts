/** Processes from fork to the parent that waits: vfork, limits, pids, orphans, kernel threads, and taking one back. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { createDriven, createProgram, kthread, PROCESS_LIMIT } from "../../../core/process/create.ts";
import { processInvariants } from "../../../core/process/invariants.ts";
import { allocPid } from "../../../core/process/pid.ts";
import { loadsNow } from "../../../core/sched/loadavg.ts";
import { NEXT, run, steps, to } from "../../../core/sched/steps.ts";
import { taskOf } from "../../../core/sched/task.ts";
import { sys } from "../../../core/syscalls/enter.ts";
import { CoreMachine } from "../../helpers/core.ts";

type Answer = { [field: string]: Json };

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

function exists(tid: number): boolean {
  return m.kernel.state.sched.tasks.has(tid);
}

describe("fork", () => {
  test("a vfork parent sleeps until its child ends, deaf to what would not kill it", () => {
    const asleep = call(pid, "vfork");
    expect(asleep).toMatchObject({ state: "sleeping", wchan: "kernel_clone" });
    const child = Math.max(...m.kernel.state.sched.tasks.keys());
    call(pid === child ? 0 : child, "rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count" } });
    expect(ret(child, "kill", { pid, sig: "SIGWINCH" })).toBe(0);
    expect(m.stand(asleep.callId as string).state).toBe("sleeping");
    call(child, "exit", { status: 0 });
    expect(m.stand(asleep.callId as string)).toMatchObject({ state: "returned", ret: child });
    expect(m.broken()).toEqual([]);
  });

  test("SIGTERM, which kills, ends the wait for a vfork child too", () => {
    const shell = Number(call(pid, "fork").ret);
    call(shell, "vfork");
    const child = Math.max(...m.kernel.state.sched.tasks.keys());
    ret(pid, "kill", { pid: shell, sig: "SIGTERM" });
    expect(call(pid, "wait4", { pid: shell })).toMatchObject({ status: { signaled: "SIGTERM" } });
    expect(ret(child, "getppid")).toBe(1);
    expect(m.broken()).toEqual([]);
  });

  test("a user has RLIMIT_NPROC tasks at most, root more", async () => {
    const user = await m.createProcess(1000);
    call(user, "prlimit64", { resource: "RLIMIT_NPROC", new_limit: { rlim_cur: 2, rlim_max: 2 } });
    expect(typeof ret(user, "fork")).toBe("number");
    expect(ret(user, "fork")).toBe("EAGAIN");
    call(pid, "prlimit64", { resource: "RLIMIT_NPROC", new_limit: { rlim_cur: 1, rlim_max: 1 } });
    expect(typeof ret(pid, "fork")).toBe("number");
  });

  test("a kernel has a limit of tasks, and says EAGAIN at it", () => {
    for (let made = m.kernel.state.sched.tasks.size; made < PROCESS_LIMIT; made++) kthread(m.kernel, `worker/${made}`);
    expect(ret(pid, "fork")).toBe("EAGAIN");
    expect(kthread(m.kernel, "one more")).toBe(-11);
    expect(createDriven(m.kernel, { comm: "sh", uid: 0, member: "owner", home: "/root" })).toBe(-11);
    expect(processInvariants(m.kernel)).toEqual([]);
  });

  test("memory that cannot be promised is ENOMEM, and nothing is left behind", () => {
    call(pid, "mmap", { length: 4 << 20, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    m.kernel.state.mm.overcommitMemory = 2;
    m.kernel.state.mm.overcommitRatio = 0;
    const before = m.kernel.state.sched.tasks.size;
    expect(ret(pid, "fork")).toBe("ENOMEM");
    expect(m.kernel.state.sched.tasks.size).toBe(before);
    m.kernel.state.mm.overcommitMemory = 0;
    expect(m.broken()).toEqual([]);
  });
});

describe("pids", () => {
  test("go round at 32768, skip the lowest 300, and are not given while a group or session bears them", () => {
    const { sched } = m.kernel.state;
    sched.nextPid = 32766;
    expect([allocPid(m.kernel), allocPid(m.kernel)]).toEqual([32766, 32767]);
    expect(allocPid(m.kernel)).toBe(300);
    const child = Number(call(pid, "fork").ret);
    const grandchild = Number(call(child, "fork").ret);
    call(child, "setsid");
    const member = Number(call(child, "fork").ret);
    call(child, "exit");
    call(pid, "wait4", { pid: child });
    expect(exists(child)).toBe(false);
    sched.nextPid = child;
    expect(allocPid(m.kernel)).not.toBe(child); // its session lives on
    expect([exists(grandchild), exists(member)]).toEqual([true, true]);
  });
});

describe("orphans", () => {
  test("go to init, which reaps them", () => {
    const child = Number(call(pid, "fork").ret);
    const grandchild = Number(call(child, "fork").ret);
    call(child, "exit");
    expect(ret(grandchild, "getppid")).toBe(1);
    call(grandchild, "exit", { status: 1 });
    expect(exists(grandchild)).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("zombies of a dying parent go with it", () => {
    const child = Number(call(pid, "fork").ret);
    const grandchild = Number(call(child, "fork").ret);
    call(grandchild, "exit");
    expect(exists(grandchild)).toBe(true);
    call(child, "exit");
    expect(exists(grandchild)).toBe(false);
    expect(m.broken()).toEqual([]);
  });
});

describe("taking a process back", () => {
  test("one that a caller made is gone, with a call asleep in it", () => {
    const asleep = call(pid, "pause");
    const output = m.feed({ type: "killProcess", pid });
    expect(output.refusal).toBeUndefined();
    expect(m.stand(asleep.callId as string)).toMatchObject({ state: "ended", signaled: "SIGKILL" });
    expect(exists(pid)).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("a forked child stays a zombie for its parent", () => {
    const child = Number(call(pid, "fork").ret);
    m.feed({ type: "killProcess", pid: child });
    expect(exists(child)).toBe(true);
    expect(call(pid, "wait4", { pid: child })).toMatchObject({ status: { signaled: "SIGKILL" } });
  });

  test("one made below another process is reaped all the same", () => {
    const made = m.feed({ type: "createProcess", comm: "sh", uid: 0, parent: pid, member: "owner", home: "/root" }).pid ?? 0;
    expect(ret(made, "getppid")).toBe(pid);
    m.feed({ type: "killProcess", pid: made });
    expect(exists(made)).toBe(false);
    expect(ret(pid, "wait4", { pid: -1, options: "WNOHANG" })).toBe("ECHILD");
  });

  test("the kernel's own are refused", () => {
    expect(m.feed({ type: "killProcess", pid: 1 }).refusal).toMatchObject({ refused: "busy" });
    expect(m.feed({ type: "killProcess", pid: 2 }).refusal).toMatchObject({ refused: "busy" });
    expect(m.feed({ type: "killProcess", pid: 31000 }).refusal).toMatchObject({ refused: "no-process" });
  });

  test("a home that is not there is an errno, and no process", () => {
    const before = m.kernel.state.sched.tasks.size;
    expect(m.feed({ type: "createProcess", comm: "sh", uid: 0, member: "owner", home: "/nowhere" }).refusal).toMatchObject({ refused: "errno" });
    expect(m.kernel.state.sched.tasks.size).toBe(before);
    expect(m.broken()).toEqual([]);
  });
});

const worker = steps<{ left: number }>("test.worker", {
  work: () => run(1_000_000),
  end: () => 5,
});

interface Forking {
  children: number[];
  role: string;
}

/** A program that forks, and tells its halves apart by what fork answered. */
const forking = steps<Forking>("test.forking", {
  fork: (k, task, frame) => sys(k, task, frame, "fork", []),
  forked: (_k, _task, frame) => {
    frame.locals.role = frame.ret === 0 ? "child" : "parent";
    frame.locals.children.push(Number(frame.ret));
    return NEXT;
  },
  wait: (k, task, frame) => (frame.locals.role === "child" ? -1 : sys(k, task, frame, "wait4", [-1, 0, 0, 0])),
  end: (_k, _task, { ret: waited, locals }) => (waited === locals.children[0] ? 0 : -2),
});

describe("what runs by itself", () => {
  test("a kernel thread whose code returns is gone", () => {
    const task = kthread(m.kernel, "worker", worker, { left: 1 });
    if (typeof task === "number") throw new Error("no thread");
    expect(exists(task.tid)).toBe(true);
    m.advance(5);
    expect(exists(task.tid)).toBe(false);
    expect(m.broken()).toEqual([]);
  });

  test("a program that forks goes on twice, with frames that share nothing", () => {
    const task = createProgram(m.kernel, {
      comm: "forking", uid: 0, member: "owner", home: "/root", code: "process.program",
      locals: { code: forking.name, locals: { children: [], role: "" } },
    });
    if (typeof task === "number") throw new Error("no process");
    m.advance(10);
    expect(exists(task.tid)).toBe(false); // waited for its child, and ended
    expect(m.broken()).toEqual([]);
  });
});

describe("the load average", () => {
  test("rises while tasks run, falls when they rest", () => {
    for (let made = 0; made < 3; made++) kthread(m.kernel, `busy/${made}`, busy, {});
    m.advance(30_000);
    const [one, five] = loadsNow(m.kernel).loads;
    expect(one).toBeGreaterThan(five);
    expect(one / 2048).toBeGreaterThan(1);
    expect(m.text("/proc/loadavg")).toMatch(/^[1-3]\.\d\d 0\.\d\d 0\.\d\d /);
  });
});

const busy = steps<object>("test.busy", { spin: () => run(10_000_000), again: () => to("spin") });

test("the invariants see a process that is broken", () => {
  const child = Number(call(pid, "fork").ret);
  const task = taskOf(m.kernel, child);
  task.signalPending = true;
  expect(processInvariants(m.kernel).join()).toContain(`task ${child} says signalPending true`);
  task.signalPending = false;
  task.state = "zombie";
  expect(processInvariants(m.kernel).join()).toContain(`zombie ${child} has memory`);
});

describe("descriptors of processes", () => {
  test("a child's pidfd wakes who polls it, is waited for, and names nobody afterwards", () => {
    const at = Number(call(pid, "mmap", { length: 4096, prot: 3, flags: "MAP_PRIVATE|MAP_ANONYMOUS", fd: -1, offset: 0 }).ret);
    const child = Number(call(pid, "clone", { flags: "CLONE_PIDFD|SIGCHLD", parent_tid: { addr: at } }).ret);
    const told = call(pid, "load", { addr: at, length: 4 }).buf as { base64: string };
    const pidfd = Buffer.from(told.base64, "base64").readInt32LE();
    const open = { fd: pidfd, cmd: "F_GETFD" };
    expect(ret(pid, "fcntl", open)).toBe(1);
    expect(ret(child, "fcntl", open)).toBe("EBADF");
    expect(m.text(`/proc/${pid}/fdinfo/${pidfd}`)).toContain(`Pid:\t${child}\n`);
    const poll = { fds: [{ fd: pidfd, events: "POLLIN" }], timeout: -1 };
    const asleep = call(pid, "poll", poll);
    expect(asleep).toMatchObject({ state: "sleeping" });
    call(child, "exit_group", { status: 4 });
    expect(m.stand(String(asleep.callId))).toMatchObject({ state: "returned", ret: 1, fds: [{ revents: "POLLIN" }] });
    expect(ret(pid, "pidfd_send_signal", { pidfd, sig: 0 })).toBe(0);
    expect(call(pid, "waitid", { idtype: "P_PIDFD", id: pidfd, options: "WEXITED" })).toMatchObject({ ret: 0, infop: { si_pid: child, si_status: 4 } });
    expect(ret(pid, "waitid", { idtype: "P_PIDFD", id: pidfd, options: "WEXITED" })).toBe("ECHILD");
    expect(ret(pid, "pidfd_send_signal", { pidfd, sig: 0 })).toBe("ESRCH");
    expect(ret(pid, "close", { fd: pidfd })).toBe(0);
    expect(m.kernel.state.process.pidfds.size).toBe(0);
    expect(m.broken()).toEqual([]);
  });
});

describe("what forks would multiply is bounded", () => {
  test("descriptors of all tables together", () => {
    const most = (1 << 19) + 1;
    call(pid, "setrlimit", { resource: "RLIMIT_NOFILE", rlim: { rlim_cur: 1 << 20, rlim_max: 1 << 20 } });
    expect(ret(pid, "dup2", { oldfd: 0, newfd: 3 })).toBe(3);
    const { fs } = m.kernel.state;
    const { fds } = fs.fdTables.get(taskOf(m.kernel, pid).files)!;
    const file = fds.get(3)!;
    const begun = fds.size;
    for (let fd = 4; fds.size < most; fd++) fds.set(fd, file);
    fs.files.get(Math.abs(file))!.refs += most - begun;
    const thread = Number(ret(pid, "clone", { flags: "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD" }));
    expect(ret(pid, "fork")).toBe("ENOMEM");
    expect(ret(thread, "unshare", { flags: "CLONE_FILES" })).toBe("ENOMEM");
    expect(ret(thread, "close_range", { first: 10, last: 4294967295, flags: "CLOSE_RANGE_UNSHARE" })).toBe("ENOMEM");
    expect(ret(pid, "close_range", { first: 4, last: 4294967295 })).toBe(0);
    expect(ret(pid, "fork")).toBeGreaterThan(0);
    expect(m.broken()).toEqual([]);
  });

  test("supplementary groups of one process", () => {
    const list = (size: number): Json => ({ base64: Buffer.alloc(size * 4, 1).toString("base64") });
    expect(ret(pid, "setgroups", { size: 1024, list: list(1024) })).toBe(0);
    expect(ret(pid, "setgroups", { size: 1025, list: list(1025) })).toBe("ENOMEM");
    expect(ret(pid, "getgroups", { size: 0 })).toBe(1024);
  });
});
