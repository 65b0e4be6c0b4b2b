/** Who a process is: user and group ids, supplementary groups, capabilities (credentials(7), capabilities(7)). */
import { EFAULT, EINVAL, ENOMEM, EPERM, ESRCH } from "../abi/errno.ts";
import {
  CAP_FULL_SET, CAP_SETGID, CAP_SETPCAP, capUserDataLayout, capUserHeaderLayout, _LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2,
  _LINUX_CAPABILITY_VERSION_3,
} from "../abi/capability.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { NGROUPS_MAX } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { getU32, putU32 } from "../lib/bytes.ts";
import { copyFromUser, putUser32, type Addr } from "../mm/usercopy.ts";
import { setfsgid, setfsuid, setgid, setregid, setresgid, setresuid, setreuid, setuid } from "../process/cred.ts";
import { findTask } from "../process/pid.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { int, structIn, structInOut, structOut, uint } from "./args.ts";
import { structCodec } from "./codec.ts";
import { capData } from "./codecs/cap.ts";
import { wordsIn, wordsOut } from "./codecs/integers.ts";
import { give } from "./codecs/time.ts";
import type { Rows } from "./row.ts";
import { scalarOut } from "./vectors.ts";

function giveThree(k: Kernel, task: Task, addrs: Addr[], values: number[]): number {
  return addrs.every((addr, at) => putUser32(k, task, addr, values[at])) ? 0 : -EFAULT;
}

function sysGetgroups(k: Kernel, task: Task, [size, list]: [number, Addr]): number {
  const { groups } = task.cred;
  if (size < 0) return -EINVAL;
  if (size === 0) return groups.length;
  if (groups.length > size) return -EINVAL;
  const bytes = new Uint8Array(groups.length * 4);
  groups.forEach((gid, at) => putU32(bytes, at * 4, gid));
  return groups.length > 0 && give(k, task, list, bytes) !== 0 ? -EFAULT : groups.length;
}

/** Differs from Linux: every process has a list of its own, so it is no longer than this. */
const GROUPS_KEPT = 1024;

function sysSetgroups(k: Kernel, task: Task, [size, list]: [number, Addr]): number {
  if (!capable(task, CAP_SETGID)) return -EPERM;
  if (size < 0 || size > NGROUPS_MAX) return -EINVAL;
  if (size > GROUPS_KEPT) return -ENOMEM;
  const bytes = copyFromUser(k, task, list, size * 4);
  if (typeof bytes === "number") return -EFAULT;
  const groups = Array.from({ length: size }, (_, at) => getU32(bytes, at * 4));
  if (groups.includes(0xffff_ffff)) return -EINVAL;
  task.cred.groups = groups.sort((a, b) => a - b);
  return 0;
}

/** How many structures of 32-bit sets a version has; null for an unknown one, which is answered with the newest. */
function setsOf(k: Kernel, task: Task, header: Addr): { version: number; pid: number; sets: number } | number {
  const bytes = copyFromUser(k, task, header, 4);
  if (typeof bytes === "number") return -EFAULT;
  const version = getU32(bytes, 0);
  const sets = version === _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
  if (sets === 2 && version !== _LINUX_CAPABILITY_VERSION_2 && version !== _LINUX_CAPABILITY_VERSION_3) {
    return putUser32(k, task, header, _LINUX_CAPABILITY_VERSION_3) ? -EINVAL : -EFAULT;
  }
  const whole = copyFromUser(k, task, header, capUserHeaderLayout.size);
  return typeof whole === "number" ? -EFAULT : { ...decodeStruct(capUserHeaderLayout, whole), sets };
}

function sysCapget(k: Kernel, task: Task, [hdrp, datap]: [Addr, Addr]): number {
  const header = setsOf(k, task, hdrp);
  if (typeof header === "number") return datap === 0 && header === -EINVAL ? 0 : header;
  if (datap === 0) return 0;
  if (header.pid < 0) return -EINVAL;
  const target = findTask(k, task, header.pid);
  if (target === null) return -ESRCH;
  const { capEffective, capPermitted, capInheritable } = target.cred;
  const bytes = new Uint8Array(header.sets * capUserDataLayout.size);
  for (let at = 0; at < header.sets; at++) {
    const half = (set: bigint): number => Number((set >> BigInt(32 * at)) & 0xffff_ffffn);
    const one = encodeStruct(capUserDataLayout, {
      effective: half(capEffective), permitted: half(capPermitted), inheritable: half(capInheritable),
    });
    bytes.set(one, at * capUserDataLayout.size);
  }
  return give(k, task, datap, bytes);
}

function isSubset(set: bigint, of: bigint): boolean {
  return (set & ~of) === 0n;
}

