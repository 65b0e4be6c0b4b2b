/** Symbols that modules find: those that other modules export, and the kernel's own (kernel/module/main.c, kallsyms). */
import { EBUSY, ENODEV, ENOENT } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { TAINT_PROPRIETARY_MODULE } from "../sched/taint.ts";
import { moduleDefinitions, type ExportedSymbol } from "./definition.ts";
import { definitionOf } from "./query.ts";
import { useModule } from "./refcount.ts";
import type { Module } from "./state.ts";

const ERR = 3;
const WARNING = 4;

/** GPL-only symbols of the kernel that lab modules name; the rest of what they import from the kernel is plain. */
const KERNEL_GPL_ONLY = new Set([
  "alloc_workqueue", "destroy_workqueue", "queue_work_on", "flush_workqueue", "__class_create", "class_destroy", "device_create", "device_destroy",
  "debugfs_create_file", "debugfs_remove", "kthread_stop", "hrtimer_init",
]);

export interface FoundSymbol {
  symbol: ExportedSymbol;
  /** Null: the kernel itself. */
  owner: Module | null;
}

/** Who exports a name, as a module of this licence may see it: GPL-only ones are hidden from others. */
export function findSymbol(k: Kernel, name: string, gplOk: boolean): FoundSymbol | null {
  for (const owner of k.state.modules.loaded.values()) {
    const symbol = definitionOf(owner).exports.find((one) => one.name === name);
    if (symbol !== undefined) return symbol.gpl === true && !gplOk ? null : { symbol, owner };
  }
  if (isModuleSymbol(name)) return null;
  const gpl = KERNEL_GPL_ONLY.has(name);
  return gpl && !gplOk ? null : { symbol: { name, gpl }, owner: null };
}

/** Names that some module exports are unknown as long as none that does is loaded; all others are taken for the kernel's. */
function isModuleSymbol(name: string): boolean {
  for (const { exports } of moduleDefinitions.values()) if (exports.some((one) => one.name === name)) return true;
  return false;
}

/** Binds one symbol. 0; -ENOENT when nobody exports it; -EBUSY while its owner loads; -ENODEV when that is going. */
export function resolveSymbol(k: Kernel, module: Module, name: string): number {
  const gplOk = (module.taints & (1 << TAINT_PROPRIETARY_MODULE)) === 0;
  const found = findSymbol(k, name, gplOk);
  if (found === null) return -ENOENT;
  if (found.symbol.gpl === true) module.usesGplOnly = true;
  const { owner } = found;
  if (owner === null) return 0;
  if (!inheritTaint(k, module, owner, name)) return -ENOENT;
  if (owner.state === "coming") return -EBUSY;
  if (owner.state === "going") return -ENODEV;
  useModule(module, owner);
  return 0;
}

/** A user of a proprietary module's symbols becomes proprietary, which one that uses GPL-only symbols must not. */
function inheritTaint(k: Kernel, module: Module, owner: Module, symbol: string): boolean {
  const bit = 1 << TAINT_PROPRIETARY_MODULE;
  if ((owner.taints & bit) === 0) return true;
  if (module.usesGplOnly) {
    printk(k, ERR, `${module.name}: module using GPL-only symbols uses symbols ${symbol} from proprietary module ${owner.name}.`);
    return false;
  }
  if ((module.taints & bit) === 0) {
    printk(k, WARNING, `${module.name}: module uses symbols ${symbol} from proprietary module ${owner.name}, inheriting taint.`);
    module.taints |= bit;
  }
  return true;
}

/** The first exported name that another module has already, and whose; null for none. */
export function duplicateExport(k: Kernel, module: Module): { name: string; owner: string } | null {
  for (const { name } of definitionOf(module).exports) {
    for (const other of k.state.modules.loaded.values()) {
      if (other !== module && definitionOf(other).exports.some((one) => one.name === name)) return { name, owner: other.name };
    }
  }
  return null;
}

/** Functions of the kernel that people look for in /proc/kallsyms, at the addresses of the recorded kernel without its random base. */
const KERNEL_SYMBOLS: readonly [bigint, string, string][] = [
  [0xffffffff81000000n, "T", "_text"], [0xffffffff81000000n, "T", "startup_64"], [0xffffffff812b8b10n, "T", "kmalloc_trace"],
  [0xffffffff813669e0n, "T", "vfs_read"], [0xffffffff81366f30n, "T", "vfs_write"], [0xffffffff81a07e3dn, "T", "_printk"],
  [0xffffffff81a52dd0n, "T", "schedule"], [0xffffffff82000320n, "D", "sys_call_table"],
];

/** Address, type, name, and the module in brackets behind a tab: the kernel's, then each module's from the newest. */
export function kallsymsText(k: Kernel, shown: boolean): string {
  const line = (address: bigint, type: string, name: string, module: string): string =>
    `${(shown ? address : 0n).toString(16).padStart(16, "0")} ${type} ${name}${module === "" ? "" : `\t[${module}]`}\n`;
  let text = KERNEL_SYMBOLS.map(([address, type, name]) => line(address, type, name, "")).join("");
  for (const module of [...k.state.modules.loaded.values()].reverse()) {
    const { exports, size } = definitionOf(module);
    const data = module.loadAddr + BigInt(size - 0x2000);
    text += line(data + 0x40n, "d", "__this_module", module.name);
    exports.forEach(({ name, data: isData }, i) => {
      text += isData === true ? line(data + BigInt(i * 8), "D", name, module.name) : line(module.loadAddr + BigInt(i * 0x20), "T", name, module.name);
    });
  }
  return text;
}
