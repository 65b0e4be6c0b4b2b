/** Credentials: who a task is and what it may do (credentials(7), capabilities(7)). */
import { ALL_CAPABILITIES } from "./capability.ts";
import type { Task } from "./task.ts";

export interface Cred {
  uid: number; gid: number;
  euid: number; egid: number;
  suid: number; sgid: number;
  fsuid: number; fsgid: number;
  groups: number[];
  capInheritable: bigint;
  capPermitted: bigint;
  capEffective: bigint;
  capBounding: bigint;
  capAmbient: bigint;
  secureBits: number;
}

/** The credentials of a fresh process of `uid`; root has every capability. The gid equals the uid. */
export function credOf(uid: number): Cred {
  const caps = uid === 0 ? ALL_CAPABILITIES : 0n;
  return {
    uid, gid: uid, euid: uid, egid: uid, suid: uid, sgid: uid, fsuid: uid, fsgid: uid,
    groups: [], capInheritable: 0n, capPermitted: caps, capEffective: caps, capBounding: ALL_CAPABILITIES, capAmbient: 0n,
    secureBits: 0,
  };
}

export function copyCred(cred: Cred): Cred {
  return { ...cred, groups: [...cred.groups] };
}

/** Whether the task's effective set holds capability number `cap`. */
export function capable(task: Task, cap: number): boolean {
  const caps = task.cred.capEffective;
  return caps === ALL_CAPABILITIES || (caps !== 0n && ((caps >> BigInt(cap)) & 1n) === 1n);
}
