/** procfs: its tree is computed from the rows of registry.ts, the processes, and the entries that modules made (proc(5)). */
import { EACCES, EINVAL, ENOENT } from "../../abi/errno.ts";
import { PROC_SUPER_MAGIC } from "../../abi/fsmagic.ts";
import { S_IFREG } from "../../abi/stat.ts";
import type { Kernel } from "../../kernel.ts";
import { fileSystemType, type DirectoryEntry, type WalkContext } from "../fs_type.ts";
import { inodePermission } from "../permission.ts";
import { seqBytes } from "../seq_file.ts";
import { ptraceMayAccess } from "./access.ts";
import { pidPlace } from "./pid_dir.ts";
import { directory, entry, link, type Place } from "./place.ts";
import { directoriesBelow, listNames, namesBelow, staticIno, staticPlace } from "./static_dir.ts";

const ROOT_INO = 1;
/** self and thread-self; a view is nobody's, and has none. */
function selfPlace(k: Kernel, name: string, ctx: WalkContext): Place | null {
  const task = ctx.tid === 0 ? undefined : k.state.sched.tasks.get(ctx.tid);
  if (task === undefined) return null;
  const text = name === "self" ? String(task.tgid) : `${task.tgid}/task/${task.tid}`;
  return link(staticIno(name), () => text, { size: text.length });
}

function rootPlace(k: Kernel, ctx: WalkContext): Place {
  const { groups } = k.state.sched;
  const list = (): DirectoryEntry[] => {
    const entries = listNames(k, "", namesBelow(k, ""), ctx);
    for (const name of ["self", "thread-self"]) {
      const place = selfPlace(k, name, ctx);
      if (place !== null) entries.push(entry(name, place));
    }
    for (const tgid of [...groups.keys()].sort((a, b) => a - b)) {
      const place = pidPlace(k, String(tgid), [], ctx);
      if (place !== null) entries.push(entry(String(tgid), place));
    }
    return entries;
  };
  return directory(ROOT_INO, 0o555, list, { nlink: 2 + directoriesBelow(k, "") - Number(ctx.tid !== 0) + groups.size });
}

/** What is at `key` now, or null. */
export function placeAt(k: Kernel, key: string, ctx: WalkContext): Place | null {
  if (key === "") return rootPlace(k, ctx);
  if (key === "self" || key === "thread-self") return selfPlace(k, key, ctx);
  const first = key.charCodeAt(0);
  if (first < 48 || first > 57) return staticPlace(k, key, ctx);
  const [pid, ...rest] = key.split("/");
  return pidPlace(k, pid, rest, ctx);
}

/** Whether the checks of a process's file let `ctx` open it: 0 or -EACCES. */
export function checkPlace(k: Kernel, { check }: Place, ctx: WalkContext): number {
  return check === undefined || check.level === "none" || ptraceMayAccess(k, ctx, check.task) ? 0 : -EACCES;
}

fileSystemType({
  name: "proc",
  magic: PROC_SUPER_MAGIC,
  attributes: false,
  missing: -ENOENT,
  inode: (k, key, ctx) => placeAt(k, key, ctx)?.inode ?? null,
  list: (k, key, ctx) => {
    const entries = placeAt(k, key, ctx)?.list?.() ?? null;
    return typeof entries === "number" ? null : entries;
  },
  readlink: (k, key, ctx) => placeAt(k, key, ctx)?.link?.() ?? -ENOENT,
  follow: (k, key, ctx) => placeAt(k, key, ctx)?.jump?.() ?? null,
  permission: (k, key, inode, mask, ctx) => {
    const own = placeAt(k, key, ctx)?.permission?.(mask) ?? null;
    return own ?? inodePermission(ctx.cred, inode, mask);
  },
  view: (k, key, ctx) => {
    const place = placeAt(k, key, ctx);
    if (place === null) return -ENOENT;
    if ((place.inode.mode & 0o170000) !== S_IFREG || place.text === undefined) return -EINVAL;
    const denied = checkPlace(k, place, ctx);
    if (denied !== 0) return denied;
    const text = place.text();
    return typeof text === "number" ? text : seqBytes(text);
  },
});
