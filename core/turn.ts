/** What one call of `handle` gathers; made anew for each. */
import type { Turn } from "./kernel.ts";

export function freshTurn(budget: number): Turn {
  return { ended: [], events: [], budget, current: 0, task: null, cpu: 0, account: "irq", beganNs: 0, preemptCount: 0, ioUntilNs: 0, logged: false };
}
