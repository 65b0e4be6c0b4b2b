/** The kernel's own reports of something odd: dump_stack and WARN, in the form that tools know. */
import { UTS_RELEASE, UTS_VERSION } from "../abi/release.ts";
import type { Kernel } from "../kernel.ts";
import { printk } from "./printk.ts";
import { addTaint, modulesLinkedIn, printTainted, TAINT_WARN } from "./taint.ts";
import { current, type Task } from "./task.ts";

const WARNING = 4;

/** What lies under every system call; the offsets are those of the recorded kernel. */
export const SYSCALL_TRACE = ["do_syscall_64+0x5d/0xb0", "entry_SYSCALL_64_after_hwframe+0x6e/0xd8"];
const KTHREAD_TRACE = ["kthread+0xd8/0x100", "ret_from_fork+0x22/0x30"];

/** Under the init function of module `name`, as insmod calls it. */
export function initTrace(name: string): string[] {
  return [`m_init+0x0/0x1000 [${name}]`, "do_one_initcall+0x59/0x220", "do_init_module+0x4a/0x1f0", "__do_sys_finit_module+0xac/0x120"];
}

/** The same under whichever module is coming or going now: for reports of what it registered wrongly. */
export function callerTrace(k: Kernel): string[] {
  for (const module of [...k.state.modules.loaded.values()].reverse()) if (module.state !== "live") return initTrace(module.name);
  return [];
}

/** `CPU: 0 PID: 124 Comm: insmod Tainted: …` and the machine's name. */
export function printContext(k: Kernel, level = WARNING, task: Task | null = current(k)): void {
  const tainted = printTainted(k.state.modules.taint);
  const build = UTS_VERSION.slice(0, UTS_VERSION.indexOf(" "));
  printk(k, level, `CPU: ${task?.cpu ?? k.turn.cpu} PID: ${task?.tid ?? 0} Comm: ${task?.comm ?? `swapper/${k.turn.cpu}`} ${tainted} ${UTS_RELEASE} ${build}`);
  printk(k, level, "Hardware name: syslab, BIOS 6.1 01/01/2024");
}

/** `Call Trace:` of a task, the running one when none is named, with the innermost function first; what is under a system call or a kernel thread is added. */
export function printTrace(k: Kernel, trace: readonly string[], level = WARNING, task: Task | null = current(k)): void {
  printk(k, level, "Call Trace:");
  printk(k, level, " <TASK>");
  for (const line of trace) printk(k, level, ` ${line}`);
  for (const line of task?.kind === "kthread" ? KTHREAD_TRACE : task === null ? [] : SYSCALL_TRACE) printk(k, level, ` ${line}`);
  printk(k, level, " </TASK>");
}

/** dump_stack(): who runs, and how it came here. */
export function dumpStack(k: Kernel, trace: readonly string[]): void {
  printContext(k);
  printTrace(k, ["dump_stack_lvl+0x44/0x5c", ...trace]);
}

/** WARN(), or WARN_ON() without a message: `where` is the source line and the function, `trace` what called it. Taints the kernel (W). */
export function warn(k: Kernel, message: string, where: { file: string; line: number; symbol: string }, trace: readonly string[]): void {
  printk(k, WARNING, "------------[ cut here ]------------");
  if (message !== "") printk(k, WARNING, message);
  const task = current(k);
  printk(k, WARNING, `WARNING: CPU: ${k.turn.cpu} PID: ${task?.tid ?? 0} at ${where.file}:${where.line} ${where.symbol}`);
  printk(k, WARNING, modulesLinkedIn(k));
  printContext(k);
  printk(k, WARNING, `RIP: 0010:${where.symbol}`);
  printTrace(k, trace);
  printk(k, WARNING, "---[ end trace 0000000000000000 ]---");
  addTaint(k, TAINT_WARN);
}
