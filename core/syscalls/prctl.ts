/** prctl(2), arch_prctl(2), personality(2). */
import { EFAULT, EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_LAST_CAP, CAP_SETPCAP, capBit } from "../abi/capability.ts";
import { TASK_COMM_LEN, TASK_SIZE } from "../abi/limits.ts";
import { personalityFlags } from "../abi/personality.ts";
import {
  archPrctlOptions, ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS, prctlOptions, PR_CAP_AMBIENT, PR_CAPBSET_DROP, PR_CAPBSET_READ,
  PR_GET_CHILD_SUBREAPER, PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_NAME, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_GET_SECCOMP,
  PR_GET_SECUREBITS, PR_GET_THP_DISABLE, PR_GET_TID_ADDRESS, PR_GET_TIMERSLACK, PR_GET_TIMING, PR_GET_TSC, PR_SET_CHILD_SUBREAPER,
  PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_SET_TIMERSLACK, PR_SET_TIMING,
  PR_TASK_PERF_EVENTS_DISABLE, PR_TASK_PERF_EVENTS_ENABLE,
} from "../abi/prctl.ts";
import { _NSIG } from "../abi/signal.ts";
import { bytesName, nameBytes } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUserPartial, putUser32, putUser64, type Addr } from "../mm/usercopy.ts";
import { SECBIT_KEEP_CAPS, SECBIT_NO_CAP_AMBIENT_RAISE } from "../process/cred.ts";
import { capable } from "../sched/cred.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { choice, flags, uint32, ulong, unsigned } from "./args.ts";
import { prctlArg } from "./codecs/prctl_arg.ts";
import { give } from "./codecs/time.ts";
import type { Rows } from "./row.ts";

type Word = number | bigint;
type Args = [option: number, arg2: Word, arg3: Word, arg4: Word, arg5: Word];

const DEFAULT_SLACK_NS = 50_000;
const PR_CAP_AMBIENT_IS_SET = 1;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_LOWER = 3;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SECURE_BITS = 0xff;
/** PR_TSC_ENABLE */
const TSC_ENABLED = 1;

function giveInt(k: Kernel, task: Task, addr: Addr, value: number): number {
  return putUser32(k, task, addr, value) ? 0 : -EFAULT;
}

/** Only the first 15 bytes of a name count. */
function setName(k: Kernel, task: Task, addr: Addr): number {
  const bytes = copyFromUserPartial(k, task, addr, TASK_COMM_LEN - 1);
  const end = bytes.indexOf(0);
  if (end < 0 && bytes.length < TASK_COMM_LEN - 1) return -EFAULT;
  task.comm = bytesName(end < 0 ? bytes : bytes.subarray(0, end));
  return 0;
}

function capabilityBit(cap: Word): bigint | null {
  return typeof cap === "number" && cap >= 0 && cap <= CAP_LAST_CAP ? capBit(cap) : null;
}

function boundingSet(task: Task, option: number, cap: Word): number {
  const bit = capabilityBit(cap);
  if (option === PR_CAPBSET_DROP && !capable(task, CAP_SETPCAP)) return -EPERM;
  if (bit === null) return -EINVAL;
  if (option === PR_CAPBSET_READ) return (task.cred.capBounding & bit) !== 0n ? 1 : 0;
  task.cred.capBounding &= ~bit;
  return 0;
}

function ambientSet(task: Task, [, action, cap, arg4, arg5]: Args): number {
  const { cred } = task;
  if (action === PR_CAP_AMBIENT_CLEAR_ALL) {
    if (cap !== 0 || arg4 !== 0 || arg5 !== 0) return -EINVAL;
    cred.capAmbient = 0n;
    return 0;
  }
  const bit = capabilityBit(cap);
  if (bit === null || arg4 !== 0 || arg5 !== 0) return -EINVAL;
  switch (action) {
    case PR_CAP_AMBIENT_IS_SET: return (cred.capAmbient & bit) !== 0n ? 1 : 0;
    case PR_CAP_AMBIENT_RAISE:
      if ((cred.capPermitted & cred.capInheritable & bit) === 0n || (cred.secureBits & SECBIT_NO_CAP_AMBIENT_RAISE) !== 0) return -EPERM;
      cred.capAmbient |= bit;
      return 0;
    case PR_CAP_AMBIENT_LOWER:
      cred.capAmbient &= ~bit;
      return 0;
    default: return -EINVAL;
  }
}

function setSecureBits(task: Task, bits: Word): number {
  const { cred } = task;
  if (typeof bits !== "number" || bits > SECURE_BITS) return -EPERM;
  // A locked bit (each has its lock one place up) neither changes nor loses its lock.
  const locks = (cred.secureBits & 0xaa) >> 1;
  if ((locks & (bits ^ cred.secureBits)) !== 0 || ((cred.secureBits & 0xaa) & ~bits) !== 0 || !capable(task, CAP_SETPCAP)) return -EPERM;
  cred.secureBits = bits;
  task.keepCaps = (bits & SECBIT_KEEP_CAPS) !== 0;
  return 0;
}

