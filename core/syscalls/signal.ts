/** Signals: kill(2), tgkill(2), rt_sigqueueinfo(2), sigaction(2), sigprocmask(2), sigsuspend(2), sigtimedwait(2), sigaltstack(2). */
import { EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ERESTARTNOHAND, ESRCH } from "../abi/errno.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import {
  defaultAction, MINSIGSTKSZ, SA_EXPOSE_TAGBITS, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_RESTORER,
  SA_SIGINFO, sigactionLayout, sigaltstackLayout, siginfoKillLayout, signalHow, SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_SETMASK, SIG_UNBLOCK,
  SIGKILL, SIGSEGV, SIGSTOP, SI_TKILL, SS_DISABLE, SS_ONSTACK, _NSIG,
} from "../abi/signal.ts";
import { timespecLayout } from "../abi/time.ts";
import type { Kernel } from "../kernel.ts";
import { putU64 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser, getUser64, type Addr } from "../mm/usercopy.ts";
import { kill, killTask, mayKill } from "../process/kill.ts";
import {
  actionOf, dequeueSignal, discardSignal, forceSignal, pendingSet, sendSignal, setBlocked, UNBLOCKABLE,
  type PendingSignal, type SignalAction, type SignalInfo,
} from "../sched/signal.ts";
import { enter, NEXT, steps, type SyscallResult } from "../sched/steps.ts";
import { groupOf, handlersOf, type Task } from "../sched/task.ts";
import { signalPending, sleepOn, sleepUntil } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { choice, int, signal, structIn, structOut } from "./args.ts";
import { structCodec } from "./codec.ts";
import { COUNT_HANDLER, sigaction } from "./codecs/sigaction.ts";
import { siginfo, siginfoBytes } from "./codecs/siginfo.ts";
import { sigset, sigsetSize, SIGSET_SIZE } from "./codecs/sigset.ts";
import { readTimespec } from "./codecs/time.ts";
import type { Rows } from "./row.ts";

type Word = number | bigint;

/** SS_AUTODISARM, the highest bit of an int. */
const AUTODISARM = -0x8000_0000;

const EVERY_FLAG = (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_RESTORER | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND) >>> 0;

function sysTkill(k: Kernel, task: Task, [tid, sig]: [number, number]): number {
  return tid <= 0 ? -EINVAL : killTask(k, task, 0, tid, sig, threadInfo(task));
}

function sysTgkill(k: Kernel, task: Task, [tgid, tid, sig]: [number, number, number]): number {
  return tid <= 0 || tgid <= 0 ? -EINVAL : killTask(k, task, tgid, tid, sig, threadInfo(task));
}

function threadInfo({ tgid, cred }: Task): SignalInfo {
  return { code: SI_TKILL, pid: tgid, uid: cred.uid };
}

/** The siginfo that a process makes up; -EFAULT. */
function givenInfo(k: Kernel, task: Task, addr: Addr): SignalInfo & { code: number } | number {
  const bytes = copyFromUser(k, task, addr, siginfoKillLayout.size);
  if (typeof bytes === "number") return bytes;
  const { si_code, si_pid, si_uid, si_value } = decodeStruct(siginfoKillLayout, bytes);
  return { code: si_code, pid: si_pid, uid: si_uid, value: si_value };
}

/** Only to itself may a process pretend that a signal comes from the kernel or from kill. */
function mayPretend({ code }: { code: number }): boolean {
  return code < 0 && code !== SI_TKILL;
}

function sysRtSigqueueinfo(k: Kernel, task: Task, [tgid, sig, addr]: [number, number, Addr]): number {
  const info = givenInfo(k, task, addr);
  if (typeof info === "number") return info;
  if (!mayPretend(info) && tgid !== task.tid) return -EPERM;
  const target = k.state.sched.tasks.get(tgid);
  if (target === undefined) return -ESRCH;
  if (sig < 0 || sig > _NSIG) return -EINVAL;
  const denied = mayKill(k, task, target, sig);
  return denied !== 0 || sig === 0 ? denied : sendSignal(k, target.tgid, sig, info);
}

function sysRtTgsigqueueinfo(k: Kernel, task: Task, [tgid, tid, sig, addr]: [number, number, number, Addr]): number {
  const info = givenInfo(k, task, addr);
  if (typeof info === "number") return info;
  if (tid <= 0 || tgid <= 0) return -EINVAL;
  if (!mayPretend(info) && tid !== task.tid) return -EPERM;
  return killTask(k, task, tgid, tid, sig, info);
}

function actionBytes({ handler, address, flags, mask }: SignalAction): Uint8Array {
  const sa_handler = handler === "default" ? SIG_DFL : handler === "ignore" ? SIG_IGN : address === 0 ? COUNT_HANDLER : address;
  return encodeStruct(sigactionLayout, { sa_handler, sa_flags: flags, sa_mask: mask });
}

