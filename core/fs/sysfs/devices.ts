/** /sys/class, /sys/devices and /sys/dev: the devices of class.ts from three sides. */
import { MAJOR, MINOR } from "../../abi/dev_t.ts";
import { must } from "../../lib/assert.ts";
import type { Kernel } from "../../kernel.ts";
import { ranges } from "../../lib/format.ts";
import type { Device } from "../../drivers/state.ts";
import { deviceOfNumber, ueventStore, ueventText } from "../class.ts";
import { attribute, dir, link, sysfsAttributes, sysfsTree, text, type SysfsNode } from "./registry.ts";

function devicesOf(k: Kernel, className: string): Device[] {
  return [...k.state.drivers.devices.values()].filter((device) => device.className === className);
}

/** Classes are directories of links to their devices. */
sysfsTree("class", (k, [className, name, ...more]) => {
  const { classes, devices } = k.state.drivers;
  if (className === undefined) return dir([...classes.keys()], classes.size);
  const found = classes.get(className);
  if (found === undefined || more.length > 0) return null;
  if (name === undefined) return dir([...found.attributes.keys(), ...devicesOf(k, className).map((device) => device.name)]);
  const own = found.attributes.get(name);
  if (own !== undefined) return attribute(own.mode, must(sysfsAttributes, own.attribute));
  return devices.has(`${className}/${name}`) ? link(`../../devices/virtual/${className}/${name}`) : null;
});

const POWER_FILES = ["async", "autosuspend_delay_ms", "control", "runtime_active_kids", "runtime_active_time", "runtime_enabled",
  "runtime_status", "runtime_suspended_time", "runtime_usage"];

/** A device's directory: its number, uevent, attributes, and the way back to its class. */
function deviceNode(device: Device, path: readonly string[]): SysfsNode | null {
  const [name, ...more] = path;
  const groups = groupsOf(device);
  if (name === undefined) {
    const plain = [...device.attributes.keys()].filter((key) => !key.includes("/"));
    return dir([...(device.dev === 0 ? [] : ["dev"]), "power", "subsystem", "uevent", ...plain, ...groups], 1 + groups.length);
  }
  if (name === "power" && !groups.includes("power")) return more.length === 0 ? dir(POWER_FILES) : powerFile(more);
  if (groups.includes(name)) return groupNode(device, name, more);
  if (more.length > 0) return null;
  switch (name) {
    case "dev": return device.dev === 0 ? null : text(() => `${MAJOR(device.dev)}:${MINOR(device.dev)}\n`);
    case "uevent": return attribute(0o644, { show: () => ueventText(device), store: (k, _task, given) => ueventStore(k, device, given) });
    case "subsystem": return link(`../../../../class/${device.className}`);
  }
  const own = device.attributes.get(name);
  return own === undefined ? null : attribute(own.mode, must(sysfsAttributes, own.attribute));
}

/** Directories of named attribute groups. */
function groupsOf({ attributes }: Device): string[] {
  return [...new Set([...attributes.keys()].filter((key) => key.includes("/")).map((key) => key.slice(0, key.indexOf("/"))))];
}

function groupNode({ attributes }: Device, group: string, [name, ...more]: readonly string[]): SysfsNode | null {
  if (name === undefined) return dir([...attributes.keys()].filter((key) => key.startsWith(`${group}/`)).map((key) => key.slice(group.length + 1)));
  const own = more.length > 0 ? undefined : attributes.get(`${group}/${name}`);
  return own === undefined ? null : attribute(own.mode, must(sysfsAttributes, own.attribute));
}

function powerFile([name, ...more]: readonly string[]): SysfsNode | null {
  if (more.length > 0 || !POWER_FILES.includes(name)) return null;
  if (name === "control") return text(() => "auto\n", 0o644);
  return text(() => (name === "runtime_status" ? "unsupported\n" : name === "runtime_enabled" ? "disabled\n" : "0\n"));
}

sysfsTree("devices/virtual", (k, [className, name, ...more]) => {
  if (className === undefined) {
    const used = new Set([...k.state.drivers.devices.values()].map((device) => device.className));
    return dir([...used], used.size);
  }
  if (name === undefined) {
    const devices = devicesOf(k, className);
    return devices.length === 0 ? null : dir(devices.map((device) => device.name), devices.length);
  }
  const device = k.state.drivers.devices.get(`${className}/${name}`);
  return device === undefined ? null : deviceNode(device, more);
});

sysfsTree("dev", (k, [kind, number, ...more]) => {
  if (kind === undefined) return dir(["char"], 1);
  if (kind !== "char" || more.length > 0) return null;
  const all = [...k.state.drivers.devices.values()].filter(({ dev }) => dev !== 0);
  if (number === undefined) return dir(all.map(({ dev }) => `${MAJOR(dev)}:${MINOR(dev)}`));
  const [major, minor] = number.split(":").map(Number);
  const device = deviceOfNumber(k, major * 2 ** 20 + minor);
  if (device === undefined || number !== `${major}:${minor}`) return null;
  return link(`../../devices/virtual/${device.className}/${device.name}`);
});

const CPU_LISTS = ["kernel_max", "offline", "online", "possible", "present"];

sysfsTree("devices/system/cpu", (k, [name, ...more]) => {
  const { cpus } = k.state.sched;
  if (name === undefined) return dir([...CPU_LISTS, ...cpus.map(({ id }) => `cpu${id}`)], cpus.length);
  if (more.length === 0 && cpus.some(({ id }) => name === `cpu${id}`)) return dir([]);
  if (more.length > 0 || !CPU_LISTS.includes(name)) return null;
  if (name === "offline") return text(() => "\n");
  return text(() => (name === "kernel_max" ? "8191\n" : `${ranges(cpus.map(({ id }) => id))}\n`));
});
