/** Where the kernel looks whether somebody leaves with what he should have given back. */
import type { Kernel } from "../kernel.ts";
import { debugLocks, dropHeld, once } from "./lockdep.ts";
import { heldBy } from "./lockdep_held.ts";
import { reportStillHeld, reportSysExit } from "./lockdep_report.ts";
import { warn } from "./dump_stack.ts";
import { irqsDisabled, localIrqEnable, preemptCount, preemptCountSub } from "./preempt.ts";
import { mutexUnlock } from "./mutex.ts";
import { leaveRcu } from "./rcu.ts";
import { leaveRwsemLine } from "./rwsem.ts";
import { up } from "./semaphore.ts";
import type { Task } from "./task.ts";

const names = (k: Kernel, task: Task): string => heldBy(k, task.tid).map(({ name }) => name).join();

/** A task is about to go back to user mode: locks stay behind in the kernel (lockdep_sys_exit). Kernel threads go nowhere. */
export function sysExitLocks(k: Kernel, task: Task): void {
  if (task.kind === "kthread" || heldBy(k, task.tid).length === 0 || !debugLocks(k)) return;
  once(k, `exit to user ${names(k, task)}`, () => reportSysExit(k, task));
}

/** A task dies: its locks stay locked for ever, but nobody holds them, and it reads no more (debug_check_no_locks_held). */
export function exitLocks(k: Kernel, task: Task): void {
  if (heldBy(k, task.tid).length > 0) once(k, `still held ${names(k, task)}`, () => reportStillHeld(k, task));
  for (const { lock } of [...heldBy(k, task.tid)]) dropHeld(k, task.tid, lock);
  leaveRcu(k, task.tid);
  task.preemptCount = 0;
  leaveLines(k, task.tid);
}

/** One that dies inside a lock function waits no more: what it was about to be given goes to the next. */
function leaveLines(k: Kernel, tid: number): void {
  for (const lock of k.state.sched.locks.locks.values()) {
    if (lock.kind === "mutex" && lock.waiters.includes(tid)) {
      const given = lock.owner === tid && lock.handoff === tid;
      lock.waiters.splice(lock.waiters.indexOf(tid), 1);
      if (lock.handoff === tid) lock.handoff = 0;
      if (given) mutexUnlock(k, lock.id);
    } else if (lock.kind === "semaphore") {
      if (lock.waiters.includes(tid)) lock.waiters.splice(lock.waiters.indexOf(tid), 1);
      if (!lock.given.includes(tid)) continue;
      lock.given.splice(lock.given.indexOf(tid), 1);
      up(k, lock.id);
    } else if (lock.kind === "rwsem") {
      leaveRwsemLine(k, tid, lock);
    }
  }
}

/** What the init function of module `name` has changed of the counters is told and put right (do_one_initcall). */
export function checkInitcall(k: Kernel, name: string): void {
  const count = preemptCount(k);
  const irqsOff = irqsDisabled(k);
  if (count === 0 && !irqsOff) return;
  preemptCountSub(k, count);
  localIrqEnable(k);
  const what = `${count !== 0 ? "preemption imbalance " : ""}${irqsOff ? "disabled interrupts " : ""}`;
  warn(k, `initcall m_init+0x0/0x1000 [${name}] returned with ${what}`, { file: "init/main.c", line: 1312, symbol: "do_one_initcall+0x1c8/0x220" }, [
    "do_init_module+0x4a/0x1f0", "__do_sys_finit_module+0xac/0x120",
  ]);
}
