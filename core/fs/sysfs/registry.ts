/** Attributes of sysfs: what a file shows and what happens when it is written, registered under a name that the state knows. */
import type { Kernel } from "../../kernel.ts";
import { assert } from "../../lib/assert.ts";
import type { SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";

/** An attribute; without `show` or `store`, opening for reading or writing is refused whatever the mode. */
export interface SysfsAttribute {
  /** The text, newline included, at most a page; or an errno. Pure: views use it too. */
  show?(k: Kernel): string | number;
  /** What was written, at most a page, one character a byte: how many it took, or an errno. */
  store?(k: Kernel, task: Task, text: string): SyscallResult;
}

export const sysfsAttributes = new Map<string, SysfsAttribute>();

/** Registers an attribute for `deviceCreateFile`. */
export function sysfsAttribute(name: string, attribute: SysfsAttribute): SysfsAttribute {
  assert(!sysfsAttributes.has(name), `two sysfs attributes named ${name}`);
  sysfsAttributes.set(name, attribute);
  return attribute;
}

/** A place in sysfs, made anew for each look. */
export type SysfsNode =
  /** `dirs`: how many of the names are directories. */
  | { kind: "dir"; mode: number; names: readonly string[]; dirs: number }
  | { kind: "link"; target: string }
  | { kind: "file"; mode: number; size: number; attribute: SysfsAttribute };

/** A part of the tree: what stands at `path` below its root, [] for the root itself; null for nothing. */
export type SysfsTree = (k: Kernel, path: readonly string[]) => SysfsNode | null;

/** Trees by their directory below /sys: "class", "module", "devices/virtual". */
export const sysfsTrees = new Map<string, SysfsTree>();

/** Hands a directory of /sys and all below it to a function of the room that it is about. */
export function sysfsTree(path: string, tree: SysfsTree): void {
  assert(!sysfsTrees.has(path), `two trees for /sys/${path}`);
  sysfsTrees.set(path, tree);
}

/** A directory; `dirs` of its names are directories too. */
export const dir = (names: readonly string[], dirs = 0, mode = 0o755): SysfsNode => ({ kind: "dir", mode, names, dirs });
export const link = (target: string): SysfsNode => ({ kind: "link", target });
export const attribute = (mode: number, given: SysfsAttribute, size = 4096): SysfsNode => ({ kind: "file", mode, size, attribute: given });
/** A file with a fixed or computed text that nobody writes. */
export const text = (show: (k: Kernel) => string | number, mode = 0o444): SysfsNode => attribute(mode, { show });