function sysCapset(k: Kernel, task: Task, [hdrp, datap]: [Addr, Addr]): number {
  const header = setsOf(k, task, hdrp);
  if (typeof header === "number") return header;
  if (header.pid !== 0 && header.pid !== task.tid) return -EPERM;
  const bytes = copyFromUser(k, task, datap, header.sets * capUserDataLayout.size);
  if (typeof bytes === "number") return -EFAULT;
  let [effective, permitted, inheritable] = [0n, 0n, 0n];
  for (let at = 0; at < header.sets; at++) {
    const one = decodeStruct(capUserDataLayout, bytes, at * capUserDataLayout.size);
    const shift = BigInt(32 * at);
    effective |= BigInt(one.effective) << shift;
    permitted |= BigInt(one.permitted) << shift;
    inheritable |= BigInt(one.inheritable) << shift;
  }
  return setCapabilities(task, effective & CAP_FULL_SET, permitted & CAP_FULL_SET, inheritable & CAP_FULL_SET);
}

/** The rules of capabilities(7) for a thread that sets its own. */
function setCapabilities(task: Task, effective: bigint, permitted: bigint, inheritable: bigint): number {
  const { cred } = task;
  if (!capable(task, CAP_SETPCAP) && !isSubset(inheritable, cred.capInheritable | cred.capPermitted)) return -EPERM;
  if (!isSubset(inheritable, cred.capInheritable | cred.capBounding)) return -EPERM;
  if (!isSubset(permitted, cred.capPermitted) || !isSubset(effective, permitted)) return -EPERM;
  cred.capEffective = effective;
  cred.capPermitted = permitted;
  cred.capInheritable = inheritable;
  cred.capAmbient &= permitted & inheritable;
  return 0;
}

const capHeader = structCodec("cap_user_header_t", capUserHeaderLayout);

type Three = [number, number, number];

export const credRows: Rows = {
  getuid: { x86_64: 102, args: [], run: (_k, { cred }) => cred.uid },
  getgid: { x86_64: 104, args: [], run: (_k, { cred }) => cred.gid },
  setuid: { x86_64: 105, args: [uint("uid")], run: (_k, task, [uid]: [number]) => setuid(task, uid) },
  setgid: { x86_64: 106, args: [uint("gid")], run: (_k, task, [gid]: [number]) => setgid(task, gid) },
  geteuid: { x86_64: 107, args: [], run: (_k, { cred }) => cred.euid },
  getegid: { x86_64: 108, args: [], run: (_k, { cred }) => cred.egid },
  setreuid: { x86_64: 113, args: [uint("ruid"), uint("euid")], run: (_k, task, [ruid, euid]: [number, number]) => setreuid(task, ruid, euid) },
  setregid: { x86_64: 114, args: [uint("rgid"), uint("egid")], run: (_k, task, [rgid, egid]: [number, number]) => setregid(task, rgid, egid) },
  getgroups: { x86_64: 115, args: [int("size"), wordsOut("list", "size")], run: sysGetgroups },
  setgroups: { x86_64: 116, args: [int("size"), wordsIn("list", "size")], run: sysSetgroups, partial: "ENOMEM above 1,024 groups" },
  setresuid: {
    x86_64: 117, args: [uint("ruid"), uint("euid"), uint("suid")], run: (_k, task, [ruid, euid, suid]: Three) => setresuid(task, ruid, euid, suid),
  },
  getresuid: {
    x86_64: 118, args: [scalarOut("ruid", "u32"), scalarOut("euid", "u32"), scalarOut("suid", "u32")],
    run: (k, task, addrs: Addr[]) => giveThree(k, task, addrs, [task.cred.uid, task.cred.euid, task.cred.suid]),
  },
  setresgid: {
    x86_64: 119, args: [uint("rgid"), uint("egid"), uint("sgid")], run: (_k, task, [rgid, egid, sgid]: Three) => setresgid(task, rgid, egid, sgid),
  },
  getresgid: {
    x86_64: 120, args: [scalarOut("rgid", "u32"), scalarOut("egid", "u32"), scalarOut("sgid", "u32")],
    run: (k, task, addrs: Addr[]) => giveThree(k, task, addrs, [task.cred.gid, task.cred.egid, task.cred.sgid]),
  },
  setfsuid: { x86_64: 122, args: [uint("fsuid")], run: (_k, task, [uid]: [number]) => setfsuid(task, uid) },
  setfsgid: { x86_64: 123, args: [uint("fsgid")], run: (_k, task, [gid]: [number]) => setfsgid(task, gid) },
  capget: { x86_64: 125, args: [structInOut("hdrp", capHeader), structOut("datap", capData)], run: sysCapget },
  capset: { x86_64: 126, args: [structInOut("hdrp", capHeader), structIn("datap", capData)], run: sysCapset },
};
