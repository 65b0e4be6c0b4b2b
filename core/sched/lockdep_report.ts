/** What the lock checker says, in the words of kernel/locking/lockdep.c. */
import { UTS_RELEASE, UTS_VERSION } from "../abi/release.ts";
import type { Kernel } from "../kernel.ts";
import { dumpStack } from "./dump_stack.ts";
import type { Link } from "./lockdep.ts";
import { lockAddress, lockLine, printHeldLocks, usageText } from "./lockdep_held.ts";
import type { HeldLock } from "./lock_state.ts";
import { preemptCount, HARDIRQ_MASK, inServingSoftirq, irqsDisabled, inSoftirq } from "./preempt.ts";
import { printk } from "./printk.ts";
import { stackOf } from "./stack_trace.ts";
import { printTainted } from "./taint.ts";
import { current, type Task } from "./task.ts";

const WARNING = 4;

/** Says lines as records of their own. */
function say(k: Kernel, ...lines: string[]): void {
  for (const line of lines) printk(k, WARNING, line);
}

function who(k: Kernel, task: Task | null): string {
  return task === null ? `swapper/${k.turn.cpu}/0` : `${task.comm}/${task.tid}`;
}

/** A title between two rules as long as it is, and the kernel's version. */
function title(k: Kernel, text: string): void {
  say(k, "", "=".repeat(text.length), text, `${UTS_RELEASE} ${UTS_VERSION.split(" ")[0]} ${printTainted(k.state.modules.taint)}`, "-".repeat(text.length));
}

function backtrace(k: Kernel): void {
  say(k, "", "stack backtrace:");
  dumpStack(k, stackOf(k, current(k)));
}

export function reportRecursive(k: Kernel, next: HeldLock, held: HeldLock): void {
  const task = current(k);
  title(k, "WARNING: possible recursive locking detected");
  say(k, `${who(k, task)} is trying to acquire lock:`, lockLine(k, next), "", "but task is already holding lock:", lockLine(k, held));
  say(k, "", "other info that might help us debug this:", " Possible unsafe locking scenario:", "");
  say(k, "       CPU0", "       ----", `  lock(${held.name});`, `  lock(${next.name});`);
  say(k, "", " *** DEADLOCK ***", "", " May be due to missing lock nesting notation", "");
  printHeldLocks(k, task);
  backtrace(k);
}

/** `path`: how one comes from the new lock to the held one, the held one last. */
export function reportCircular(k: Kernel, held: HeldLock, next: HeldLock, path: readonly Link[]): void {
  const task = current(k);
  title(k, "WARNING: possible circular locking dependency detected");
  say(k, `${who(k, task)} is trying to acquire lock:`, lockLine(k, next), "", "but task is already holding lock:", lockLine(k, held));
  say(k, "", "which lock already depends on the new lock.", "", "", "the existing dependency chain (in reverse order) is:");
  for (let depth = path.length; depth > 0; depth--) printLink(k, depth, path[depth - 1]);
  printLink(k, 0, { name: next.name, trace: stackOf(k, task) });
  say(k, "", "other info that might help us debug this:", "");
  const parent = path.length > 1 ? path[path.length - 2].name : next.name;
  if (path.length > 1) say(k, "Chain exists of:", `  ${next.name} --> ${parent} --> ${held.name}`, "");
  const right = " ".repeat(31);
  say(k, " Possible unsafe locking scenario:", "", "       CPU0                    CPU1", "       ----                    ----");
  say(k, `  lock(${held.name});`, `${right}lock(${parent});`, `${right}lock(${held.name});`, `  lock(${next.name});`);
  say(k, "", " *** DEADLOCK ***", "");
  printHeldLocks(k, task);
  backtrace(k);
}

function printLink(k: Kernel, depth: number, { name, trace }: Link): void {
  say(k, "", `-> #${depth} (${name})${usageText(k, name, kindOf(k, name))}:`, ...trace.map((line) => `       ${line}`));
}

/** The kind of a class's locks: of any that there is. */
function kindOf(k: Kernel, name: string): HeldLock["kind"] {
  for (const lock of k.state.sched.locks.locks.values()) if (lock.name === name) return lock.kind;
  return "mutex";
}

/** An unlock of what the running code does not hold. */
export function reportNotHeld(k: Kernel, lock: HeldLock): void {
  const task = current(k);
  title(k, "WARNING: bad unlock balance detected!");
  say(k, `${who(k, task)} is trying to release lock (${lock.name}) at:`, `[<${lockAddress(k, lock.lock).padStart(16, "0")}>] ${lock.at}`);
  say(k, "but there are no more locks to release!", "", "other info that might help us debug this:");
  printHeldLocks(k, task);
  backtrace(k);
}

/** `inside`: the lock is being taken in an interrupt, and was taken with them open before; or the other way round. */
export function reportInconsistent(k: Kernel, next: HeldLock, word: "HARDIRQ" | "SOFTIRQ", inside: boolean): void {
  const task = current(k);
  const mode = next.read === 0 ? "W" : "R";
  const states = [`{${word}-ON-W}`, `{IN-${word}-${mode}}`];
  const [before, now] = inside ? states : [`{IN-${word}-W}`, `{${word}-ON-${mode}}`];
  const hard = preemptCount(k) & HARDIRQ_MASK;
  title(k, "WARNING: inconsistent lock state");
  say(k, `inconsistent ${before} -> ${now} usage.`);
  say(k, `${who(k, task)} [HC${Number(hard !== 0)}[0]:SC${Number(inServingSoftirq(k))}[${Number(inServingSoftirq(k))}]:HE${Number(!irqsDisabled(k))}:SE${Number(!inSoftirq(k))}] takes:`);
  say(k, lockLine(k, next), `${before} state was registered at:`, "  lock_acquire+0xd1/0x2b0");
  say(k, "", "other info that might help us debug this:", " Possible unsafe locking scenario:", "");
  say(k, "       CPU0", "       ----", `  lock(${next.name});`, "  <Interrupt>", `    lock(${next.name});`);
  say(k, "", " *** DEADLOCK ***", "");
  printHeldLocks(k, task);
  backtrace(k);
}

/** The task leaves the kernel with locks (lockdep_sys_exit). */
export function reportSysExit(k: Kernel, task: Task): void {
  title(k, "WARNING: lock held when returning to user space!");
  say(k, `${who(k, task)} is leaving the kernel with locks still held!`);
  printHeldLocks(k, task);
}

/** The task dies with locks (debug_check_no_locks_held). */
export function reportStillHeld(k: Kernel, task: Task): void {
  title(k, `WARNING: ${who(k, task)} still has locks held!`);
  printHeldLocks(k, task);
  backtrace(k);
}

/** Memory goes that holds a lock which somebody holds (print_freed_lock_bug); `from` and `to` are addresses. */
export function reportFreed(k: Kernel, task: Task | null, lock: HeldLock, from: bigint, to: bigint): void {
  title(k, "WARNING: held lock freed!");
  say(k, `${who(k, task)} is freeing memory ${from.toString(16)}-${to.toString(16)}, with a lock still held there!`, lockLine(k, lock));
  printHeldLocks(k, task);
  backtrace(k);
}
