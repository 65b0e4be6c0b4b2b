/** Which locks a task holds, and how the lock checker prints a lock. */
import type { Kernel } from "../kernel.ts";
import type { HeldLock } from "./lock_state.ts";
import { printk } from "./printk.ts";
import type { Task } from "./task.ts";

const WARNING = 4;

/** Contexts in which a class was taken. */
export const USED_IN_HARDIRQ = 1;
export const USED_IN_SOFTIRQ = 2;
export const ENABLED_HARDIRQ = 4;
export const ENABLED_SOFTIRQ = 8;
/** The same of shared takes. */
export const READ_SHIFT = 4;

export const heldBy = (k: Kernel, tid: number): HeldLock[] => k.state.sched.lockdep.held.get(tid) ?? [];

/** get_usage_char: `.` with interrupts off, `-` in one, `+` with them on, `?` both. */
function usageChar(used: boolean, enabled: boolean): string {
  return used ? (enabled ? "?" : "-") : enabled ? "+" : ".";
}

/** `{+.+.}-{3:3}`: hard interrupts, their readers, softirqs, their readers; and what sort of wait the lock is. */
export function usageText(k: Kernel, name: string, kind: HeldLock["kind"]): string {
  const bits = k.state.sched.lockdep.usage.get(name) ?? 0;
  const char = (used: number, enabled: number, shift: number): string => usageChar((bits >> shift & used) !== 0, (bits >> shift & enabled) !== 0);
  const text = char(USED_IN_HARDIRQ, ENABLED_HARDIRQ, 0) + char(USED_IN_HARDIRQ, ENABLED_HARDIRQ, READ_SHIFT)
    + char(USED_IN_SOFTIRQ, ENABLED_SOFTIRQ, 0) + char(USED_IN_SOFTIRQ, ENABLED_SOFTIRQ, READ_SHIFT);
  const wait = kind === "spinlock" || kind === "rwlock" ? 2 : kind === "rcu" ? 1 : 3;
  return `{${text}}-{${wait}:${wait}}`;
}

/** Where a lock lies: in its module's data, or in the kernel's. */
export function lockAddress(k: Kernel, id: number): string {
  const lock = k.state.sched.locks.locks.get(id);
  const module = lock === undefined ? undefined : k.state.modules.loaded.get(lock.module);
  const base = module === undefined ? 0xffff_ffff_8260_0000n : module.loadAddr + 0x2000n;
  return (base + BigInt(id) * 0x40n).toString(16);
}

/** `ffffffffc0340040 (&dev->lock){+.+.}-{3:3}, at: m_init+0x0/0x1000 [apitest]` */
export function lockLine(k: Kernel, { lock, name, kind, at }: HeldLock): string {
  return `${lockAddress(k, lock)} (${name})${usageText(k, name, kind)}, at: ${at}`;
}

/** lockdep_print_held_locks */
export function printHeldLocks(k: Kernel, task: Task | null): void {
  const held = heldBy(k, task?.tid ?? 0);
  const who = `${task?.comm ?? `swapper/${k.turn.cpu}`}/${task?.tid ?? 0}`;
  if (held.length === 0) printk(k, WARNING, `no locks held by ${who}.`);
  else printk(k, WARNING, `${held.length} lock${held.length > 1 ? "s" : ""} held by ${who}:`);
  held.forEach((one, at) => printk(k, WARNING, ` #${at}: ${lockLine(k, one)}`));
}
