/** Where time went, up to now: of tasks and CPUs, the burst under way included. All functions only look. */
import type { Kernel } from "../kernel.ts";
import { now } from "../time/clock.ts";
import { allowedUntil, inBurst } from "./burst.ts";
import type { Cpu } from "./state.ts";
import type { Task } from "./task.ts";

/** What the task on a CPU has computed since the CPU's time was last accounted for, ns. */
function pendingNs(k: Kernel, cpu: Cpu, task: Task): number {
  if (cpu.curr !== task.tid || cpu.held || !inBurst(task)) return 0;
  return Math.max(0, Math.min(now(k) - cpu.clockNs, task.se.burstNs, allowedUntil(k, task) - cpu.clockNs));
}

export interface CpuTimes {
  utimeNs: number;
  stimeNs: number;
}

/** A thread's own CPU time until now. */
export function taskTimes(k: Kernel, task: Task): CpuTimes {
  const { utimeNs, stimeNs } = task;
  const pending = pendingNs(k, k.state.sched.cpus[task.cpu], task);
  return task.kind === "kthread" ? { utimeNs, stimeNs: stimeNs + pending } : { utimeNs: utimeNs + pending, stimeNs };
}

/** ns of a CPU's time by what it was spent on; the sum is the time since boot, or a little more where a step reaches beyond now. */
export interface CpuAccount {
  user: number;
  nice: number;
  system: number;
  idle: number;
  iowait: number;
  irq: number;
  softirq: number;
}

export function cpuAccount(k: Kernel, cpu: Cpu): CpuAccount {
  const { userNs, niceNs, systemNs, idleNs, iowaitNs, irqNs, softirqNs } = cpu;
  const account = { user: userNs, nice: niceNs, system: systemNs, idle: idleNs, iowait: iowaitNs, irq: irqNs, softirq: softirqNs };
  const task = k.state.sched.tasks.get(cpu.curr);
  const pending = task === undefined ? 0 : pendingNs(k, cpu, task);
  account[cpu.ioWaiters > 0 ? "iowait" : "idle"] += Math.max(0, now(k) - cpu.clockNs) - pending;
  if (task?.kind === "kthread") account.system += pending;
  else if (task !== undefined && task.nice > 0) account.nice += pending;
  else account.user += pending;
  return account;
}
