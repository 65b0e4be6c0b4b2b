/** Device classes and their devices: directories in /sys, nodes in /dev (drivers/base/class.c, core.c). */
import { EEXIST } from "../abi/errno.ts";
import { MAJOR, MINOR } from "../abi/dev_t.ts";
import { must } from "../lib/assert.ts";
import type { Device } from "../drivers/state.ts";
import type { Kernel } from "../kernel.ts";
import { callerTrace, dumpStack, warn } from "../sched/dump_stack.ts";
import { printk } from "../sched/printk.ts";
import { devtmpfsCreate, devtmpfsRemove } from "./devtmpfs.ts";
import { sysfsAttributes } from "./sysfs/registry.ts";
import { kobjectSynthUevent, kobjectUevent } from "./uevent.ts";

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
  k.state.drivers.classes.set(name, { name, owner, attributes: new Map() });
  kobjectUevent(k, "add", `/class/${name}`, "class");
  return 0;
}

export function classDestroy(k: Kernel, name: string): void {
  if (k.state.drivers.classes.delete(name)) kobjectUevent(k, "remove", `/class/${name}`, "class");
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
  deviceUevent(k, "add", device);
  return 0;
}

/** Tells of a device: its number and node are part of the message. */
function deviceUevent(k: Kernel, action: string, device: Device): void {
  kobjectUevent(k, action, devicePath(device), device.className, ueventText(device).split("\n").slice(0, -1));
}

/** Below /sys. */
const devicePath = ({ className, name }: Device): string => `/devices/virtual/${className}/${name}`;

/** What is written to the device's `uevent` file: an action, which is told to all. The bytes taken, or -EINVAL (told in the log). */
export function ueventStore(k: Kernel, device: Device, text: string): number {
  const error = kobjectSynthUevent(k, text, devicePath(device), device.className, ueventText(device).split("\n").slice(0, -1));
  if (error === 0) return text.length;
  printk(k, ERR, `${device.className} ${device.name}: uevent: failed to send synthetic uevent: ${error}`);
  return error;
}

/** Takes the device of that number, its directory and its node away. */
export function deviceDestroy(k: Kernel, className: string, dev: number): void {
  const { devices } = k.state.drivers;
  for (const [key, device] of devices) {
    if (device.className !== className || device.dev !== dev) continue;
    devices.delete(key);
    if (device.inode !== 0) devtmpfsRemove(k, device.node, device.inode);
    deviceUevent(k, "remove", device);
    return;
  }
}

/** Permissions that promise what the attribute has no function for are warned of (device_create_file). */
function warnOfMode(k: Kernel, name: string, mode: number, attribute: string): void {
  const { show, store } = must(sysfsAttributes, attribute);
  const where = { file: "drivers/base/core.c", line: 2949, symbol: "device_create_file+0x8b/0xc0" };
  if ((mode & 0o222) !== 0 && store === undefined) warn(k, `Attribute ${name}: write permission without 'store'`, where, callerTrace(k));
  if ((mode & 0o444) !== 0 && show === undefined) warn(k, `Attribute ${name}: read permission without 'show'`, where, callerTrace(k));
}

/** Adds an attribute file to a device: `attribute` is the name under which `sysfsAttribute` registered what it shows and stores. 0 or -EEXIST. */
export function deviceCreateFile(k: Kernel, className: string, deviceName: string, name: string, mode: number, attribute: string): number {
  const { attributes } = must(k.state.drivers.devices, `${className}/${deviceName}`);
  warnOfMode(k, name, mode, attribute);
  if (attributes.has(name)) return sysfsDuplicate(k, `/devices/virtual/${className}/${deviceName}/${name}`, null, callerTrace(k));
  attributes.set(name, { mode, attribute });
  return 0;
}

/** Attributes that come and go together, in a directory of their own when the group has a name. */
export interface AttributeGroup {
  name?: string;
  attributes: readonly { name: string; mode: number; attribute: string }[];
}

/** Permissions that a group's files may have: nobody else's writing (SYSFS_PREALLOC aside). */
const GROUP_MODES = 0o664;

/** Adds a group of attributes to a device: 0, or -EEXIST, and then none of them (sysfs_create_group, device_add_groups). */
export function deviceAddGroup(k: Kernel, className: string, deviceName: string, { name: group, attributes: added }: AttributeGroup): number {
  const { attributes } = must(k.state.drivers.devices, `${className}/${deviceName}`);
  const prefix = group === undefined ? "" : `${group}/`;
  const taken = added.find(({ name }) => attributes.has(prefix + name));
  if (taken !== undefined || (prefix !== "" && [...attributes.keys()].some((name) => name.startsWith(prefix)))) {
    return sysfsDuplicate(k, `/devices/virtual/${className}/${deviceName}/${group ?? taken?.name ?? ""}`, null, callerTrace(k));
  }
  for (const { name, mode, attribute } of added) {
    must(sysfsAttributes, attribute);
    if ((mode & ~GROUP_MODES) !== 0) {
      warn(k, `Attribute ${name}: Invalid permissions 0${mode.toString(8)}`, { file: "fs/sysfs/group.c", line: 61, symbol: "internal_create_group+0x3a1/0x3e0" }, callerTrace(k));
    }
    attributes.set(prefix + name, { mode: mode & GROUP_MODES, attribute });
  }
  return 0;
}

export function deviceRemoveGroup(k: Kernel, className: string, deviceName: string, { name: group, attributes }: AttributeGroup): void {
  for (const { name } of attributes) deviceRemoveFile(k, className, deviceName, group === undefined ? name : `${group}/${name}`);
}

/** Adds an attribute file to a class: 0 or -EEXIST (class_create_file). */
export function classCreateFile(k: Kernel, className: string, name: string, mode: number, attribute: string): number {
  const { attributes } = must(k.state.drivers.classes, className);
  must(sysfsAttributes, attribute);
  if (attributes.has(name)) return sysfsDuplicate(k, `/class/${className}/${name}`, null, callerTrace(k));
  attributes.set(name, { mode, attribute });
  return 0;
}

export function classRemoveFile(k: Kernel, className: string, name: string): void {
  k.state.drivers.classes.get(className)?.attributes.delete(name);
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
