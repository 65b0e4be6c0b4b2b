/** Loading and removing modules: init_module, finit_module, delete_module (kernel/module/main.c). */
import { EBUSY, EEXIST, ENODEV, ENOENT, ENOEXEC, EAGAIN, ENOMEM } from "../abi/errno.ts";
import { MODULE_INIT_IGNORE_VERMAGIC } from "../abi/module.ts";
import { O_TRUNC } from "../abi/fcntl.ts";
import { VERMAGIC } from "../abi/release.ts";
import type { Kernel } from "../kernel.ts";
import { freeOwned } from "../irq/owned.ts";
import { must } from "../lib/assert.ts";
import { dumpStack } from "../sched/dump_stack.ts";
import { emit } from "../sched/events.ts";
import { checkInitcall } from "../sched/lock_exit.ts";
import { printk } from "../sched/printk.ts";
import { NEXT, enter, steps, type Frame, type StepResult, type SyscallResult } from "../sched/steps.ts";
import {
  addTaint, addTaintModule, moduleFlags, TAINT_FORCED_MODULE, TAINT_FORCED_RMMOD, TAINT_OOT_MODULE, TAINT_PROPRIETARY_MODULE,
  TAINT_UNSIGNED_MODULE, testTaint,
} from "../sched/taint.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn, wake } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { moduleDefinitions, type ModuleCode, type ModuleDefinition, type Variant } from "./definition.ts";
import { disown, GONE_CODE, isInside, strandThreads } from "./gone.ts";
import { parseModuleImage } from "./image.ts";
import { isGplCompatible, UNSPECIFIED_LICENSE } from "./license.ts";
import { placeModule } from "./load_address.ts";
import { disarm, leftBehind } from "./leaks.ts";
import { parseParams } from "./params.ts";
import { definitionOf, isPermanent, variantOf } from "./query.ts";
import { unuseModules } from "./refcount.ts";
import type { Module } from "./state.ts";
import { duplicateExport, resolveSymbol } from "./symbols.ts";

const ERR = 3;
const WARNING = 4;
const NOTICE = 5;
/** How long a load waits for the owner of a symbol to finish its own (resolve_symbol_wait). */
const SYMBOL_WAIT_NS = 30_000_000_000;

export interface LoadLocals {
  definition: string;
  variant: Variant;
  /** The image's version magic; null for none. */
  vermagic: string | null;
  /** MODULE_INIT_ flags. */
  flags: number;
  /** Parameters, one character a byte; null when they could not be read. */
  params: string | null;
  paramsErrno: number;
  /** Next import to bind, and until when to wait for its owner. */
  next: number;
  missing: number;
  untilNs: number;
  /** Taint bits of the module, gathered before it has a record. */
  taints: number;
  /** Another load of the same module was under way, and this one slept for it. */
  waited: boolean;
}

/** What the bytes of a .ko lead to: the locals of `loadModule`, or -ENOEXEC with its line in the log. */
export function readImage(k: Kernel, image: Uint8Array): Pick<LoadLocals, "definition" | "variant" | "vermagic"> | number {
  const parsed = parseModuleImage(image);
  if ("text" in parsed) {
    printk(k, parsed.level, parsed.text);
    return -ENOEXEC;
  }
  return { definition: parsed.definition.name, variant: parsed.variant, vermagic: parsed.vermagic };
}

/** Locals of a load; `params` is a text of bytes, or the errno of reading it. */
export function loadLocals(image: Pick<LoadLocals, "definition" | "variant" | "vermagic">, params: string | number, flags: number): LoadLocals {
  const text = typeof params === "number" ? { params: null, paramsErrno: params } : { params, paramsErrno: 0 };
  return { ...image, ...text, flags, next: 0, missing: 0, untilNs: -1, taints: 0, waited: false };
}

/** Version magic, out of tree, licence: what the .modinfo section says of a module (check_modinfo). Answers taint bits or -ENOEXEC. */
function checkModinfo(k: Kernel, { name, license }: ModuleDefinition, vermagic: string | null, flags: number): number {
  let taints = 0;
  const forced = (flags & MODULE_INIT_IGNORE_VERMAGIC) !== 0;
  if (vermagic === null || forced) {
    if (!testTaint(k, TAINT_FORCED_MODULE) && !forced) printk(k, WARNING, `${name}: bad vermagic: kernel tainted.`);
    addTaint(k, TAINT_FORCED_MODULE);
    taints |= 1 << TAINT_FORCED_MODULE;
  } else if (vermagic !== VERMAGIC) {
    printk(k, ERR, `${name}: version magic '${vermagic}' should be '${VERMAGIC}'`);
    return -ENOEXEC;
  }
  if (!testTaint(k, TAINT_OOT_MODULE)) printk(k, WARNING, `${name}: loading out-of-tree module taints kernel.`);
  addTaint(k, TAINT_OOT_MODULE);
  taints |= 1 << TAINT_OOT_MODULE;
  const licence = license === "" ? UNSPECIFIED_LICENSE : license;
  if (!isGplCompatible(licence)) {
    if (!testTaint(k, TAINT_PROPRIETARY_MODULE)) printk(k, WARNING, `${name}: module license '${licence}' taints kernel.`);
    addTaint(k, TAINT_PROPRIETARY_MODULE, { lockdepUnreliable: true });
    taints |= 1 << TAINT_PROPRIETARY_MODULE;
  }
  return taints;
}