function actionFrom(bytes: Uint8Array): SignalAction {
  const { sa_handler, sa_flags, sa_mask } = decodeStruct(sigactionLayout, bytes);
  const handler = sa_handler === SIG_DFL ? "default" : sa_handler === SIG_IGN ? "ignore" : "count";
  return {
    handler, address: handler === "count" && sa_handler !== COUNT_HANDLER ? sa_handler : 0,
    flags: (Number(BigInt.asUintN(32, BigInt(sa_flags))) & EVERY_FLAG) >>> 0, mask: BigInt(sa_mask) & ~UNBLOCKABLE,
  };
}

function sysRtSigaction(k: Kernel, task: Task, [signum, act, oldact, sigsetsize]: [number, Addr, Addr, Word]): number {
  if (sigsetsize !== SIGSET_SIZE) return -EINVAL;
  const given = act === 0 ? null : copyFromUser(k, task, act, sigactionLayout.size);
  if (typeof given === "number") return given;
  if (signum < 1 || signum > _NSIG || (given !== null && (signum === SIGKILL || signum === SIGSTOP))) return -EINVAL;
  const group = groupOf(k, task);
  const old = actionBytes(actionOf(k, group, signum));
  if (given !== null) {
    const action = actionFrom(given);
    handlersOf(k, group).actions.set(signum, action);
    const kind = defaultAction(signum);
    // Setting a signal to be ignored takes away what waits of it, blocked or not.
    if (action.handler === "ignore" || (action.handler === "default" && (kind === "ign" || kind === "cont"))) discardSignal(k, group, signum);
  }
  return oldact !== 0 && copyToUser(k, task, oldact, old) < old.length ? -EFAULT : 0;
}

function setBytes(set: bigint): Uint8Array {
  const bytes = new Uint8Array(SIGSET_SIZE);
  putU64(bytes, 0, set);
  return bytes;
}

function sysRtSigprocmask(k: Kernel, task: Task, [how, set, oldset, sigsetsize]: [number, Addr, Addr, Word]): number {
  if (sigsetsize !== SIGSET_SIZE) return -EINVAL;
  const old = task.blocked;
  if (set !== 0) {
    const given = getUser64(k, task, set);
    if (given === null) return -EFAULT;
    const mask = BigInt(given) & ~UNBLOCKABLE;
    switch (how) {
      case SIG_BLOCK: setBlocked(k, task, old | mask); break;
      case SIG_UNBLOCK: setBlocked(k, task, old & ~mask); break;
      case SIG_SETMASK: setBlocked(k, task, mask); break;
      default: return -EINVAL;
    }
  }
  return oldset !== 0 && copyToUser(k, task, oldset, setBytes(old)) < SIGSET_SIZE ? -EFAULT : 0;
}

function sysRtSigpending(k: Kernel, task: Task, [set, sigsetsize]: [Addr, Word]): number {
  if (sigsetsize > SIGSET_SIZE) return -EINVAL;
  const bytes = setBytes(pendingSet(k, task) & task.blocked).subarray(0, Number(sigsetsize));
  return copyToUser(k, task, set, bytes) < bytes.length ? -EFAULT : 0;
}

const suspendSteps = steps<{ mask: bigint }>("sigsuspend", {
  change: (k, task, { locals }) => {
    task.savedMask = task.blocked;
    setBlocked(k, task, locals.mask);
    return NEXT;
  },
  wait: () => sleepOn([], { interrupted: -ERESTARTNOHAND, wchan: "sigsuspend" }),
});

function sysRtSigsuspend(k: Kernel, task: Task, [mask, sigsetsize]: [Addr, Word]): SyscallResult {
  if (sigsetsize !== SIGSET_SIZE) return -EINVAL;
  const given = getUser64(k, task, mask);
  return given === null ? -EFAULT : enter(suspendSteps, { mask: BigInt(given) & ~UNBLOCKABLE });
}

interface WaitLocals {
  set: bigint;
  info: Addr;
  /** Absolute kernel time, -1 for never. */
  untilNs: number;
}

/** Tells the process which signal it took. */
function taken(k: Kernel, task: Task, found: PendingSignal, info: Addr): number {
  if (info === 0) return found.number;
  const bytes = siginfoBytes(found);
  return copyToUser(k, task, info, bytes) < bytes.length ? -EFAULT : found.number;
}

const timedWaitSteps = steps<WaitLocals>("sigtimedwait", {
  // What is waited for may wake this task, though for everybody else it stays blocked.
  open: (k, task, { locals }) => {
    task.realBlocked = task.blocked;
    setBlocked(k, task, task.blocked & ~locals.set);
    return NEXT;
  },
  wait: (k, task, { locals }) => {
    const found = dequeueSignal(k, task, locals.set);
    if (found !== null) return taken(k, task, found, locals.info);
    if (signalPending(task)) return -EINTR;
    const options = { interrupted: -EINTR, wchan: "do_sigtimedwait" };
    if (locals.untilNs < 0) return sleepOn([], options);
    return now(k) >= locals.untilNs ? -EAGAIN : sleepUntil(locals.untilNs, options);
  },
}, {
  undo: {
    wait: (k, task) => {
      const { realBlocked } = task;
      task.realBlocked = 0n;
      setBlocked(k, task, realBlocked);
    },
  },
});

