/** Character devices: numbers are registered, cdevs say what opens them (fs/char_dev.c, driver-api/basics). */
import { EBUSY, EINVAL, ENXIO } from "../abi/errno.ts";
import { MAJOR, MINOR, MINORMASK, MKDEV } from "../abi/dev_t.ts";
import type { Kernel } from "../kernel.ts";
import type { CharDevice } from "../drivers/state.ts";
import { printk } from "../sched/printk.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fileOperations, opsOf, type OpenFile } from "./file.ts";
import { codeIsThere } from "./file_code.ts";
import type { Inode } from "./inode.ts";

const CHRDEV_MAJOR_MAX = 512;
/** Dynamic majors go down from 254 to 234, then from 511 to 384. */
const DYNAMIC_START = 254;
const DYNAMIC_END = 234;
const EXTENDED_START = 511;
const EXTENDED_END = 384;
/** Majors share a hash bucket at this distance; a bucket in use is skipped, as find_dynamic_major does. */
const BUCKETS = 255;
const NAME_MAX = 63;
const ERR = 3;

function dynamicMajor(k: Kernel): number {
  const { regions } = k.state.drivers;
  for (let major = DYNAMIC_START; major >= DYNAMIC_END; major--) {
    if (!regions.some((region) => region.major % BUCKETS === major)) return major;
  }
  for (let major = EXTENDED_START; major >= EXTENDED_END; major--) {
    if (!regions.some((region) => region.major === major)) return major;
  }
  return -EBUSY;
}

/** Registers a range, kept in the order of numbers. Answers its major or an errno. */
function registerRegion(k: Kernel, wanted: number, baseMinor: number, count: number, name: string): number {
  const major = wanted === 0 ? dynamicMajor(k) : wanted;
  if (major < 0) {
    printk(k, ERR, `CHRDEV "${name}" dynamic allocation region is full`);
    return major;
  }
  if (major >= CHRDEV_MAJOR_MAX) {
    printk(k, ERR, `CHRDEV "${name}" major requested (${major}) is greater than the maximum (${CHRDEV_MAJOR_MAX - 1})`);
    return -EINVAL;
  }
  if (count > MINORMASK + 1 - baseMinor) {
    printk(k, ERR, `CHRDEV "${name}" minor range requested (${baseMinor}-${baseMinor + count - 1}) is out of range of maximum range `
      + `(0-${MINORMASK}) for a single major`);
    return -EINVAL;
  }
  const { regions } = k.state.drivers;
  const before = (region: { major: number; baseMinor: number }): boolean =>
    region.major < major || (region.major === major && region.baseMinor < baseMinor);
  if (regions.some((region) => region.major === major
    && region.baseMinor < baseMinor + count && baseMinor < region.baseMinor + region.count)) return -EBUSY;
  const at = regions.findIndex((region) => !before(region));
  regions.splice(at < 0 ? regions.length : at, 0, { major, baseMinor, count, name: name.slice(0, NAME_MAX) });
  return major;
}

function unregisterRegion(k: Kernel, major: number, baseMinor: number, count: number): void {
  const { drivers } = k.state;
  drivers.regions = drivers.regions.filter((region) =>
    !(region.major === major && region.baseMinor === baseMinor && region.count === count));
}

/** Reserves `count` device numbers from `dev` on. 0; -EBUSY when some are taken, -EINVAL for a major above 511. */
export function registerChrdevRegion(k: Kernel, dev: number, count: number, name: string): number {
  const major = registerRegion(k, MAJOR(dev), MINOR(dev), count, name);
  return major < 0 ? major : 0;
}

/** Reserves `count` numbers of a fresh major. Answers the first, a dev_t, or -EBUSY. */
export function allocChrdevRegion(k: Kernel, baseMinor: number, count: number, name: string): number {
  const major = registerRegion(k, 0, baseMinor, count, name);
  return major < 0 ? major : MKDEV(major, baseMinor);
}

export function unregisterChrdevRegion(k: Kernel, dev: number, count: number): void {
  unregisterRegion(k, MAJOR(dev), MINOR(dev), count);
}

/** The numbers `dev` … `dev + count - 1` open with the file operations registered as `ops`. */
export function cdevAdd(k: Kernel, dev: number, count: number, ops: string): number {
  k.state.drivers.cdevs.push({ dev, count, ops });
  return 0;
}

/** Takes the cdev that begins at `dev` away; files that are open keep their operations. */
export function cdevDel(k: Kernel, dev: number): void {
  const { drivers } = k.state;
  drivers.cdevs = drivers.cdevs.filter((cdev) => cdev.dev !== dev);
}

/**
 * register_chrdev: 256 minors of `major` at once, a fresh major for 0. Answers the major when it was 0, else 0;
 * -EBUSY when taken, -EINVAL above 511.
 */
export function registerChrdev(k: Kernel, major: number, name: string, ops: string): number {
  const given = registerRegion(k, major, 0, 256, name);
  if (given < 0) return given;
  cdevAdd(k, MKDEV(given, 0), 256, ops);
  return major === 0 ? given : 0;
}

export function unregisterChrdev(k: Kernel, major: number, _name: string): void {
  cdevDel(k, MKDEV(major, 0));
  unregisterRegion(k, major, 0, 256);
}

/** The cdev behind a number: of several, the one with the smallest range, as kobj_lookup finds. */
function lookupCdev(k: Kernel, dev: number): CharDevice | null {
  let best: CharDevice | null = null;
  for (const cdev of k.state.drivers.cdevs) {
    if (dev >= cdev.dev && dev < cdev.dev + cdev.count && (best === null || cdev.count < best.count)) best = cdev;
  }
  return best;
}

/**
 * Gives an open file its driver's operations and takes a use count of the module that owns them.
 * False, with nothing changed, when that module is going.
 */
export function replaceOps(k: Kernel, file: OpenFile, ops: string): boolean {
  const operations = k.tables.fileOperations.get(ops);
  const owner = operations?.owner ?? "";
  // As Linux would run into freed code: a driver without .owner that left its device behind.
  if (!codeIsThere(k, operations)) return false;
  if (owner !== "" && !k.tables.hooks.tryModuleGet(k, owner)) return false;
  file.ops = ops;
  file.module = owner;
  return true;
}

/** Open of a character node: -ENXIO when nobody registered its number or the driver's module is going. */
function openChrdev(k: Kernel, task: Task, file: OpenFile, inode: Inode): SyscallResult {
  const cdev = lookupCdev(k, inode.rdev);
  if (cdev === null || !replaceOps(k, file, cdev.ops)) return -ENXIO;
  // A sleeping open is called again through the operations that the file has now: the driver's own.
  return opsOf(k, file).open?.(k, task, file, inode) ?? 0;
}

/** What every character node opens with. */
fileOperations("chrdev", { open: openChrdev });

/** /proc/devices: majors and names, each number's ranges in order. */
export function devicesText(k: Kernel): string {
  let text = "Character devices:\n";
  for (const { major, name } of k.state.drivers.regions) text += `${String(major).padStart(3)} ${name}\n`;
  return `${text}\nBlock devices:\n${k.state.machine.swapMiB > 0 ? "254 virtblk\n" : ""}259 blkext\n`;
}
