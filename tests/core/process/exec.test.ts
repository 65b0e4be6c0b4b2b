/** execve: what stays, what goes, what is refused, and in which order. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { NEXT, steps } from "../../../core/sched/steps.ts";
import { groupOf, taskOf } from "../../../core/sched/task.ts";
import { sleepOn } from "../../../core/sched/wait_queue.ts";
import { sys } from "../../../core/syscalls/enter.ts";
import { tables } from "../../../core/tables.ts";
import { CoreMachine } from "../../helpers/core.ts";

type Answer = { [field: string]: Json };

let m: CoreMachine;
let pid: number;

/** A program that leaves with its argument, and one that stays. */
const leave = steps<{ status: number }>("test.leave", {
  exit: (k, task, frame) => sys(k, task, frame, "exit_group", [frame.locals.status]),
  never: () => NEXT,
});
const stay = steps<object>("test.stay", { wait: (k) => sleepOn(k.state.log.wait, { wchan: "stay" }) });

const { execProgram } = tables.hooks;
let seen: { path: string; argv: string[]; envp: string[] } | null = null;

beforeAll(() => {
  tables.hooks.execProgram = (_k, path, argv, envp) => {
    if (!path.startsWith("/opt/")) return null;
    seen = { path, argv, envp };
    return path === "/opt/leave" ? { code: leave.name, locals: { status: Number(argv[1]) } } : { code: stay.name, locals: {} };
  };
});

afterAll(() => {
  tables.hooks.execProgram = execProgram;
});

beforeEach(async () => {
  m = new CoreMachine({ ramMiB: 16 });
  pid = await m.createProcess();
  seen = null;
  call(pid, "mkdir", { pathname: "/opt", mode: "0755" });
  make("/opt/leave", "\x7fELF");
  make("/opt/stay", "\x7fELF");
});

function call(by: number, name: string, args: Json = {}): Answer {
  return m.callNow(by, name, args) as unknown as Answer;
}

function make(pathname: string, content: string, mode = "0755"): void {
  const fd = call(pid, "openat", { pathname, flags: "O_CREAT|O_WRONLY", mode }).ret;
  call(pid, "write", { fd, buf: content });
  call(pid, "close", { fd });
}

function exec(by: number, pathname: string, argv: string[] = [pathname], envp: string[] = []): Answer {
  return call(by, "execve", { pathname, argv, envp });
}

describe("what is refused", () => {
  test("in the order of path, kind, rights, format", () => {
    make("/root/text", "hello");
    make("/root/plain", "hello", "0644");
    make("/root/loop", "#!/root/loop\n");
    make("/root/lost", "#!/nowhere/sh\n");
    make("/root/empty", "#!  \n");
    const told = (path: string): Json => exec(pid, path).errno;
    expect(told("/root/none")).toBe("ENOENT");
    expect(told("/root/text/x")).toBe("ENOTDIR");
    expect(told("/root")).toBe("EACCES");
    expect(told("/root/plain")).toBe("EACCES");
    expect(told("/dev/null")).toBe("EACCES");
    expect(told("/root/text")).toBe("ENOEXEC");
    expect(told("/root/loop")).toBe("ELOOP");
    expect(told("/root/lost")).toBe("ENOENT");
    expect(told("/root/empty")).toBe("ENOEXEC");
    expect(call(pid, "execve", { pathname: { addr: 0x1000 } }).errno).toBe("EFAULT");
    expect(call(pid, "execve", { pathname: "/root/none", argv: { addr: 0x1000 } }).errno).toBe("EFAULT");
    expect(call(pid, "execveat", { dirfd: 77, pathname: "x" }).errno).toBe("EBADF");
    expect(call(pid, "execveat", { pathname: "", flags: 0 }).errno).toBe("ENOENT");
    expect(call(pid, "execveat", { pathname: "x", flags: 1 }).errno).toBe("EINVAL");
    expect(call(pid, "getpid").ret).toBe(pid);
    expect(m.broken()).toEqual([]);
  });

  test("a program that is open for writing", () => {
    call(pid, "openat", { pathname: "/opt/leave", flags: "O_RDWR" });
    expect(exec(pid, "/opt/leave").errno).toBe("ETXTBSY");
  });

  test("a user without the right to execute", async () => {
    const user = await m.createProcess(1000);
    make("/opt/secret", "\x7fELF", "0700");
    expect(exec(user, "/opt/secret").errno).toBe("EACCES");
  });
});