function setKeepCaps(task: Task, on: Word): number {
  if (on !== 0 && on !== 1) return -EINVAL;
  // SECBIT_KEEP_CAPS_LOCKED
  if ((task.cred.secureBits & (SECBIT_KEEP_CAPS << 1)) !== 0) return -EPERM;
  task.keepCaps = on === 1;
  task.cred.secureBits = on === 1 ? task.cred.secureBits | SECBIT_KEEP_CAPS : task.cred.secureBits & ~SECBIT_KEEP_CAPS;
  return 0;
}

function sysPrctl(k: Kernel, task: Task, args: Args): number {
  const [option, arg2, arg3, arg4, arg5] = args;
  const rest = arg3 !== 0 || arg4 !== 0 || arg5 !== 0;
  switch (option) {
    case PR_SET_PDEATHSIG:
      if (arg2 > _NSIG) return -EINVAL;
      task.parentDeathSignal = Number(arg2);
      return 0;
    case PR_GET_PDEATHSIG: return giveInt(k, task, arg2, task.parentDeathSignal);
    case PR_GET_DUMPABLE: return task.dumpable;
    case PR_SET_DUMPABLE:
      if (arg2 !== 0 && arg2 !== 1) return -EINVAL;
      task.dumpable = arg2;
      return 0;
    case PR_GET_KEEPCAPS: return task.keepCaps ? 1 : 0;
    case PR_SET_KEEPCAPS: return setKeepCaps(task, arg2);
    case PR_SET_NAME: return setName(k, task, arg2);
    case PR_GET_NAME: {
      const name = new Uint8Array(TASK_COMM_LEN);
      name.set(nameBytes(task.comm));
      return give(k, task, arg2, name);
    }
    case PR_GET_TIMING: case PR_TASK_PERF_EVENTS_DISABLE: case PR_TASK_PERF_EVENTS_ENABLE: case PR_GET_SECCOMP: return 0;
    case PR_SET_TIMING: return arg2 === 0 ? 0 : -EINVAL;
    case PR_GET_TSC: return giveInt(k, task, arg2, TSC_ENABLED);
    case PR_CAPBSET_READ: case PR_CAPBSET_DROP: return boundingSet(task, option, arg2);
    case PR_GET_SECUREBITS: return task.cred.secureBits;
    case PR_SET_SECUREBITS: return setSecureBits(task, arg2);
    case PR_GET_TIMERSLACK: return task.timerSlackNs;
    case PR_SET_TIMERSLACK:
      task.timerSlackNs = arg2 === 0 || typeof arg2 === "bigint" ? DEFAULT_SLACK_NS : arg2;
      return 0;
    case PR_SET_CHILD_SUBREAPER:
      groupOf(k, task).childReaper = arg2 !== 0;
      return 0;
    case PR_GET_CHILD_SUBREAPER: return giveInt(k, task, arg2, groupOf(k, task).childReaper ? 1 : 0);
    case PR_SET_NO_NEW_PRIVS:
      if (arg2 !== 1 || rest) return -EINVAL;
      task.noNewPrivs = true;
      return 0;
    case PR_GET_NO_NEW_PRIVS: return arg2 !== 0 || rest ? -EINVAL : task.noNewPrivs ? 1 : 0;
    case PR_GET_TID_ADDRESS: return putUser64(k, task, arg2, task.clearTid) ? 0 : -EFAULT;
    case PR_GET_THP_DISABLE: return arg2 !== 0 || rest ? -EINVAL : 0;
    case PR_CAP_AMBIENT: return ambientSet(task, args);
    default: return -EINVAL;
  }
}

function sysArchPrctl(k: Kernel, task: Task, [code, addr]: [number, Addr]): number {
  switch (code) {
    case ARCH_SET_FS: case ARCH_SET_GS:
      if (typeof addr === "bigint" || addr >= TASK_SIZE) return -EPERM;
      if (code === ARCH_SET_FS) task.fsBase = addr;
      else task.gsBase = addr;
      return 0;
    case ARCH_GET_FS: return putUser64(k, task, addr, task.fsBase) ? 0 : -EFAULT;
    case ARCH_GET_GS: return putUser64(k, task, addr, task.gsBase) ? 0 : -EFAULT;
    default: return -EINVAL;
  }
}

const ASK = 0xffff_ffff;

function sysPersonality(_k: Kernel, task: Task, [persona]: [number]): number {
  const old = task.personality;
  if (persona !== ASK) task.personality = persona;
  return old;
}

export const prctlRows: Rows = {
  personality: { x86_64: 135, args: [{ ...flags("persona", personalityFlags), take: uint32 }], run: sysPersonality, partial: "kept and told" },
  prctl: {
    x86_64: 157,
    args: [choice("option", prctlOptions), prctlArg("arg2"), ulong("arg3"), ulong("arg4"), ulong("arg5")],
    run: sysPrctl, partial: "options that are not about names, capabilities, parents, timer slack and dumping answer EINVAL",
  },
  arch_prctl: {
    x86_64: 158, args: [choice("code", archPrctlOptions), { ...prctlArg("addr"), take: unsigned }], run: sysArchPrctl, partial: "the FS and GS bases",
  },
};
