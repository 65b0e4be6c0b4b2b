/** The part of /proc that is not about processes: rows, and the entries that modules made. */
import { EACCES } from "../../abi/errno.ts";
import type { DynamicEntry } from "../../drivers/state.ts";
import type { Kernel } from "../../kernel.ts";
import { hashText53 } from "../../lib/hash.ts";
import type { DirectoryEntry, WalkContext } from "../fs_type.ts";
import { dynamicPlace } from "./dynamic.ts";
import { directory, entry, file, link, type Place } from "./place.ts";
import { procChildren, procRows, type ProcRow } from "./registry.ts";

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

/** Entries that modules made directly below `path`, by name. */
function dynamicBelow(k: Kernel, path: string): [string, DynamicEntry][] {
  const prefix = path === "" ? "" : `${path}/`;
  return [...k.state.drivers.procEntries]
    .filter(([one]) => one.startsWith(prefix) && !one.includes("/", prefix.length))
    .map(([one, found]) => [one.slice(prefix.length), found]);
}

/** Names directly below `path`, of rows and of modules' entries, in the order of a listing. */
export function namesBelow(k: Kernel, path: string): string[] {
  const dynamic = dynamicBelow(k, path).map(([name]) => name);
  return [...(procChildren.get(path)?.names ?? []), ...dynamic].sort(byLength);
}

/** How many of them are directories. */
export function directoriesBelow(k: Kernel, path: string): number {
  return (procChildren.get(path)?.dirs ?? 0) + dynamicBelow(k, path).filter(([, { kind }]) => kind === "dir").length;
}

function rowPlace(k: Kernel, path: string, row: ProcRow, ctx: WalkContext): Place {
  const ino = staticIno(path);
  if (row.kind === "link") return link(ino, () => row.target(k, ctx));
  if (row.kind === "dir") {
    const children = (): DirectoryEntry[] => listNames(k, path, namesBelow(k, path), ctx);
    return directory(ino, row.mode, children, { nlink: 2 + directoriesBelow(k, path) });
  }
  const place = file(ino, row.mode, row.ops === "" ? "proc.text" : row.ops, () => row.text(k, ctx), { size: row.size });
  const { write } = row;
  if (write !== undefined) place.write = (writer, text) => write(k, writer, text);
  if (path.startsWith("sys/")) place.permission = (mask) => sysctlPermission(ctx, row.mode, mask);
  if (row.ops !== "") delete place.text;
  return place;
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

/** What a path that does not begin with a process leads to. The network of a process is below it; a view is nobody's, and finds it here. */
export function staticPlace(k: Kernel, path: string, ctx: WalkContext): Place | null {
  if (path === "net" && ctx.tid !== 0) return link(staticIno("net"), () => "self/net", { size: 8 });
  const row = procRows.get(path);
  return row === undefined ? dynamicPlace(k, path, () => listNames(k, path, namesBelow(k, path), ctx)) : rowPlace(k, path, row, ctx);
}

/** /proc/sys: root counts as the owner, its group as the group, and no capability helps (sysctl_perm). */
function sysctlPermission(ctx: WalkContext, mode: number, mask: number): number {
  const shift = ctx.cred.euid === 0 ? 6 : ctx.cred.egid === 0 ? 3 : 0;
  return (mask & ~(mode >> shift) & 7) === 0 ? 0 : -EACCES;
}
