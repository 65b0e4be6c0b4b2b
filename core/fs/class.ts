/** Device classes and their devices: directories in /sys, nodes in /dev (drivers/base/class.c, core.c). */
import { EEXIST } from "../abi/errno.ts";
import { MAJOR, MINOR } from "../abi/dev_t.ts";
import { must } from "../lib/assert.ts";
import type { Device } from "../drivers/state.ts";
import type { Kernel } from "../kernel.ts";
import { callerTrace, dumpStack } from "../sched/dump_stack.ts";
import { printk } from "../sched/printk.ts";
import { devtmpfsCreate, devtmpfsRemove } from "./devtmpfs.ts";

const ERR = 3;
const WARNING = 4;

/** The complaint about a second directory or link of a name; `failed` is the object that could not be added. */
function sysfsDuplicate(k: Kernel, path: string, failed: string | null, trace: readonly string[]): number {
  printk(k, WARNING, `sysfs: cannot create duplicate filename '${path}'`);
  dumpStack(k, ["sysfs_warn_dup.cold+0x17/0x23", ...trace]);
  if (failed !== null) {
    printk(k, ERR, `kobject_add_internal failed for ${failed} with -EEXIST, don't try to register things with the same name in the same directory.`);
  }
  return -EEXIST;
}

/** Makes /sys/class/NAME. 0, or -EEXIST (told in the log). `owner` is the module, "" for the kernel itself. */
export function classCreate(k: Kernel, name: string, owner = ""): number {
  if (k.state.drivers.classes.has(name)) {
    return sysfsDuplicate(k, `/class/${name}`, name, [
      "sysfs_create_dir_ns+0xca/0xe0", "kobject_add_internal+0xba/0x260", "kset_register+0x55/0x70", "__class_register+0xcf/0x190",
      "__class_create+0x4c/0x80", ...callerTrace(k),
    ]);
  }
  k.state.drivers.classes.set(name, { name, owner });
  return 0;
}

export function classDestroy(k: Kernel, name: string): void {
  k.state.drivers.classes.delete(name);
}

export interface DeviceOptions {
  /** Permissions of the node; 0600 when absent or 0. */
  mode?: number;
  /** Path of the node below /dev; the device's name when absent. */
  node?: string;
  /** What called, for the log. */
  trace?: string[];
}

/**
 * Adds a device to a class: its directory under /sys/devices/virtual, and a node in /dev when `dev` is not 0.
 * 0, or -EEXIST for a second device of that name, or of that number (both told in the log).
 */
export function deviceCreate(k: Kernel, className: string, dev: number, name: string, { mode = 0, node = name, trace = [] }: DeviceOptions = {}): number {
  const { classes, devices } = k.state.drivers;
  must(classes, className);
  const key = `${className}/${name}`;
  const caller = ["device_create_groups_vargs+0xce/0xf0", "device_create+0x46/0x60", ...trace, ...callerTrace(k)];
  if (devices.has(key)) {
    return sysfsDuplicate(k, `/devices/virtual/${key}`, name, [
      "sysfs_create_dir_ns+0xca/0xe0", "kobject_add_internal+0xba/0x260", "kobject_add+0x9b/0xd0", "device_add+0xe0/0x8d0", ...caller,
    ]);
  }
  if (dev !== 0 && deviceOfNumber(k, dev) !== undefined) {
    return sysfsDuplicate(k, `/dev/char/${MAJOR(dev)}:${MINOR(dev)}`, null, [
      "sysfs_do_create_link_sd+0xd0/0xe0", "device_add+0x604/0x8d0", ...caller,
    ]);
  }
  const device: Device = { className, name, dev, mode, node, inode: 0, attributes: new Map() };
  devices.set(key, device);
  if (dev !== 0) device.inode = devtmpfsCreate(k, node, mode, dev);
  return 0;
}

/** Takes the device of that number, its directory and its node away. */
export function deviceDestroy(k: Kernel, className: string, dev: number): void {
  const { devices } = k.state.drivers;
  for (const [key, device] of devices) {
    if (device.className !== className || device.dev !== dev) continue;
    devices.delete(key);
    if (device.inode !== 0) devtmpfsRemove(k, device.node, device.inode);
    return;
  }
}

/** Adds an attribute file to a device: `attribute` is the name under which `sysfsAttribute` registered what it shows and stores. */
export function deviceCreateFile(k: Kernel, className: string, deviceName: string, name: string, mode: number, attribute: string): number {
  const { attributes } = must(k.state.drivers.devices, `${className}/${deviceName}`);
  if (attributes.has(name)) return sysfsDuplicate(k, `/devices/virtual/${className}/${deviceName}/${name}`, null, callerTrace(k));
  attributes.set(name, { mode, attribute });
  return 0;
}

export function deviceRemoveFile(k: Kernel, className: string, deviceName: string, name: string): void {
  k.state.drivers.devices.get(`${className}/${deviceName}`)?.attributes.delete(name);
}

/** The device that has a number. */
export function deviceOfNumber(k: Kernel, dev: number): Device | undefined {
  for (const device of k.state.drivers.devices.values()) if (device.dev === dev) return device;
  return undefined;
}

/** The uevent file of a device: MAJOR, MINOR, DEVNAME, DEVMODE. */
export function ueventText({ dev, node, mode }: Device): string {
  if (dev === 0) return "";
  const text = `MAJOR=${MAJOR(dev)}\nMINOR=${MINOR(dev)}\nDEVNAME=${node}\n`;
  return mode === 0 ? text : `${text}DEVMODE=${mode.toString(8).padStart(4, "0")}\n`;
}
