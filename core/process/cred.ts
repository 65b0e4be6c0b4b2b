/** Changing who a process is: the set*id rules and what they do to capabilities (credentials(7), capabilities(7)). */
import { EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_MAC_OVERRIDE, CAP_MKNOD, CAP_SETGID, CAP_SETUID, capBit } from "../abi/capability.ts";
import { ALL_CAPABILITIES } from "../sched/capability.ts";
import { capable, type Cred } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";

/** "Leave as it is" of setresuid and the like. */
export const KEEP = 0xffff_ffff;

/** Bits of PR_SET_SECUREBITS. */
export const SECBIT_NOROOT = 1;
export const SECBIT_NO_SETUID_FIXUP = 4;
export const SECBIT_KEEP_CAPS = 16;
export const SECBIT_NO_CAP_AMBIENT_RAISE = 64;

/** What a change of fsuid takes from or gives to the effective set (CAP_FS_SET). */
const CAP_FS_SET = [
  CAP_CHOWN, CAP_MKNOD, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_MAC_OVERRIDE,
].reduce((set, cap) => set | capBit(cap), 0n);

/** Capabilities after user ids have changed (cap_emulate_setxuid). */
function fixCapabilities(task: Task, old: Cred): void {
  const { cred } = task;
  if ((cred.secureBits & SECBIT_NO_SETUID_FIXUP) !== 0) return;
  const wasRoot = old.uid === 0 || old.euid === 0 || old.suid === 0;
  if (wasRoot && cred.uid !== 0 && cred.euid !== 0 && cred.suid !== 0) {
    if (!task.keepCaps) {
      cred.capPermitted = 0n;
      cred.capEffective = 0n;
    }
    cred.capAmbient = 0n;
  }
  if (old.euid === 0 && cred.euid !== 0) cred.capEffective = 0n;
  if (old.euid !== 0 && cred.euid === 0) cred.capEffective = cred.capPermitted;
}

/** Installs new user ids; a change of who acts on files makes the process undumpable, as Linux does. */
function commit(task: Task, ids: Partial<Cred>): number {
  const old = { ...task.cred };
  Object.assign(task.cred, ids);
  const { cred } = task;
  if (old.euid !== cred.euid || old.egid !== cred.egid || old.fsuid !== cred.fsuid || old.fsgid !== cred.fsgid) {
    task.dumpable = 0;
    task.parentDeathSignal = 0;
  }
  if (old.uid !== cred.uid || old.euid !== cred.euid || old.suid !== cred.suid) fixCapabilities(task, old);
  return 0;
}

/** An id argument: -1 is no id. */
export function validId(id: number): boolean {
  return id !== KEEP;
}

export function setuid(task: Task, uid: number): number {
  if (!validId(uid)) return -EINVAL;
  const { cred } = task;
  if (capable(task, CAP_SETUID)) return commit(task, { uid, suid: uid, euid: uid, fsuid: uid });
  if (uid !== cred.uid && uid !== cred.suid) return -EPERM;
  return commit(task, { euid: uid, fsuid: uid });
}

export function setgid(task: Task, gid: number): number {
  if (!validId(gid)) return -EINVAL;
  const { cred } = task;
  if (capable(task, CAP_SETGID)) return commit(task, { gid, sgid: gid, egid: gid, fsgid: gid });
  if (gid !== cred.gid && gid !== cred.sgid) return -EPERM;
  return commit(task, { egid: gid, fsgid: gid });
}

export function setreuid(task: Task, ruid: number, euid: number): number {
  const { cred } = task;
  const free = capable(task, CAP_SETUID);
  if (ruid !== KEEP && ruid !== cred.uid && ruid !== cred.euid && !free) return -EPERM;
  if (euid !== KEEP && euid !== cred.uid && euid !== cred.euid && euid !== cred.suid && !free) return -EPERM;
  const uid = ruid === KEEP ? cred.uid : ruid;
  const effective = euid === KEEP ? cred.euid : euid;
  const saved = ruid !== KEEP || (euid !== KEEP && euid !== cred.uid);
  return commit(task, { uid, euid: effective, suid: saved ? effective : cred.suid, fsuid: effective });
}

