/** Who may do what with an inode (path_resolution(7), capabilities(7)). */
import { EACCES, EPERM } from "../abi/errno.ts";
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID } from "../abi/capability.ts";
import { isDirectory, isRegular, S_ISGID, S_ISUID, S_ISVTX, S_IXGRP, S_IXUGO } from "../abi/stat.ts";
import { ALL_CAPABILITIES } from "../sched/capability.ts";
import type { Cred } from "../sched/cred.ts";
import type { Inode } from "./inode.ts";

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** Whether these credentials hold a capability; the task is not needed, so that a view can ask too. */
export function hasCapability(cred: Cred, cap: number): boolean {
  const caps = cred.capEffective;
  return caps === ALL_CAPABILITIES || (caps !== 0n && ((caps >> BigInt(cap)) & 1n) === 1n);
}

export function inGroup(cred: Cred, gid: number): boolean {
  return cred.fsgid === gid || cred.groups.includes(gid);
}

/** 0 when `mask` (MAY_ bits) is granted by the mode bits or a capability, else -EACCES (generic_permission). */
export function inodePermission(cred: Cred, inode: Pick<Inode, "mode" | "uid" | "gid">, mask: number): number {
  const { mode } = inode;
  const shift = cred.fsuid === inode.uid ? 6 : (mask & (mode ^ (mode >> 3))) !== 0 && inGroup(cred, inode.gid) ? 3 : 0;
  if ((mask & ~(mode >> shift) & 7) === 0) return 0;
  if (isDirectory(mode)) {
    if ((mask & MAY_WRITE) === 0 && hasCapability(cred, CAP_DAC_READ_SEARCH)) return 0;
    return hasCapability(cred, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
  }
  if ((mask & 7) === MAY_READ && hasCapability(cred, CAP_DAC_READ_SEARCH)) return 0;
  // As Linux: nobody executes a file without any x bit.
  if (((mask & MAY_EXEC) === 0 || (mode & S_IXUGO) !== 0) && hasCapability(cred, CAP_DAC_OVERRIDE)) return 0;
  return -EACCES;
}

/** The owner, or one who may act as it (inode_owner_or_capable). */
export function ownerOrCapable(cred: Cred, inode: Inode): boolean {
  return cred.fsuid === inode.uid || hasCapability(cred, CAP_FOWNER);
}

/** -EPERM when a sticky directory keeps `victim` from being removed by others (check_sticky). */
export function checkSticky(cred: Cred, dir: Inode, victim: Inode): number {
  if ((dir.mode & S_ISVTX) === 0 || cred.fsuid === victim.uid || cred.fsuid === dir.uid) return 0;
  return hasCapability(cred, CAP_FOWNER) ? 0 : -EPERM;
}

/** The mode of a file after a write or a truncation by `cred`: set-user-ID and set-group-ID go (file_remove_privs). */
export function withoutPrivileges(cred: Cred, mode: number): number {
  if (!isRegular(mode) || (mode & (S_ISUID | S_ISGID)) === 0 || hasCapability(cred, CAP_FSETID)) return mode;
  const gone = S_ISUID | ((mode & S_IXGRP) !== 0 ? S_ISGID : 0);
  return mode & ~gone;
}