function newModule(k: Kernel, definition: ModuleDefinition, { variant, taints }: LoadLocals): Module {
  const module: Module = {
    name: definition.name, variant, state: "coming", refcount: 1, holders: [], uses: [], params: {}, data: {},
    loadAddr: placeModule(k, definition.size), taints, usesGplOnly: false,
  };
  k.state.modules.loaded.set(definition.name, module);
  if (!k.state.modules.toldUnsigned) {
    k.state.modules.toldUnsigned = true;
    printk(k, NOTICE, `${definition.name}: module verification failed: signature and/or required key missing - tainting kernel`);
  }
  addTaintModule(k, module, TAINT_UNSIGNED_MODULE);
  return module;
}

/** A module goes: what it used is let go, those who wait for it look again. */
function freeModule(k: Kernel, module: Module): void {
  disown(k, module.name);
  freeOwned(k, module.name, GONE_CODE);
  disarm(k, module.name);
  strandThreads(k, module.name);
  unuseModules(k, module);
  k.state.modules.loaded.delete(module.name);
  wake(k, k.state.modules.wait, { nr: Infinity });
}

function moduleOf(k: Kernel, locals: { definition: string }): Module {
  return must(k.state.modules.loaded, locals.definition);
}

/** Runs init or exit: plain code at once, a table as steps below. */
function runCode(k: Kernel, task: Task, module: Module, code: ModuleCode): StepResult {
  return typeof code === "function" ? code(k, module, task) : enter(code, { module: module.name });
}

/** Gives the number of plain code to the next step, as an entered table's would be. */
function passOn(result: StepResult, frame: { ret: number | bigint }): StepResult {
  if (typeof result === "object") return result;
  frame.ret = result;
  return NEXT;
}

/** From a checked image to a live module; 0 or an errno. */
export const loadModule = steps<LoadLocals>("module.load", {
  modinfo: (k, _task, { locals }) => {
    const definition = must(moduleDefinitions, locals.definition);
    const taints = checkModinfo(k, definition, locals.vermagic, locals.flags);
    if (taints < 0) return taints;
    locals.taints = taints;
    return NEXT;
  },
  unique: (k, _task, { locals }) => {
    const { loaded, wait } = k.state.modules;
    const old = loaded.get(locals.definition);
    if (old?.state === "coming") {
      locals.waited = true;
      return sleepOn(wait, { wchan: "add_unformed_module" });
    }
    if (old !== undefined) return old.state === "live" ? -EEXIST : -EBUSY;
    // As Linux: one that waited for another load of the module, which failed, does not try itself.
    if (locals.waited) return -EBUSY;
    if (loaded.size >= MODULE_LIMIT) return -ENOMEM;
    newModule(k, must(moduleDefinitions, locals.definition), locals);
    return NEXT;
  },
  symbols: (k, _task, { locals }) => bindSymbols(k, locals),
  params: (k, _task, { locals }) => {
    const module = moduleOf(k, locals);
    const failed = locals.missing !== 0 ? locals.missing : locals.paramsErrno !== 0 ? locals.paramsErrno : formation(k, module, locals.params ?? "");
    if (failed === 0) return NEXT;
    module.state = "going";
    freeModule(k, module);
    return failed;
  },
  init: (k, task, frame) => {
    const module = moduleOf(k, frame.locals);
    const { init } = variantOf(module);
    return init === undefined ? passOn(0, frame) : passOn(runCode(k, task, module, init), frame);
  },
  live: (k, _task, { locals, ret }) => {
    const module = moduleOf(k, locals);
    const result = Number(ret);
    checkInitcall(k, module.name);
    if (result < 0) {
      module.state = "going";
      leftBehind(k, module);
      freeModule(k, module);
      return result;
    }
    if (result > 0) printSuspicious(k, module, result);
    module.state = "live";
    module.refcount--;
    wake(k, k.state.modules.wait, { nr: Infinity });
    emit(k, { event: "module", data: { what: "loaded", name: module.name, variant: module.variant, defects: [...variantOf(module).defects] } });
    return 0;
  },
}, { undo: { symbols: dropUnfinished } });

/** A signal ended the wait for a symbol: the module goes as it came. */
function dropUnfinished(k: Kernel, _task: Task, { locals }: Frame<LoadLocals>): void {
  freeModule(k, moduleOf(k, locals));
}