export function setregid(task: Task, rgid: number, egid: number): number {
  const { cred } = task;
  const free = capable(task, CAP_SETGID);
  if (rgid !== KEEP && rgid !== cred.gid && rgid !== cred.egid && !free) return -EPERM;
  if (egid !== KEEP && egid !== cred.gid && egid !== cred.egid && egid !== cred.sgid && !free) return -EPERM;
  const gid = rgid === KEEP ? cred.gid : rgid;
  const effective = egid === KEEP ? cred.egid : egid;
  const saved = rgid !== KEEP || (egid !== KEEP && egid !== cred.gid);
  return commit(task, { gid, egid: effective, sgid: saved ? effective : cred.sgid, fsgid: effective });
}

export function setresuid(task: Task, ruid: number, euid: number, suid: number): number {
  const { cred } = task;
  const own = [cred.uid, cred.euid, cred.suid, KEEP];
  if (![ruid, euid, suid].every((id) => own.includes(id)) && !capable(task, CAP_SETUID)) return -EPERM;
  const effective = euid === KEEP ? cred.euid : euid;
  return commit(task, {
    uid: ruid === KEEP ? cred.uid : ruid, euid: effective, suid: suid === KEEP ? cred.suid : suid, fsuid: effective,
  });
}

export function setresgid(task: Task, rgid: number, egid: number, sgid: number): number {
  const { cred } = task;
  const own = [cred.gid, cred.egid, cred.sgid, KEEP];
  if (![rgid, egid, sgid].every((id) => own.includes(id)) && !capable(task, CAP_SETGID)) return -EPERM;
  const effective = egid === KEEP ? cred.egid : egid;
  return commit(task, {
    gid: rgid === KEEP ? cred.gid : rgid, egid: effective, sgid: sgid === KEEP ? cred.sgid : sgid, fsgid: effective,
  });
}

/** Answers the old fsuid whether or not it may be changed. */
export function setfsuid(task: Task, uid: number): number {
  const { cred } = task;
  const old = cred.fsuid;
  const may = [cred.uid, cred.euid, cred.suid, cred.fsuid].includes(uid) || capable(task, CAP_SETUID);
  if (!validId(uid) || !may || uid === old) return old;
  commit(task, { fsuid: uid });
  if ((cred.secureBits & SECBIT_NO_SETUID_FIXUP) === 0) {
    if (old === 0) cred.capEffective &= ~CAP_FS_SET;
    else if (uid === 0) cred.capEffective |= cred.capPermitted & CAP_FS_SET;
  }
  return old;
}

export function setfsgid(task: Task, gid: number): number {
  const { cred } = task;
  const old = cred.fsgid;
  const may = [cred.gid, cred.egid, cred.sgid, cred.fsgid].includes(gid) || capable(task, CAP_SETGID);
  if (validId(gid) && may && gid !== old) commit(task, { fsgid: gid });
  return old;
}

/** Credentials behind an execve; `setUid` and `setGid` are those of a set-ID program, -1 for none. */
export function execCred(task: Task, setUid: number, setGid: number): void {
  const { cred } = task;
  const changed = (setUid >= 0 && setUid !== cred.uid) || (setGid >= 0 && setGid !== cred.gid);
  if (setUid >= 0) cred.euid = setUid;
  if (setGid >= 0) cred.egid = setGid;
  cred.suid = cred.euid;
  cred.fsuid = cred.euid;
  cred.sgid = cred.egid;
  cred.fsgid = cred.egid;
  task.keepCaps = false;
  cred.secureBits &= ~SECBIT_KEEP_CAPS;
  const root = (cred.secureBits & SECBIT_NOROOT) === 0;
  if (changed) cred.capAmbient = 0n;
  if (root && (cred.euid === 0 || cred.uid === 0)) {
    cred.capPermitted = (cred.capBounding | cred.capInheritable) & ALL_CAPABILITIES;
    cred.capEffective = cred.euid === 0 ? cred.capPermitted : cred.capAmbient;
  } else {
    cred.capPermitted = cred.capAmbient;
    cred.capEffective = cred.capAmbient;
  }
  task.dumpable = changed || cred.euid !== cred.uid || cred.egid !== cred.gid ? 0 : 1;
  if (changed) task.parentDeathSignal = 0;
}
