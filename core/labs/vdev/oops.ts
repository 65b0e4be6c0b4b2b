/** What a defect of a driver that touches wrong memory shows: the kernel's own report, and the end of the task (arch/x86/mm/fault.c). */
import type { Kernel } from "../../kernel.ts";
import { exitGroup } from "../../process/exit.ts";
import { printContext, printTrace, warn } from "../../sched/dump_stack.ts";
import { emit } from "../../sched/events.ts";
import { printk } from "../../sched/printk.ts";
import type { EnterAction } from "../../sched/steps.ts";
import { addTaint, modulesLinkedIn, TAINT_DIE } from "../../sched/taint.ts";
import { groupOf, type Task } from "../../sched/task.ts";
import { SIGKILL } from "../../abi/signal.ts";

const EMERGENCY = 0;
const ALERT = 1;
const WARNING = 4;
const INFO = 6;

interface Where {
  /** The module whose code ran: it stays in use for ever, for the call never returned. */
  module: string;
  /** `ksend+0x51/0x90 [ksocket]` */
  rip: string;
  /** What called it, innermost first. */
  trace: string[];
}

/** How many there were since boot. */
function count(k: Kernel): number {
  const kept = k.state.labs.get("oops") as { count: number } | undefined;
  const record = kept ?? { count: 0 };
  if (kept === undefined) k.state.labs.set("oops", record);
  return ++record.count;
}

/**
 * A read through a NULL pointer: the report, the taint (D), and the end of the task by SIGKILL.
 * Differs from Linux: registers and code bytes are not shown.
 */
export function nullDereference(k: Kernel, task: Task, address: number, { module, rip, trace }: Where): EnterAction {
  const at = address.toString(16).padStart(16, "0");
  printk(k, ALERT, `BUG: kernel NULL pointer dereference, address: ${at}`);
  printk(k, ALERT, "#PF: supervisor read access in kernel mode");
  printk(k, ALERT, "#PF: error_code(0x0000) - not-present page");
  printk(k, INFO, "PGD 0 P4D 0 ");
  printk(k, WARNING, `Oops: 0000 [#${count(k)}] PREEMPT SMP NOPTI`);
  printContext(k);
  printk(k, WARNING, `RIP: 0010:${rip}`);
  printTrace(k, trace);
  printk(k, WARNING, modulesLinkedIn(k));
  printk(k, WARNING, `CR2: ${at}`);
  printk(k, WARNING, "---[ end trace 0000000000000000 ]---");
  return die(k, task, module, "NULL pointer dereference", rip);
}

/**
 * A stack array was written beyond its end, which the stack protector notices as the function returns.
 * Differs from Linux: its panic ends the task and not the machine.
 */
export function stackSmashed(k: Kernel, task: Task, { module, rip, trace }: Where): EnterAction {
  printk(k, EMERGENCY, `Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: ${rip}`);
  count(k);
  printContext(k, EMERGENCY);
  printTrace(k, ["panic+0x118/0x2ef", "__stack_chk_fail+0x10/0x20", rip, ...trace], EMERGENCY);
  printk(k, EMERGENCY, "---[ end Kernel panic - not syncing: stack-protector ]---");
  return die(k, task, module, "stack corrupted", rip);
}

function die(k: Kernel, task: Task, module: string, what: string, rip: string): EnterAction {
  addTaint(k, TAINT_DIE);
  const loaded = k.state.modules.loaded.get(module);
  if (loaded !== undefined && loaded.refcount >= 0) loaded.refcount++;
  emit(k, { event: "oops", data: { pid: groupOf(k, task).tgid, module, what, rip } });
  return exitGroup(SIGKILL);
}

/** The hardened user copy refuses to go beyond an array of known size: `size` is the array's, `bytes` what was asked for. */
export function copyOverflow(k: Kernel, size: number, bytes: number | bigint, trace: string[]): void {
  const shown = BigInt.asUintN(64, BigInt(bytes));
  warn(k, `Buffer overflow detected (${size} < ${shown})!`, { file: "mm/maccess.c", line: 225, symbol: "__copy_overflow+0x1e/0x30" }, trace);
}

/** A write beyond a kmalloc object, as KASAN tells of it; the bytes beyond are dropped. `past`: how many. */
export function outOfBounds(k: Kernel, { rip, trace }: Where, size: number, past: number): void {
  printk(k, ALERT, "==================================================================");
  printk(k, ALERT, `BUG: KASAN: slab-out-of-bounds in ${rip}`);
  printk(k, ALERT, `Write of size ${past} behind a buffer of ${size} bytes`);
  printContext(k);
  printTrace(k, trace);
  printk(k, ALERT, "==================================================================");
}
