/** Misc devices: small drivers that share major 10 (drivers/char/misc.c). */
import { EBUSY, ENODEV } from "../abi/errno.ts";
import { MINOR, MKDEV } from "../abi/dev_t.ts";
import type { Kernel } from "../kernel.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { cdevAdd, registerChrdevRegion, replaceOps } from "./char_dev.ts";
import { classCreate, deviceCreate, deviceDestroy } from "./class.ts";
import { fileOperations, opsOf, type OpenFile } from "./file.ts";
import type { Inode } from "./inode.ts";

export const MISC_MAJOR = 10;
/** As minor: give me one. */
export const MISC_DYNAMIC_MINOR = 255;
/** Dynamic minors go down from 127. */
const DYNAMIC_MINORS = 128;
const CLASS = "misc";

export interface MiscRegistration {
  minor: number;
  name: string;
  /** Name of its file operations; their owner is the module that an open keeps in use. */
  ops: string;
  /** Permissions of the node; 0600 when absent. */
  mode?: number;
  /** Name of the node when it is another than the device's. */
  node?: string;
}

function freeMinor(k: Kernel): number {
  const { misc } = k.state.drivers;
  for (let minor = DYNAMIC_MINORS - 1; minor >= 0; minor--) if (!misc.some((one) => one.minor === minor)) return minor;
  return -EBUSY;
}

/**
 * Registers a misc device and makes its node. Answers its minor, or -EBUSY when the minor is taken (or none is left),
 * -EEXIST for a second device of that name.
 */
export function miscRegister(k: Kernel, { minor: wanted, name, ops, mode = 0, node }: MiscRegistration): number {
  const { drivers } = k.state;
  const minor = wanted === MISC_DYNAMIC_MINOR ? freeMinor(k) : wanted;
  if (minor < 0 || drivers.misc.some((one) => one.minor === minor)) return -EBUSY;
  const made = deviceCreate(k, CLASS, MKDEV(MISC_MAJOR, minor), name, { mode, node, trace: ["misc_register+0x14c/0x190"] });
  if (made < 0) return made;
  drivers.misc.unshift({ minor, name, ops, mode });
  return minor;
}

/** Takes a misc device and its node away; files that are open live on. */
export function miscDeregister(k: Kernel, name: string): void {
  const { drivers } = k.state;
  const found = drivers.misc.find((one) => one.name === name);
  if (found === undefined) return;
  drivers.misc = drivers.misc.filter((one) => one !== found);
  deviceDestroy(k, CLASS, MKDEV(MISC_MAJOR, found.minor));
}

/** Open of a node of major 10: -ENODEV when the minor is nobody's or its module is going. */
function openMisc(k: Kernel, task: Task, file: OpenFile, inode: Inode): SyscallResult {
  const found = k.state.drivers.misc.find((one) => one.minor === MINOR(inode.rdev));
  // As Linux: a module that would serve the minor is asked for first; there is no such file here.
  if (found === undefined || !replaceOps(k, file, found.ops)) return -ENODEV;
  return opsOf(k, file).open?.(k, task, file, inode) ?? 0;
}

fileOperations("misc", { open: openMisc });

/** At boot: the class, the major and what opens it. */
export function bootMisc(k: Kernel): void {
  classCreate(k, CLASS);
  registerChrdevRegion(k, MKDEV(MISC_MAJOR, 0), 256, "misc");
  cdevAdd(k, MKDEV(MISC_MAJOR, 0), 256, "misc");
}

/** /proc/misc: minors and names, the newest first. */
export function miscText(k: Kernel): string {
  return k.state.drivers.misc.map(({ minor, name }) => `${String(minor).padStart(3)} ${name}\n`).join("");
}
