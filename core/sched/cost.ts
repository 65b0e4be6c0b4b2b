/** Charging kernel work to the running task and its CPU, by the machine's cost profile. */
import type { Kernel } from "../kernel.ts";
import { profiles, type CostProfile } from "./profiles/index.ts";

/** The figures of this machine's profile; ns unless a name says otherwise. */
export function costs(k: Kernel): CostProfile {
  return profiles[k.state.machine.profile] ?? profiles.default;
}

/** The running CPU works for `cost` ns, rounded down; the task whose step runs is charged with system time. */
export function charge(k: Kernel, cost: number): void {
  const ns = Math.floor(cost);
  const cpu = k.state.sched.cpus[k.turn.cpu];
  cpu.clockNs += ns;
  cpu.busyNs += ns;
  if (k.turn.current !== 0) {
    const task = k.state.sched.tasks.get(k.turn.current);
    if (task !== undefined) task.stimeNs += ns;
  }
}
