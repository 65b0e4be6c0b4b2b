/** What a module forgot to take with it: device numbers, nodes, classes, /proc and debugfs entries that still lead to its code, memory. */
import type { Kernel } from "../kernel.ts";
import { codeModule } from "../fs/file_code.ts";
import { freeIrq } from "../irq/interrupt.ts";
import { queuesOf } from "../irq/owned.ts";
import { freeLocksOf } from "../sched/locks.ts";
import { dropRcuCallbacks } from "../sched/rcu.ts";
import { cancelTimer } from "../time/timer.ts";
import { printk } from "../sched/printk.ts";
import { isCodeOf } from "./gone.ts";
import { reportOrphans } from "./kmemleak.ts";
import type { Module } from "./state.ts";

const ERR = 3;

/** Whether the file operations named so belong to the module. */
function isOf(k: Kernel, module: Module, ops: string): boolean {
  return codeModule(k.tables.fileOperations.get(ops)) === module.name;
}

/** Everything that is registered and runs the module's code, a phrase each. */
export function registrationsOf(k: Kernel, module: Module): string[] {
  const { cdevs, misc, classes, devices, debugfs, procEntries } = k.state.drivers;
  const found: string[] = [];
  for (const { dev, ops } of cdevs) if (isOf(k, module, ops)) found.push(`character device ${dev >>> 20}:${dev & 0xfffff}`);
  for (const { name, ops } of misc) if (isOf(k, module, ops)) found.push(`misc device '${name}'`);
  for (const { name, owner } of classes.values()) {
    if (owner !== module.name) continue;
    for (const device of devices.values()) if (device.className === name) found.push(`device '${device.name}' of class '${name}'`);
    found.push(`class '${name}'`);
  }
  for (const [path, { ops }] of debugfs) if (isOf(k, module, ops)) found.push(`debugfs file '${path}'`);
  for (const [path, { ops }] of procEntries) if (isOf(k, module, ops)) found.push(`proc entry '/proc/${path}'`);
  for (const { irq, action } of interruptsOf(k, module.name)) found.push(`handler '${action.name}' of interrupt ${irq}`);
  const callbacks = pendingRcu(k, module.name);
  if (callbacks > 0) found.push(`${callbacks} RCU callback${callbacks > 1 ? "s" : ""}`);
  for (const { callback } of k.state.time.timers.values()) if (isCodeOf(callback, module.name)) found.push(`hrtimer '${callback}'`);
  for (const { name } of queuesOf(k, module.name)) found.push(`work queue '${name}'`);
  for (const { name, owner } of k.state.mm.caches.values()) if (owner === module.name) found.push(`slab cache '${name}'`);
  return found;
}

function interruptsOf(k: Kernel, module: string): { irq: number; action: { name: string; devId: number } }[] {
  return [...k.state.irq.lines.values()].flatMap(({ irq, actions }) =>
    actions.filter(({ handler }) => isCodeOf(handler, module)).map((action) => ({ irq, action })));
}

/** Callbacks of the module that a grace period has yet to let run: it did not call rcu_barrier. */
function pendingRcu(k: Kernel, module: string): number {
  const { callbacks, ready } = k.state.sched.rcu;
  return [...callbacks.values(), ready].flat().filter(({ callback }) => isCodeOf(callback, module)).length;
}

/** Takes the module's interrupt handlers, locks, RCU callbacks and hrtimers away. */
export function disarm(k: Kernel, module: string): void {
  for (const { irq, action } of interruptsOf(k, module)) freeIrq(k, irq, action.devId);
  freeLocksOf(k, module);
  dropRcuCallbacks(k, (name) => isCodeOf(name, module));
  for (const { id, callback } of [...k.state.time.timers.values()]) if (isCodeOf(callback, module)) cancelTimer(k, id);
}

/** Pages that the module took from the page allocator and never gave back: kmemleak does not follow these. */
function pagesOf(k: Kernel, module: string): number {
  let pages = 0;
  for (const object of k.state.mm.objects.values()) if (object.owner === module && object.cache === "" && object.trace === null) pages += object.pages;
  return pages;
}

/**
 * Tells of what a module that goes has left behind: a line for each registration, and memory as kmemleak tells of it.
 * Differs from Linux, which says nothing of registrations until somebody runs into the freed code.
 */
export function leftBehind(k: Kernel, module: Module): void {
  const { name } = module;
  for (const what of registrationsOf(k, module)) printk(k, ERR, `${name}: module leaves ${what} behind`);
  const pages = pagesOf(k, name);
  if (pages > 0) printk(k, ERR, `${name}: module leaves ${pages} page${pages > 1 ? "s" : ""} behind`);
  reportOrphans(k, name);
}
