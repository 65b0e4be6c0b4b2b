/** Kernel taint: what makes a crash report suspicious, kept as bits (Documentation/admin-guide/tainted-kernels.rst). */
import { printk } from "./printk.ts";
import type { Kernel } from "../kernel.ts";
import type { Module } from "../module/state.ts";

export const TAINT_PROPRIETARY_MODULE = 0;
export const TAINT_FORCED_MODULE = 1;
export const TAINT_FORCED_RMMOD = 3;
export const TAINT_BAD_PAGE = 5;
export const TAINT_USER = 6;
export const TAINT_DIE = 7;
export const TAINT_WARN = 9;
export const TAINT_OOT_MODULE = 12;
export const TAINT_UNSIGNED_MODULE = 13;
export const TAINT_SOFTLOCKUP = 14;

/** One letter a bit; bit 0 shows G while clear, the others a space. */
const LETTERS = "PFSRMBUDAWCIOELKXTN";

const WARNING = 4;

/** Whether the kernel carries taint bit number `flag`. */
export function testTaint(k: Kernel, flag: number): boolean {
  return (k.state.modules.taint >> flag & 1) === 1;
}

/** Sets taint bit number `flag`; `lockdepUnreliable` turns lock debugging off, which is told once. */
export function addTaint(k: Kernel, flag: number, { lockdepUnreliable = false }: { lockdepUnreliable?: boolean } = {}): void {
  const { modules } = k.state;
  if (lockdepUnreliable && !modules.lockdepOff) {
    modules.lockdepOff = true;
    printk(k, WARNING, "Disabling lock debugging due to kernel taint");
  }
  modules.taint |= 1 << flag;
}

export function addTaintModule(k: Kernel, module: Module, flag: number, options?: { lockdepUnreliable?: boolean }): void {
  addTaint(k, flag, options);
  module.taints |= 1 << flag;
}

/** `Tainted: G           OE     `, or `Not tainted`: as in the first line of a stack dump. */
export function printTainted(taint: number): string {
  if (taint === 0) return "Not tainted";
  let text = "Tainted: ";
  for (let bit = 0; bit < LETTERS.length; bit++) text += taint >> bit & 1 ? LETTERS[bit] : bit === 0 ? "G" : " ";
  return text;
}

/** The letters of a module's own taint: `OE`, `POE`. */
export function moduleTaintLetters(taints: number): string {
  let text = "";
  for (let bit = 0; bit < LETTERS.length; bit++) if (taints >> bit & 1) text += LETTERS[bit];
  return text;
}

/** What stands in parentheses in /proc/modules and in crash reports: taint, and + or - while coming or going. */
export function moduleFlags(module: Module): string {
  const letters = moduleTaintLetters(module.taints) + (module.state === "coming" ? "+" : module.state === "going" ? "-" : "");
  return letters === "" ? "" : `(${letters})`;
}

/** `Modules linked in: oops(OE+) full(OE) [last unloaded: kxo(OE)]`: the newest first. */
export function modulesLinkedIn(k: Kernel): string {
  const { loaded, lastUnloaded } = k.state.modules;
  let text = "Modules linked in:";
  for (const module of [...loaded.values()].reverse()) text += ` ${module.name}${moduleFlags(module)}`;
  return lastUnloaded === "" ? text : `${text} [last unloaded: ${lastUnloaded}]`;
}