describe("what runs", () => {
  test("the answer is 0, the program gets its arguments, its status reaches the parent", () => {
    const child = Number(call(pid, "fork").ret);
    expect(exec(child, "/opt/leave", ["leave", "7"], ["A=1"])).toMatchObject({ state: "returned", ret: 0 });
    expect(seen).toEqual({ path: "/opt/leave", argv: ["leave", "7"], envp: ["A=1"] });
    m.advance(1);
    expect(call(pid, "wait4", { pid: child })).toMatchObject({ ret: child, status: { exited: 7 } });
    expect(m.broken()).toEqual([]);
  });

  test("a script runs its interpreter", () => {
    make("/root/script", "#! /opt/stay -x  y\nrest\n");
    const child = Number(call(pid, "fork").ret);
    exec(child, "/root/script", ["script", "one"]);
    expect(seen).toMatchObject({ path: "/opt/stay", argv: ["/opt/stay", "-x  y", "/root/script", "one"] });
    expect(m.text(`/proc/${child}/comm`)).toBe("script\n");
  });

  test("memory, caught signals and close-on-exec descriptors go; ignored signals, masks and the rest stay", () => {
    const child = Number(call(pid, "fork").ret);
    call(child, "mmap", { length: 4096, prot: "PROT_READ", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    call(child, "rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count" } });
    call(child, "rt_sigaction", { signum: "SIGUSR2", act: { sa_handler: "SIG_IGN" } });
    call(child, "rt_sigprocmask", { how: "SIG_BLOCK", set: ["SIGTERM"] });
    call(child, "openat", { pathname: "/dev/null", flags: "O_CLOEXEC" });
    call(child, "openat", { pathname: "/dev/zero", flags: "0" });
    call(child, "timer_create", { clockid: "CLOCK_MONOTONIC" });
    call(child, "alarm", { seconds: 100 });
    exec(child, "/opt/stay", ["stay", "a b"]);
    const task = taskOf(m.kernel, child);
    expect(task).toMatchObject({ comm: "stay", kind: "program", state: "sleeping", blocked: 1n << 14n });
    expect(m.text(`/proc/${child}/maps`)).toMatch(/^7ffffffd[0-9a-f]+-7ffffffff000 rw-p .* \[stack\]\n$/);
    expect(m.text(`/proc/${child}/cmdline`)).toBe("stay\0a b\0");
    expect(m.text(`/proc/${child}/status`)).toMatch(/SigIgn:\t0000000000000800\nSigCgt:\t0000000000000000/);
    expect(groupOf(m.kernel, task)).toMatchObject({ execed: true, exe: "/opt/stay", posixTimers: [] });
    expect(groupOf(m.kernel, task).realTimer).not.toBe(0);
    const link = (fd: number): Json => call(pid, "readlink", { pathname: `/proc/${child}/fd/${fd}`, bufsiz: 64 });
    expect(link(3)).toMatchObject({ errno: "ENOENT" });
    expect(link(4)).toMatchObject({ buf: { text: "/dev/zero" } });
    call(pid, "kill", { pid: child, sig: "SIGUSR2" });
    expect(task.state).toBe("sleeping");
    call(pid, "kill", { pid: child, sig: "SIGUSR1" });
    expect(call(pid, "wait4", { pid: child })).toMatchObject({ status: { signaled: "SIGUSR1" } });
    expect(m.broken()).toEqual([]);
  });

  test("the other threads end first; only the first thread may", () => {
    const child = Number(call(pid, "fork").ret);
    const flags = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD";
    const tid = Number(call(child, "clone", { flags }).ret);
    expect(exec(tid, "/opt/stay").errno).toBe("EINVAL");
    const asleep = call(tid, "pause");
    expect(exec(child, "/opt/stay")).toMatchObject({ state: "returned", ret: 0 });
    expect(m.stand(asleep.callId as string)).toMatchObject({ state: "ended" });
    expect(groupOf(m.kernel, taskOf(m.kernel, child)).threads).toEqual([child]);
    expect(m.broken()).toEqual([]);
  });

  test("a vfork parent goes on", () => {
    const asleep = call(pid, "vfork");
    const child = Math.max(...m.kernel.state.sched.tasks.keys());
    exec(child, "/opt/stay");
    expect(m.stand(asleep.callId as string)).toMatchObject({ state: "returned", ret: child });
    expect(m.broken()).toEqual([]);
  });

  test("a set-user-ID program runs as its owner, but not under no_new_privs", async () => {
    call(pid, "chmod", { pathname: "/opt/stay", mode: "04755" });
    const users = [await m.createProcess(1000), await m.createProcess(1000)];
    call(users[1], "prctl", { option: "PR_SET_NO_NEW_PRIVS", arg2: 1 });
    for (const user of users) exec(user, "/opt/stay");
    expect(taskOf(m.kernel, users[0]).cred).toMatchObject({ uid: 1000, euid: 0, suid: 0, fsuid: 0 });
    expect(taskOf(m.kernel, users[0]).cred.capEffective).not.toBe(0n);
    expect(taskOf(m.kernel, users[1]).cred).toMatchObject({ uid: 1000, euid: 1000 });
  });

  test("the calls of a batch behind it are not made", () => {
    const output = m.feed({
      type: "batch", pid, callId: "batch", onError: "stop",
      calls: [{ call: "getpid" }, { call: "execve", args: { pathname: "/opt/stay", argv: ["stay"] } }, { call: "getpid" }],
    });
    expect(output.answer).toMatchObject({ state: "returned", results: [{ ret: pid }, { ret: 0 }] });
    expect((output.answer as unknown as { results: Json[] }).results).toHaveLength(2);
    expect(m.broken()).toEqual([]);
  });
});
