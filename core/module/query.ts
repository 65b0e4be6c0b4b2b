/** Looking at loaded modules: sizes, references, and the texts of /proc/modules. */
import { must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import { moduleDefinitions, type ModuleDefinition, type ModuleVariant } from "./definition.ts";
import type { Module } from "./state.ts";
import { moduleFlags } from "../sched/taint.ts";

export function definitionOf(module: Module): ModuleDefinition {
  return must(moduleDefinitions, module.name);
}

/** The code of a loaded module. */
export function variantOf(module: Module): ModuleVariant {
  const variant = definitionOf(module).variants[module.variant];
  if (variant === undefined) throw new Error(`module ${module.name} has no variant ${module.variant}`);
  return variant;
}

/** /sys/module/NAME/coresize, bytes. */
export function coreSize(module: Module): number {
  return definitionOf(module).size;
}

/** Bytes of the init sections; 0 once they were freed. */
export function initSize(module: Module): number {
  return module.state === "coming" ? definitionOf(module).initSize : 0;
}

/** An init without an exit: nothing but force removes the module. */
export function isPermanent(module: Module): boolean {
  const { init, exit } = variantOf(module);
  return init !== undefined && exit === undefined;
}

/** The static variables that the module keeps in the state; `T` is what its init stored. */
export function moduleData<T extends object>(k: Kernel, name: string): T {
  return must(k.state.modules.loaded, name).data as T;
}

/** `0xffffffffc033e000`, or zeros for those who may not see kernel addresses. */
export function kernelAddressText(address: bigint, shown: boolean): string {
  return `0x${(shown ? address : 0n).toString(16).padStart(16, "0")}`;
}

const LIFE = { coming: "Loading", live: "Live", going: "Unloading" } as const;

/** /proc/modules, the newest first: name, size, references, users, state, address, taint. */
export function modulesText(k: Kernel, showAddresses: boolean): string {
  let text = "";
  for (const module of [...k.state.modules.loaded.values()].reverse()) {
    let users = [...module.holders].reverse().map((holder) => `${holder},`).join("");
    if (isPermanent(module)) users += "[permanent],";
    const flags = moduleFlags(module);
    text += `${module.name} ${coreSize(module) + initSize(module)} ${module.refcount} ${users || "-"} ${LIFE[module.state]} `
      + `${kernelAddressText(module.loadAddr, showAddresses)}${flags === "" ? "" : ` ${flags}`}\n`;
  }
  return text;
}
