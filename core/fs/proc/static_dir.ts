/** The part of /proc that is not about processes: rows, and the entries that modules made. */
import { EACCES } from "../../abi/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { hashText53 } from "../../lib/hash.ts";
import type { DirectoryEntry, WalkContext } from "../fs_type.ts";
import { dynamicPlace } from "./dynamic.ts";
import { directory, entry, file, link, type Place } from "./place.ts";
import { procRows, type ProcRow } from "./registry.ts";

/** PROC_DYNAMIC_FIRST: static entries are numbered from here. */
const FIRST_INO = 0xf000_0000;

/** A number for a static path that stays the same while the kernel runs and differs from that of every other path. */
export function staticIno(path: string): number {
  return FIRST_INO + 0x1_0000_0000 * (hashText53(path) % 0xf_ffff);
}

/** As proc_match sorts a directory: shorter names first. */
function byLength(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

/** Names directly below `path`, of rows and of modules' entries. */
export function namesBelow(k: Kernel, path: string): string[] {
  const prefix = path === "" ? "" : `${path}/`;
  const names = new Set<string>();
  for (const paths of [procRows.keys(), k.state.drivers.procEntries.keys()]) {
    for (const one of paths) if (one.startsWith(prefix) && !one.includes("/", prefix.length)) names.add(one.slice(prefix.length));
  }
  return [...names].sort(byLength);
}

function rowPlace(k: Kernel, path: string, row: ProcRow, ctx: WalkContext): Place {
  const ino = staticIno(path);
  if (row.kind === "link") return link(ino, () => row.target(k, ctx));
  if (row.kind === "dir") {
    const names = namesBelow(k, path);
    const children = (): DirectoryEntry[] => listNames(k, path, names, ctx);
    const nlink = 2 + names.filter((name) => kindOf(k, `${path}/${name}`) === "dir").length;
    return directory(ino, row.mode, children, { nlink });
  }
  const place = file(ino, row.mode, row.ops === "" ? "proc.text" : row.ops, () => row.text(k, ctx), { size: row.size });
  const { write } = row;
  if (write !== undefined) place.write = (writer, text) => write(k, writer, text);
  if (path.startsWith("sys/")) place.permission = (mask) => sysctlPermission(ctx, row.mode, mask);
  if (row.ops !== "") delete place.text;
  return place;
}

/** file, dir or link; undefined when the path leads nowhere. */
export function kindOf(k: Kernel, path: string): string | undefined {
  return procRows.get(path)?.kind ?? k.state.drivers.procEntries.get(path)?.kind;
}

/** The entries `names` of the directory `path`. */
export function listNames(k: Kernel, path: string, names: string[], ctx: WalkContext): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (const name of names) {
    const place = staticPlace(k, path === "" ? name : `${path}/${name}`, ctx);
    if (place !== null) entries.push(entry(name, place));
  }
  return entries;
}

/** What a path that does not begin with a process leads to. */
export function staticPlace(k: Kernel, path: string, ctx: WalkContext): Place | null {
  const row = procRows.get(path);
  return row === undefined ? dynamicPlace(k, path, () => listNames(k, path, namesBelow(k, path), ctx)) : rowPlace(k, path, row, ctx);
}

/** /proc/sys: root counts as the owner, its group as the group, and no capability helps (sysctl_perm). */
function sysctlPermission(ctx: WalkContext, mode: number, mask: number): number {
  const shift = ctx.cred.euid === 0 ? 6 : ctx.cred.egid === 0 ? 3 : 0;
  return (mask & ~(mode >> shift) & 7) === 0 ? 0 : -EACCES;
}
