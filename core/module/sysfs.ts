/** /sys/module: what a loaded module tells of itself, and its parameters, which may be written. */
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { moduleTaintLetters } from "../sched/taint.ts";
import { attribute, dir, link, sysfsTree, text, type SysfsNode } from "../fs/sysfs/registry.ts";
import type { ParamSpec } from "./definition.ts";
import { paramText, setParam, type ParamMessage } from "./params.ts";
import { coreSize, definitionOf, initSize } from "./query.ts";
import type { Module } from "./state.ts";

const NOTES = [".note.Linux", ".note.gnu.build-id"];
const SECTIONS = [
  ".bss", ".data", ".exit.text", ".gnu.linkonce.this_module", ".init.text", ".note.Linux", ".note.gnu.build-id", ".orc_unwind",
  ".orc_unwind_ip", ".return_sites", ".rodata", ".rodata.str1.1", ".strtab", ".symtab", ".text", "__mcount_loc",
];
/** Attributes in sysfs are pages: where each section lies, from the start of the module in steps of this. */
const SECTION_STEP = 0x80n;

function parameterNode(module: Module, spec: ParamSpec): SysfsNode {
  return attribute(spec.perm, {
    show: () => paramText(spec, module.params[spec.name]),
    store: (k, _task, given) => storeParameter(k, module, spec, given),
  });
}

/** As param_attr_store: the text goes to the parameter as it came, up to a NUL; what the kernel says of it goes to the log. */
function storeParameter(k: Kernel, module: Module, spec: ParamSpec, given: string): number {
  const messages: ParamMessage[] = [];
  const nul = given.indexOf("\0");
  const result = setParam(spec, module.params, nul < 0 ? given : given.slice(0, nul), messages);
  for (const message of messages) printk(k, message.level, message.text);
  return result < 0 ? result : given.length;
}

function sectionNames(module: Module): string[] {
  return definitionOf(module).params.length > 0 ? [...SECTIONS, "__param"] : SECTIONS;
}

/** A text of a module, which may have gone since. */
const told = (show: (module: Module) => string, module: Module, mode = 0o444): SysfsNode => text(() => show(module), mode);

function moduleNode(module: Module, [name, child, ...more]: readonly string[]): SysfsNode | null {
  const definition = definitionOf(module);
  const shown = definition.params.filter(({ perm }) => perm !== 0);
  if (name === undefined) {
    return dir([
      "coresize", "holders", "initsize", "initstate", "notes", ...(shown.length > 0 ? ["parameters"] : []), "refcnt", "sections",
      ...(definition.srcversion === "" ? [] : ["srcversion"]), "taint", "uevent", ...(definition.version === undefined ? [] : ["version"]),
    ], shown.length > 0 ? 4 : 3);
  }
  if (more.length > 0) return null;
  switch (name) {
    case "parameters": {
      if (shown.length === 0) return null;
      if (child === undefined) return dir(shown.map((spec) => spec.name));
      const spec = shown.find((one) => one.name === child);
      return spec === undefined ? null : parameterNode(module, spec);
    }
    case "holders":
      if (child === undefined) return dir(module.holders);
      return module.holders.includes(child) ? link(`../../${child}`) : null;
    case "sections": {
      const names = sectionNames(module);
      if (child === undefined) return dir(names);
      const at = names.indexOf(child);
      if (at < 0) return null;
      const address = module.loadAddr + BigInt(at) * SECTION_STEP;
      return { kind: "file", mode: 0o400, size: 19, attribute: { show: () => `0x${address.toString(16).padStart(16, "0")}\n` } };
    }
    case "notes":
      if (child === undefined) return dir(NOTES);
      return NOTES.includes(child) ? { kind: "file", mode: 0o444, size: 24, attribute: { show: () => "" } } : null;
  }
  if (child !== undefined) return null;
  switch (name) {
    case "coresize": return told((one) => `${coreSize(one)}\n`, module);
    case "initsize": return told((one) => `${initSize(one)}\n`, module);
    case "initstate": return told((one) => `${one.state}\n`, module);
    case "refcnt": return told((one) => `${one.refcount}\n`, module);
    case "taint": return told((one) => `${moduleTaintLetters(one.taints)}\n`, module);
    case "uevent": return attribute(0o200, { store: (_k, _task, given) => given.length });
    case "srcversion": return definition.srcversion === "" ? null : told(() => `${definition.srcversion}\n`, module);
    case "version": return definition.version === undefined ? null : told(() => `${definition.version}\n`, module);
    default: return null;
  }
}

sysfsTree("module", (k, [name, ...more]) => {
  const { loaded } = k.state.modules;
  if (name === undefined) return dir([...loaded.keys()], loaded.size);
  const module = loaded.get(name);
  return module === undefined ? null : moduleNode(module, more);
});
