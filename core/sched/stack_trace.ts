/** Which functions a task stands in, as a stack dump names them: its frames are its stack. */
import type { Kernel } from "../kernel.ts";
import { stepTables, type Frame } from "./steps.ts";
import type { Task } from "./task.ts";

/** Frames of the service's own, and what the common tail of every trace already tells. */
const HIDDEN = ["call.single", "call.batch", "program.run", "syscall", "kthread", "kthread.main", "exit"];

const UNDER_INIT = ["do_one_initcall+0x59/0x220", "do_init_module+0x4a/0x1f0", "__do_sys_finit_module+0xac/0x120"];

/** Where plain code of a loading or leaving module stands. */
function moduleEntry(k: Kernel, frame: Frame, isTop: boolean): string[] {
  if (frame.code === "module.load") {
    const { definition } = frame.locals as { definition: string };
    return isTop ? [`m_init+0x0/0x1000 [${definition}]`, ...UNDER_INIT] : UNDER_INIT;
  }
  const { name } = frame.locals as { name: string };
  const tail = ["__do_sys_delete_module.constprop.0+0x178/0x2c0"];
  return isTop && k.state.modules.loaded.has(name) ? [`m_exit+0x0/0x1000 [${name}]`, ...tail] : tail;
}

/** What stands between a driver's function and the entry of its system call, by number: read, write, ioctl. */
const UNDER_CALL: { [nr: number]: string[] | undefined } = {
  0: ["vfs_read+0xa5/0x310", "ksys_read+0x6b/0xf0"], 1: ["vfs_write+0xc9/0x3d0", "ksys_write+0x6b/0xf0"], 16: ["__x64_sys_ioctl+0x90/0xd0"],
};

/** What the tables of lock functions are called: their frames bear the function's name behind it. */
export const LOCKING = "locking.";

/** What a table's code is called in a trace: the parts of its name, one of which may be a module's, and a text for each step. */
interface Symbols {
  parts: string[];
  texts: Map<string, string>;
}

/** Worked out once a table: every lock that is taken notes where. */
const symbols = new Map<string, Symbols>();

function symbolsOf(code: string): Symbols {
  const known = symbols.get(code);
  if (known !== undefined) return known;
  const order = stepTables.get(code)?.order ?? [];
  const size = (0x20 + 0x10 * order.length).toString(16);
  const name = (code.startsWith(LOCKING) ? code.slice(LOCKING.length) : code).replaceAll(/[^A-Za-z0-9_]/g, "_");
  const texts = new Map(order.map((step, at) => [step, `${name}+0x${(0x1a + 0x10 * at).toString(16)}/0x${size}`]));
  const made = { parts: code.split(/[.:]/), texts };
  symbols.set(code, made);
  return made;
}

/** `simrupt_read+0x2a/0x60 [simrupt]`: the function is the frame's table, the offset grows with its step. */
function symbol(k: Kernel, { code, step }: Frame): string {
  const { parts, texts } = symbolsOf(code);
  const text = texts.get(step) ?? code;
  for (const part of parts) if (k.state.modules.loaded.has(part)) return `${text} [${part}]`;
  return text;
}

/** The functions that a task stands in, the innermost first, without what is under every system call and `skipped` of the innermost. */
export function stackOf(k: Kernel, task: Task | null, skipped = 0): string[] {
  if (task === null) return [];
  const trace: string[] = [];
  for (let at = task.frames.length - 1 - skipped; at >= 0; at--) {
    const frame = task.frames[at];
    if (frame.code === "module.load" || frame.code === "module.remove") trace.push(...moduleEntry(k, frame, trace.length === 0));
    else if (!HIDDEN.includes(frame.code)) trace.push(symbol(k, frame));
    else if (frame.code === "syscall" && trace.length > 0) trace.push(...UNDER_CALL[(frame.locals as { nr: number }).nr] ?? []);
  }
  return trace;
}

/** The function that called the lock function under way: _RET_IP_ as %pS prints it. */
export function callerOf(k: Kernel, task: Task | null): string {
  if (task === null) return "run_timer_softirq+0x15/0x40";
  let skipped = 0;
  while (task.frames.length > skipped && task.frames[task.frames.length - 1 - skipped].code.startsWith(LOCKING)) skipped++;
  for (let at = task.frames.length - 1 - skipped; at >= 0; at--) {
    const frame = task.frames[at];
    if (frame.code === "module.load" || frame.code === "module.remove") return moduleEntry(k, frame, true)[0];
    if (!HIDDEN.includes(frame.code)) return symbol(k, frame);
  }
  return "do_syscall_64+0x5d/0xb0";
}
