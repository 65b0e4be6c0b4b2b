/** What the kernel keeps of modules: those loaded, the taint of the kernel, and who waits for a load to end. */
import type { ParamValue, Variant } from "./definition.ts";

/** coming: its init runs; live; going: its exit runs, or its init failed. */
export type ModuleLife = "coming" | "live" | "going";

/** A loaded module. Its code is found by `name` and `variant`. */
export interface Module {
  name: string;
  variant: Variant;
  state: ModuleLife;
  /** Users: open files, mappings, dependants; 1 more while init runs. -1 once it is being removed. */
  refcount: number;
  /** Modules that use its symbols, in the order in which they came. */
  holders: string[];
  /** Modules whose symbols it uses. */
  uses: string[];
  params: { [name: string]: ParamValue };
  /** The module's static variables: a plain record that it fills itself. */
  data: Record<string, unknown>;
  loadAddr: bigint;
  /** Bits of TAINT_ that this module brought. */
  taints: number;
  usesGplOnly: boolean;
}

export interface ModuleState {
  /** By name, the oldest first. */
  loaded: Map<string, Module>;
  /** Where insmod waits for the same module, or for the owner of a symbol, to finish loading (module_wq). */
  wait: number;
  /** /proc/sys/kernel/tainted */
  taint: number;
  /** /proc/sys/kernel/modules_disabled: one way. */
  disabled: boolean;
  /** Lock debugging was turned off by a taint, and that was told. */
  lockdepOff: boolean;
  /** The line about a missing signature is printed once. */
  toldUnsigned: boolean;
  /** Shown by `Modules linked in: … [last unloaded: …]`. */
  lastUnloaded: string;
}

/** `wait` is a fresh wait queue. */
export function moduleInit(wait: number): ModuleState {
  return { loaded: new Map(), wait, taint: 0, disabled: false, lockdepOff: false, toldUnsigned: false, lastUnloaded: "" };
}