/** Modules that one kernel holds at a time. */
const MODULE_LIMIT = 256;

/** Binds the imports from `next` on; a missing one is told and the rest still tried (simplify_symbols). */
function bindSymbols(k: Kernel, locals: LoadLocals): StepResult {
  const module = moduleOf(k, locals);
  const { imports } = definitionOf(module);
  for (; locals.next < imports.length; locals.next++, locals.untilNs = -1) {
    const symbol = imports[locals.next];
    const result = resolveSymbol(k, module, symbol);
    if (result === 0) continue;
    if (result === -EBUSY) {
      if (locals.untilNs < 0) locals.untilNs = now(k) + SYMBOL_WAIT_NS;
      if (now(k) < locals.untilNs) return sleepOn(k.state.modules.wait, { untilNs: locals.untilNs, wchan: "resolve_symbol_wait" });
      printk(k, WARNING, `${module.name}: gave up waiting for init of module ${ownerOfSymbol(k, symbol)}.`);
    }
    printk(k, WARNING, `${module.name}: Unknown symbol ${symbol} (err ${result})`);
    locals.missing = result === -EBUSY || result === -ENODEV ? result : -ENOENT;
  }
  return NEXT;
}

function ownerOfSymbol(k: Kernel, symbol: string): string {
  for (const module of k.state.modules.loaded.values()) if (definitionOf(module).exports.some(({ name }) => name === symbol)) return module.name;
  return "?";
}

/** Exports that nobody has yet, and parameters that can be read: 0, -ENOEXEC, or the errno of a bad parameter. */
function formation(k: Kernel, module: Module, text: string): number {
  const definition = definitionOf(module);
  const duplicate = duplicateExport(k, module);
  if (duplicate !== null) {
    printk(k, ERR, `${module.name}: exports duplicate symbol ${duplicate.name} (owned by ${duplicate.owner})`);
    return -ENOEXEC;
  }
  const { errno, values, messages } = parseParams(module.name, definition.params, text);
  module.params = values;
  for (const message of messages) printk(k, message.level, message.text);
  return errno;
}

function printSuspicious(k: Kernel, module: Module, result: number): void {
  printk(k, WARNING, `do_init_module: '${module.name}'->init suspiciously returned ${result}, it should follow 0/-E convention\n`
    + "do_init_module: loading module anyway...");
  dumpStack(k, ["do_init_module.cold+0x21/0x26", "__do_sys_finit_module+0xac/0x120"]);
}

interface RemoveLocals {
  name: string;
}

/** Whether a module may go now: 0, -ENOENT, -EAGAIN (in use), -EBUSY (loading, going, permanent). `flags`: O_TRUNC forces. */
export function mayRemove(k: Kernel, name: string, flags: number): number {
  const module = k.state.modules.loaded.get(name);
  if (module === undefined) return -ENOENT;
  if (module.holders.length > 0) return -EAGAIN;
  if (module.state !== "live") return -EBUSY;
  const force = (flags & O_TRUNC) !== 0;
  const forced = (): boolean => {
    if (force) addTaint(k, TAINT_FORCED_RMMOD);
    return force;
  };
  if (isPermanent(module) && !forced()) return -EBUSY;
  if (module.refcount > 0 && !forced()) return -EAGAIN;
  // Differs from Linux: even force does not take code from under a task that stands in it.
  return isInside(k, name) ? -EAGAIN : 0;
}

/** Runs exit and forgets the module; the caller has asked `mayRemove` and set it going. */
export const removeModule = steps<RemoveLocals>("module.remove", {
  exit: (k, task, frame) => {
    const module = must(k.state.modules.loaded, frame.locals.name);
    const { exit } = variantOf(module);
    return exit === undefined ? passOn(0, frame) : passOn(runCode(k, task, module, exit), frame);
  },
  end: (k, _task, { locals }) => {
    const module = must(k.state.modules.loaded, locals.name);
    leftBehind(k, module);
    k.state.modules.lastUnloaded = `${module.name}${moduleFlags({ ...module, state: "live" })}`;
    freeModule(k, module);
    emit(k, { event: "module", data: { what: "removed", name: module.name } });
    return 0;
  },
});

/** delete_module(2) of a module by name: 0 or what mayRemove says, or the steps of its exit. */
export function deleteModule(k: Kernel, name: string, flags: number): SyscallResult {
  const denied = mayRemove(k, name, flags);
  if (denied !== 0) return denied;
  const module = must(k.state.modules.loaded, name);
  module.state = "going";
  module.refcount = -1;
  return enter(removeModule, { name });
}

/** The load as the answer of a system call or of a step. */
export function enterLoad(locals: LoadLocals): SyscallResult {
  return enter(loadModule, locals);
}
