/** What the kernel keeps of devices: numbers given out, what opens them, classes and their devices, debugfs, /proc entries. */
import { ueventInit, type UeventState } from "../fs/uevent_state.ts";

import type { EndedTerminal, Pty } from "./tty_state.ts";

/** A range of device numbers that somebody registered; /proc/devices lists them. */
export interface ChrdevRegion {
  major: number;
  baseMinor: number;
  count: number;
  name: string;
}

/** What an open of the device numbers `dev` … `dev + count - 1` gets. */
export interface CharDevice {
  dev: number;
  count: number;
  /** Name of its file operations. */
  ops: string;
}

export interface MiscDevice {
  minor: number;
  name: string;
  ops: string;
  mode: number;
}

/** A device of a class: /sys/devices/virtual/CLASS/NAME, and a node in /dev when it has a number. */
export interface Device {
  className: string;
  name: string;
  /** The kernel's dev_t, 0 for none. */
  dev: number;
  /** Permissions of its node, with which devtmpfs made it; 0 when the class says none (0600). */
  mode: number;
  /** Name of the node below /dev. */
  node: string;
  /** Inode that devtmpfs made, 0 for none: another one of that name is left alone. */
  inode: number;
  /** Attribute files: name, or "group/name" → permissions and the registered attribute behind it. */
  attributes: Map<string, { mode: number; attribute: string }>;
}

export interface DeviceClass {
  name: string;
  /** Module that made it, "" for the kernel. */
  owner: string;
  /** Attribute files of the class itself, as a device's. */
  attributes: Map<string, { mode: number; attribute: string }>;
}

/** A file, directory or link that a module made in debugfs or /proc. */
export interface DynamicEntry {
  id: number;
  kind: "file" | "dir" | "link";
  /** Permissions. */
  mode: number;
  /** Name of its file operations; of a link, its target. */
  ops: string;
  uid: number;
  gid: number;
}

export interface DriverState {
  regions: ChrdevRegion[];
  cdevs: CharDevice[];
  /** The newest first, as /proc/misc lists them. */
  misc: MiscDevice[];
  classes: Map<string, DeviceClass>;
  /** By "class/name". */
  devices: Map<string, Device>;
  /** By path below the root of the file system, parents before children. */
  debugfs: Map<string, DynamicEntry>;
  procEntries: Map<string, DynamicEntry>;
  nextEntry: number;
  /** Open files of such entries: file → entry, which may be gone. */
  openEntries: Map<number, number>;
  /** What SYSLOG_ACTION_READ gives next: a record's sequence, and how far into it earlier reads came. */
  syslogSequence: number;
  syslogOffset: number;
  /** Pseudoterminals by number. */
  ptys: Map<number, Pty>;
  /** The last terminals that the service read and that are gone, the newest last: who follows one gets its end. */
  endedTerminals: EndedTerminal[];
  /** Values written under /proc/sys, by path. */
  sysctl: Map<string, string>;
  uevents: UeventState;
}

export function driverInit(): DriverState {
  return {
    regions: [], cdevs: [], misc: [], classes: new Map(), devices: new Map(),
    debugfs: new Map(), procEntries: new Map(), nextEntry: 1, openEntries: new Map(),
    syslogSequence: 0, syslogOffset: 0, ptys: new Map(), endedTerminals: [], sysctl: new Map(), uevents: ueventInit(),
  };
}
