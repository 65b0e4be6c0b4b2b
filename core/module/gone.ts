/** Files, mappings and attributes of a module that went while they were in use: by force, or because nothing counted them. */
import { SIGKILL } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { fileOperations, type OpenFile } from "../fs/file.ts";
import { codeModule } from "../fs/file_code.ts";
import { vmOperations } from "../mm/vma.ts";
import { exitGroup } from "../process/exit.ts";
import { printContext, printTrace } from "../sched/dump_stack.ts";
import { emit } from "../sched/events.ts";
import { printk } from "../sched/printk.ts";
import { pushFrame, steps, type EnterAction } from "../sched/steps.ts";
import { addTaint, modulesLinkedIn, TAINT_DIE } from "../sched/taint.ts";
import type { Task } from "../sched/task.ts";
import type { SyscallResult } from "../sched/steps.ts";
import { wakeTask } from "../sched/wait_queue.ts";

const ALERT = 1;
const WARNING = 4;
const GONE = "module.gone";
/** Where the first module lay: what runs there now is nobody's. */
const FREED_CODE = 0xffff_ffff_c033_e000n;

/** What the kernel reports when freed code is called, and taint D. */
function reportFreedCode(k: Kernel, task: Task, what: string): void {
  const address = FREED_CODE.toString(16);
  printk(k, ALERT, `BUG: unable to handle page fault for address: ${address}`);
  printk(k, ALERT, "#PF: supervisor instruction fetch in kernel mode");
  printk(k, ALERT, "#PF: error_code(0x0010) - not-present page");
  printk(k, WARNING, "Oops: 0010 [#1] PREEMPT SMP NOPTI");
  printContext(k);
  printk(k, WARNING, `RIP: 0010:0x${address}`);
  printTrace(k, [`${what}+0xa5/0x310`]);
  printk(k, WARNING, modulesLinkedIn(k));
  printk(k, WARNING, `CR2: ${address}`);
  printk(k, WARNING, "---[ end trace 0000000000000000 ]---");
  addTaint(k, TAINT_DIE);
  emit(k, { event: "oops", data: { pid: task.tgid, module: "", what: "call of a removed module's code", rip: `0x${address}` } });
}

/** The report, and the end of the task. */
function callFreedCode(k: Kernel, task: Task, what: string): EnterAction {
  reportFreedCode(k, task, what);
  return exitGroup(SIGKILL);
}

/** Whether what is registered under this name, "simrupt.timer", is code of the module. */
export const isCodeOf = (name: string, module: string): boolean => name.split(".").includes(module);

/** Where a worker or a kernel thread goes on whose code is gone. Differs from Linux: a worker lives on, and takes the next item. */
export const GONE_CODE = "module.gone_code";

steps<object>(GONE_CODE, {
  report: (k, task) => {
    reportFreedCode(k, task, task.worker ? "process_one_work" : "kthread");
    return 0;
  },
});

/** Kernel threads of the module run into freed memory as they go on. Differs from Linux: one that sleeps is woken to it. */
export function strandThreads(k: Kernel, name: string): void {
  for (const task of k.state.sched.tasks.values()) {
    if (task.kind !== "kthread" || task.worker) continue;
    const at = task.frames.findIndex(({ code }) => isCodeOf(code, name));
    if (at < 0 && !(task.frames.length > 0 && isCodeOf(entryOf(task.frames[0].locals), name))) continue;
    task.frames.length = Math.max(1, at);
    task.frames[0].step = "run";
    pushFrame(task, GONE_CODE, {});
    task.preemptCount = 0;
    wakeTask(k, task);
  }
}

/** The function that a thread has yet to begin with; "" for none. */
function entryOf(locals: unknown): string {
  const { code, locals: begun } = locals as { code?: string; locals?: unknown };
  return typeof code === "string" && begun !== null ? code : "";
}

const dies = (what: string) => (k: Kernel, task: Task): SyscallResult => callFreedCode(k, task, what);

/**
 * What an open file of a removed module can do. Differs from Linux: closing it is harmless, and seeking and polling find
 * nothing, where the kernel would run into the freed code too.
 */
fileOperations(GONE, {
  read: dies("vfs_read"), write: dies("vfs_write"), ioctl: dies("__x64_sys_ioctl"), mmap: dies("mmap_region"),
  poll: () => ({ mask: 0, queues: [] }), llseek: (_k, _task, file) => file.pos,
});

/** Pages that are mapped stay; no further one comes. */
vmOperations(GONE, { fault: () => "sigbus" });

/** Whether a task stands in nested steps of a call on a file of the module: its code must not go from under it. */
export function isInside(k: Kernel, name: string): boolean {
  for (const task of k.state.sched.tasks.values()) {
    const at = task.frames.findIndex(({ code }) => code === "syscall");
    if (at < 0 || at === task.frames.length - 1) continue;
    const { held } = task.frames[at].locals as { held: (number | null)[] | null };
    for (const id of held ?? []) if (id !== null && isOf(k, name, k.state.fs.files.get(id))) return true;
  }
  return false;
}

function isOf(k: Kernel, name: string, file: OpenFile | undefined): boolean {
  return file !== undefined && codeModule(k.tables.fileOperations.get(file.ops)) === name;
}

/** Takes the module's code from everything that is open or registered and would still call it. */
export function disown(k: Kernel, name: string): void {
  const gone = new Set<number>();
  for (const file of k.state.fs.files.values()) {
    if (file.module === name) file.module = "";
    if (!isOf(k, name, file)) continue;
    file.ops = GONE;
    gone.add(file.id);
  }
  for (const space of gone.size > 0 ? k.state.mm.spaces.values() : []) {
    for (const run of space.vmas) for (const vma of run) if (vma.ops !== "" && gone.has(vma.file)) vma.ops = GONE;
  }
  for (const device of k.state.drivers.devices.values()) {
    if (k.state.drivers.classes.get(device.className)?.owner === name) device.attributes.clear();
  }
}