function sysRtSigtimedwait(k: Kernel, task: Task, [set, info, timeout, sigsetsize]: [Addr, Addr, Addr, Word]): SyscallResult {
  if (sigsetsize !== SIGSET_SIZE) return -EINVAL;
  const given = getUser64(k, task, set);
  if (given === null) return -EFAULT;
  const wanted = BigInt(given) & ~UNBLOCKABLE;
  const timeoutNs = timeout === 0 ? null : readTimespec(k, task, timeout);
  if (timeoutNs !== null && timeoutNs < 0) return timeoutNs;
  const found = dequeueSignal(k, task, wanted);
  if (found !== null) return taken(k, task, found, info);
  if (timeoutNs === 0) return -EAGAIN;
  return enter(timedWaitSteps, { set: wanted, info, untilNs: timeoutNs === null ? -1 : now(k) + timeoutNs });
}

/** Without a frame of a handler on its stack, a process that returns from one is killed. */
function sysRtSigreturn(k: Kernel, task: Task): number {
  forceSignal(k, task, SIGSEGV);
  return 0;
}

function sysSigaltstack(k: Kernel, task: Task, [ss, oldSs]: [Addr, Addr]): number {
  const given = ss === 0 ? null : copyFromUser(k, task, ss, sigaltstackLayout.size);
  if (typeof given === "number") return given;
  const { sp, size, flags } = task.altStack;
  if (given !== null) {
    const wanted = decodeStruct(sigaltstackLayout, given);
    const mode = wanted.ss_flags & ~AUTODISARM;
    if (mode !== 0 && mode !== SS_ONSTACK && mode !== SS_DISABLE) return -EINVAL;
    const same = wanted.ss_sp === sp && wanted.ss_size === size && wanted.ss_flags === flags;
    if (mode === SS_DISABLE) task.altStack = { sp: 0, size: 0, flags: wanted.ss_flags };
    // As Linux: what changes nothing is not judged.
    else if (!same && wanted.ss_size < MINSIGSTKSZ) return -ENOMEM;
    else task.altStack = { sp: wanted.ss_sp, size: Number(wanted.ss_size), flags: wanted.ss_flags };
  }
  if (oldSs === 0) return 0;
  const old = encodeStruct(sigaltstackLayout, { ss_sp: sp, ss_size: size, ss_flags: (size === 0 ? SS_DISABLE : 0) | (flags & AUTODISARM) });
  return copyToUser(k, task, oldSs, old) < old.length ? -EFAULT : 0;
}


const stack = structCodec("stack_t", sigaltstackLayout);
const timespec = structCodec("timespec", timespecLayout);

export const signalRows: Rows = {
  rt_sigaction: {
    x86_64: 13, args: [signal("signum"), structIn("act", sigaction), structOut("oldact", sigaction), sigsetSize("sigsetsize")],
    run: sysRtSigaction, partial: "a handler runs no code: its runs are counted and told",
  },
  rt_sigprocmask: {
    x86_64: 14, args: [choice("how", signalHow), structIn("set", sigset), structOut("oldset", sigset), sigsetSize("sigsetsize")],
    run: sysRtSigprocmask,
  },
  rt_sigreturn: { x86_64: 15, args: [], run: sysRtSigreturn, partial: "handlers have no frame to return from" },
  pause: { x86_64: 34, args: [], run: () => sleepOn([], { interrupted: -ERESTARTNOHAND, wchan: "__do_sys_pause" }) },
  kill: { x86_64: 62, args: [int("pid"), signal("sig")], run: (k, task, [pid, sig]: [number, number]) => kill(k, task, pid, sig) },
  rt_sigpending: { x86_64: 127, args: [structOut("set", sigset), sigsetSize("sigsetsize")], run: sysRtSigpending },
  rt_sigtimedwait: {
    x86_64: 128, args: [structIn("set", sigset), structOut("info", siginfo), structIn("timeout", timespec), sigsetSize("sigsetsize")],
    run: sysRtSigtimedwait,
  },
  rt_sigqueueinfo: { x86_64: 129, args: [int("tgid"), signal("sig"), structIn("info", siginfo)], run: sysRtSigqueueinfo },
  rt_sigsuspend: { x86_64: 130, args: [structIn("mask", sigset), sigsetSize("sigsetsize")], run: sysRtSigsuspend },
  sigaltstack: { x86_64: 131, args: [structIn("ss", stack), structOut("old_ss", stack)], run: sysSigaltstack },
  tkill: { x86_64: 200, args: [int("tid"), signal("sig")], run: sysTkill },
  tgkill: { x86_64: 234, args: [int("tgid"), int("tid"), signal("sig")], run: sysTgkill },
  rt_tgsigqueueinfo: { x86_64: 297, args: [int("tgid"), int("tid"), signal("sig"), structIn("info", siginfo)], run: sysRtTgsigqueueinfo },
};
