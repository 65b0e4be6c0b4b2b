/** Locks under system calls: a device whose reader holds a mutex for a while, and processes that meet in it. */
import { describe, expect, test } from "vitest";
import { fileOperations } from "../../../core/fs/file.ts";
import { miscDeregister, miscRegister, MISC_DYNAMIC_MINOR } from "../../../core/fs/misc.ts";
import { testModule } from "../../../core/labs/testmodules/simple.ts";
import { moduleData } from "../../../core/module/query.ts";
import { mutexInit, mutexIsLocked, mutexLock, mutexLockInterruptible, mutexLockKillable, mutexUnlock } from "../../../core/sched/mutex.ts";
import { enter, NEXT, steps } from "../../../core/sched/steps.ts";
import { msleep } from "../../../core/sched/timeout.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { ERESTARTSYS } from "../../../core/abi/errno.ts";
import { Lab } from "../modules/lab.ts";
import { copy } from "../../helpers/replay.ts";

const lockOf = (k: Kernel): number => moduleData<{ lock: number }>(k, "lockdev").lock;

/** `count` chooses how the lock is taken; the read holds it for 100 ms and answers 0. */
const readSteps = steps<{ count: number }>("lockdev.read", {
  lock: (k, _task, { locals: { count } }) => enter([mutexLock, mutexLockInterruptible, mutexLockKillable][count], lockOf(k)),
  locked: (_k, _task, { ret }) => (ret < 0 ? ret : NEXT),
  hold: () => enter(msleep, { ms: 100 }),
  end: () => 0,
}, { undo: { hold: (k) => mutexUnlock(k, lockOf(k)), end: (k) => mutexUnlock(k, lockOf(k)) } });

/** As drivers do whose callers should make the call again. */
const writeSteps = steps<object>("lockdev.write", {
  lock: (k) => enter(mutexLockInterruptible, lockOf(k)),
  locked: (k, _task, { ret }) => {
    if (ret < 0) return -ERESTARTSYS;
    mutexUnlock(k, lockOf(k));
    return 1;
  },
});

fileOperations("lockdev.fops", {
  owner: "lockdev",
  read: (_k, _task, _file, _buf, count) => enter(readSteps, { count }),
  write: () => enter(writeSteps, {}),
});
testModule("lockdev", {
  init: (k, module) => {
    module.data = { lock: mutexInit(k, "&lockdev->lock", "lockdev") };
    miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: "lockdev", ops: "lockdev.fops", mode: 0o666 });
    return 0;
  },
  exit: (k) => {
    miscDeregister(k, "lockdev");
    return 0;
  },
});

async function start(): Promise<{ lab: Lab; open: () => Promise<{ pid: number; fd: number }> }> {
  const lab = await Lab.boot();
  lab.insmod("lockdev");
  const open = async (): Promise<{ pid: number; fd: number }> => {
    const pid = await lab.machine.createProcess(0);
    return { pid, fd: Number(lab.call("openat", { pathname: "/dev/lockdev", flags: "O_RDWR" }, pid).ret) };
  };
  return { lab, open };
}

const callIdOf = (answer: object): string => String((answer as { callId?: string }).callId);

describe("a lock under system calls", () => {
  test("is waited for; a signal with a handler ends the interruptible wait with EINTR, and leaves the others", async () => {
    const { lab, open } = await start();
    const [holder, a, b] = [await open(), await open(), await open()];
    lab.call("read", { fd: holder.fd, count: 0 }, holder.pid);
    for (const { pid } of [a, b]) lab.call("rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count", sa_flags: "SA_RESTART" } }, pid);
    const waiting = lab.call("read", { fd: a.fd, count: 1 }, a.pid);
    const killable = lab.call("read", { fd: b.fd, count: 2 }, b.pid);
    expect([waiting.ret, killable.ret]).toEqual(["sleeping", "sleeping"]);
    expect(lab.text(`/proc/${a.pid}/wchan`)).toBe("lockdev_read");
    expect(lab.text(`/proc/${b.pid}/stat`)).toMatch(/\) D /);
    for (const { pid } of [a, b]) lab.machine.feed({ type: "signal", pid, signal: 10, uid: 0 });
    expect(lab.machine.stand(callIdOf(waiting.answer))).toMatchObject({ ret: -1, errno: "EINTR" });
    expect(lab.machine.stand(callIdOf(killable.answer)).state).toBe("sleeping");
    lab.machine.advance(300);
    expect(lab.machine.stand(callIdOf(killable.answer))).toMatchObject({ ret: 0 });
    expect(mutexIsLocked(lab.machine.kernel, lockOf(lab.machine.kernel))).toBe(false);
  });

  test("ERESTARTSYS makes the call again where the handler says so", async () => {
    const { lab, open } = await start();
    const [holder, a] = [await open(), await open()];
    lab.call("read", { fd: holder.fd, count: 0 }, holder.pid);
    lab.call("rt_sigaction", { signum: "SIGUSR1", act: { sa_handler: "count", sa_flags: "SA_RESTART" } }, a.pid);
    const waiting = lab.call("write", { fd: a.fd, buf: "x" }, a.pid);
    lab.machine.feed({ type: "signal", pid: a.pid, signal: 10, uid: 0 });
    expect(lab.machine.stand(callIdOf(waiting.answer)).state).toBe("sleeping");
    lab.machine.advance(200);
    expect(lab.machine.stand(callIdOf(waiting.answer))).toMatchObject({ ret: 1 });
  });

  test("SIGKILL ends a killable wait and not an uninterruptible one, which dies when it has its turn", async () => {
    const { lab, open } = await start();
    const [holder, a, b] = [await open(), await open(), await open()];
    lab.call("read", { fd: holder.fd, count: 0 }, holder.pid);
    const killable = lab.call("read", { fd: a.fd, count: 2 }, a.pid);
    const stubborn = lab.call("read", { fd: b.fd, count: 0 }, b.pid);
    for (const { pid } of [a, b]) lab.machine.feed({ type: "signal", pid, signal: 9, uid: 0 });
    expect(lab.machine.stand(callIdOf(killable.answer))).toMatchObject({ state: "ended", signaled: "SIGKILL" });
    expect(lab.machine.stand(callIdOf(stubborn.answer)).state).toBe("sleeping");
    lab.machine.advance(300);
    expect(lab.machine.stand(callIdOf(stubborn.answer))).toMatchObject({ state: "ended", signaled: "SIGKILL" });
    expect(mutexIsLocked(lab.machine.kernel, lockOf(lab.machine.kernel)), "what it held was let go").toBe(false);
    expect(lab.dmesg().filter(([, text]) => text.includes("WARNING"))).toEqual([]);
    expect(lab.machine.broken()).toEqual([]);
  });

  test("a snapshot in the middle of contention goes on as the first kernel does", async () => {
    const { lab, open } = await start();
    const all = [await open(), await open(), await open()];
    const calls = all.map(({ pid, fd }) => callIdOf(lab.call("read", { fd, count: 1 }, pid).answer));
    lab.machine.advance(50);
    lab.machine.kernel = copy(lab.machine.kernel);
    expect(calls.map((id) => lab.machine.stand(id).state)).toEqual(["sleeping", "sleeping", "sleeping"]);
    lab.machine.advance(70);
    expect(calls.map((id) => lab.machine.stand(id).state)).toEqual(["returned", "sleeping", "sleeping"]);
    lab.machine.advance(300);
    expect(calls.map((id) => lab.machine.stand(id).state)).toEqual(["returned", "returned", "returned"]);
  });
});
