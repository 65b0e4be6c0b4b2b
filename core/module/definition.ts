/** What a module is before it is loaded: its names, parameters, symbols and code; a lab registers one definition a module. */
import { assert } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import type { StepTable, StepResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import type { Module } from "./state.ts";

/** The value of a parameter as the module's C variable holds it: numbers, text, or an array of numbers. */
export type ParamValue = number | bigint | boolean | string | (number | bigint)[] | null;

export type ScalarParamType =
  | "bool" | "invbool" | "byte" | "short" | "ushort" | "int" | "uint" | "hexint" | "long" | "ulong" | "ullong" | "charp";

/** set and get of module_param_cb: `set` answers the new value, or a negative errno in `errno`. */
export interface ParamOps {
  set(text: string | null): { value: ParamValue } | { errno: number };
  get(value: ParamValue): string;
  /** KERNEL_PARAM_OPS_FL_NOARG: the name alone is accepted. */
  noArg?: boolean;
}

/** One module_param: `perm` 0 has no file in sysfs. */
export interface ParamSpec {
  name: string;
  /** "string" copies into a buffer of `size` bytes, "custom" goes through `ops`. */
  type: ScalarParamType | "string" | "custom";
  /** The value before parameters are parsed. An array's default is the elements it starts with. */
  default: ParamValue;
  perm: number;
  /** MODULE_PARM_DESC */
  description?: string;
  /** module_param_array: how many elements fit. `counted` when the module keeps the number given. */
  array?: { max: number; counted: boolean };
  /** The buffer of a "string", with its NUL. */
  size?: number;
  ops?: ParamOps;
}

export type Variant = "corrected" | "seed" | "upstream";
export const VARIANTS: readonly Variant[] = ["corrected", "seed", "upstream"];

/** Module code: a table of steps, entered with the locals `{ module: name }`, or a plain function that never sleeps twice. */
export type ModuleCode = StepTable<{ module: string }> | ((k: Kernel, module: Module, task: Task) => StepResult);

export interface ModuleVariant {
  /** The defects of the report that this build has, one sentence each; empty for the corrected one. */
  defects: string[];
  /** 0, a negative errno (everything is unwound), or a positive number (loaded all the same, with a warning). */
  init?: ModuleCode;
  /** Absent with an `init`: the module cannot be removed ("[permanent]"). */
  exit?: ModuleCode;
}

/** A symbol given to other modules; `gpl` is EXPORT_SYMBOL_GPL, `data` a variable. */
export interface ExportedSymbol {
  name: string;
  gpl?: boolean;
  data?: boolean;
}

export interface ModuleDefinition {
  name: string;
  /** MODULE_LICENSE; "" when the source has none. */
  license: string;
  version?: string;
  description?: string;
  author?: string[];
  alias?: string[];
  /** Further MODULE_INFO lines, such as `["intree_x", "custom"]`. */
  info?: [string, string][];
  /** The order of the lines above in modinfo, by key; the usual order when absent. */
  infoOrder?: string[];
  depends: string[];
  /** 23 hexadecimal digits; "" when the source has no MODULE_VERSION. */
  srcversion: string;
  /** Bytes of core and init text and data, both multiples of a page. */
  size: number;
  initSize: number;
  params: ParamSpec[];
  exports: ExportedSymbol[];
  /** Symbols of other modules, and of the kernel where GPL-only ones matter, in the order of the symbol table. */
  imports: string[];
  variants: { [v in Variant]?: ModuleVariant };
  /** Not listed by the service: a module of the tests. */
  hidden?: boolean;
}

/** Every known module by name, in the order registered. */
export const moduleDefinitions = new Map<string, ModuleDefinition>();

const PAGE_SIZE = 4096;

/** Registers a module so that its files appear under /lib/modules; names are those of lsmod, with underscores. */
export function moduleDefinition(definition: ModuleDefinition): ModuleDefinition {
  const { name, size, initSize } = definition;
  assert(/^[a-z0-9_]{1,55}$/.test(name), `module name ${name}`);
  assert(!moduleDefinitions.has(name), `two modules named ${name}`);
  assert(size > 0 && size % PAGE_SIZE === 0 && initSize % PAGE_SIZE === 0, `size of module ${name}`);
  assert(Object.keys(definition.variants).length > 0, `module ${name} has no variant`);
  moduleDefinitions.set(name, definition);
  return definition;
}

/** A test's module can be withdrawn, so that one file's definitions do not reach another's. */
export function withdrawModule(name: string): void {
  moduleDefinitions.delete(name);
}
