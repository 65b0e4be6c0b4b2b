/** What the kernel says of its own memory when something is wrong: allocations that failed, objects freed twice (mm/page_alloc.c, mm/slub.c). */
import { gfpText, __GFP_NOWARN } from "../abi/gfp.ts";
import { SIGKILL } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { hashPointer } from "../lib/hash.ts";
import { ratelimitOk } from "../lib/ratelimit.ts";
import { dumpStack, printContext, printTrace, warn } from "../sched/dump_stack.ts";
import { emit } from "../sched/events.ts";
import { printk } from "../sched/printk.ts";
import { sendSignal } from "../sched/signal.ts";
import { stackOf } from "../sched/stack_trace.ts";
import { addTaint, modulesLinkedIn, TAINT_DIE } from "../sched/taint.ts";
import { current } from "../sched/task.ts";
import { jiffies } from "../time/jiffies.ts";
import { showMem } from "./show_mem.ts";

const CRIT = 2;
const WARNING = 4;

/** `insmod: WHAT, mode:0xcc0(GFP_KERNEL), …` the stack and what memory is used for, once in ten seconds at most; nothing with __GFP_NOWARN (warn_alloc). */
export function warnAlloc(k: Kernel, gfp: number, what: string): void {
  if ((gfp & __GFP_NOWARN) !== 0 || !ratelimitOk(k.state.mm.allocWarnings, jiffies(k)).ok) return;
  const task = current(k);
  printk(k, WARNING, `${task?.comm ?? `swapper/${k.turn.cpu}`}: ${what}, mode:${gfpText(gfp)}, nodemask=(null),cpuset=/,mems_allowed=0`);
  dumpStack(k, ["warn_alloc+0x132/0x1b0", ...stackOf(k, task)]);
  showMem(k);
}

/** Where a check of the kernel's stands: `symbol` is its function with offset and size. */
interface Place {
  file: string;
  line: number;
  symbol: string;
}

/** WARN_ON_ONCE: `message` may be empty. Told the first time since boot, which is answered; `key` names the check. */
export function warnOnce(k: Kernel, key: string, message: string, place: Place, trace: readonly string[] = []): boolean {
  const { warned } = k.state.mm;
  if (warned[key] === true) return false;
  warned[key] = true;
  warn(k, message, place, [...trace, ...stackOf(k, current(k))]);
  return true;
}

/**
 * BUG(): the report, taint D, and the end of the running process.
 * Differs from Linux: the code that ran into it goes on to its end, and the process dies then.
 */
export function kernelBug(k: Kernel, { file, line, symbol }: Place, trace: readonly string[] = []): void {
  const task = current(k);
  printk(k, WARNING, "------------[ cut here ]------------");
  printk(k, CRIT, `kernel BUG at ${file}:${line}!`);
  printk(k, WARNING, "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI");
  printContext(k);
  printk(k, WARNING, `RIP: 0010:${symbol}`);
  printTrace(k, [...trace, ...stackOf(k, task)]);
  printk(k, WARNING, modulesLinkedIn(k));
  printk(k, WARNING, "---[ end trace 0000000000000000 ]---");
  addTaint(k, TAINT_DIE);
  emit(k, { event: "oops", data: { pid: task?.tgid ?? 0, module: "", what: `kernel BUG at ${file}:${line}`, rip: symbol } });
  if (task !== null && task.kind !== "kthread") sendSignal(k, task.tgid, SIGKILL);
}

/** What %p prints for an address: the same for a boot, telling nothing about where it lies. */
export function hashedAddress(k: Kernel, address: bigint): string {
  return hashPointer(address, { k0: k.state.machine.seed, k1: 0x6d65_6d6f }).toString(16).padStart(16, "0");
}
