/** Charging work to whoever does it and to the CPU, by the machine's cost profile. */
import type { Kernel } from "../kernel.ts";
import { profiles, type CostProfile } from "./profiles/index.ts";
import type { Cpu } from "./state.ts";
import type { Task } from "./task.ts";

/** The figures of this machine's profile; ns unless a name says otherwise. */
export function costs(k: Kernel): CostProfile {
  return profiles[k.state.machine.profile] ?? profiles.default;
}

/** The running CPU works for `cost` ns, rounded down: system time of the task whose step runs, or the time of the interrupt under way. */
export function charge(k: Kernel, cost: number): void {
  const ns = Math.floor(cost);
  const { turn } = k;
  const cpu = k.state.sched.cpus[turn.cpu];
  cpu.clockNs += ns;
  if (turn.current !== 0) {
    if (turn.account !== "softirq") {
      cpu.systemNs += ns;
      const task = turn.task?.tid === turn.current ? turn.task : k.state.sched.tasks.get(turn.current);
      if (task !== undefined) task.stimeNs += ns;
      return;
    }
    cpu.softirqNs += ns;
  } else if (turn.account === "softirq") {
    cpu.softirqNs += ns;
  } else {
    cpu.irqNs += ns;
  }
}

/** The running task computes for `ns` within its step: time in its program, which nothing interrupts. */
export function chargeUser(k: Kernel, ns: number): void {
  const { turn } = k;
  const cpu = k.state.sched.cpus[turn.cpu];
  const whole = Math.floor(ns);
  cpu.clockNs += whole;
  const task = k.state.sched.tasks.get(turn.current);
  if (task === undefined) cpu.irqNs += whole;
  else chargeBurst(cpu, task, whole);
}

/** A task computed for `ns`: time in its program, or, of a thread of the kernel, time in the kernel. The clock is the caller's. */
export function chargeBurst(cpu: Cpu, task: Task, ns: number): void {
  if (task.kind === "kthread") {
    task.stimeNs += ns;
    cpu.systemNs += ns;
    return;
  }
  task.utimeNs += ns;
  if (task.nice > 0) cpu.niceNs += ns;
  else cpu.userNs += ns;
}
