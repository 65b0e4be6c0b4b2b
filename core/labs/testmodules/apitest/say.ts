/** What the module keeps in its statics, and how it prints. */
import type { Kernel } from "../../../kernel.ts";
import { newAtomic, type Atomic } from "../../../lib/atomic.ts";
import { kprintf, type PrintfArgument } from "../../../lib/printf.ts";
import { must } from "../../../lib/assert.ts";
import { printk } from "../../../sched/printk.ts";

const INFO = 6;

export interface Statics {
  runs: Atomic;
  /** Ids of works, queues, timer, tasklet, completions, the thread. */
  w1: number;
  w2: number;
  dw: number;
  q1: number;
  qo: number;
  qu: number;
  gate: number;
  selfq: boolean;
  /** Works of the ordering tests, how long each sleeps, and in which order they ended. */
  ows: number[];
  ms: number[];
  order: number[];
  tm: number;
  /** How often the timer fired, and the jiffies at which. */
  tcnt: number;
  tj: number[];
  trearm: boolean;
  tkl: number;
  tk: number;
}

export const newStatics = (): Statics => ({
  runs: newAtomic(), w1: 0, w2: 0, dw: 0, q1: 0, qo: 0, qu: 0, gate: 0, selfq: false, ows: [], ms: [], order: [],
  tm: 0, tcnt: 0, tj: [], trearm: false, tkl: 0, tk: 0,
});

export const NAME = "apitest";

export const statics = (k: Kernel): Statics => must(k.state.modules.loaded, NAME).data as unknown as Statics;

/** printk(KERN_INFO "api: …") */
export function P(k: Kernel, format: string, ...args: (PrintfArgument | boolean)[]): void {
  printk(k, INFO, `api: ${kprintf(format, args.map((arg) => (typeof arg === "boolean" ? Number(arg) : arg)))}`);
}
