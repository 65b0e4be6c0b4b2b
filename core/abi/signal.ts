/** Signals: numbers, names, sets, what they do by default (arch/x86/include/uapi/asm/signal.h, signal(7)). */
import type { ChoiceTable, FlagTable } from "./flags.ts";
import { layout } from "./layout.ts";

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGUSR2 = 12;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGSTKFLT = 16;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGURG = 23;
export const SIGXCPU = 24;
export const SIGXFSZ = 25;
export const SIGVTALRM = 26;
export const SIGPROF = 27;
export const SIGWINCH = 28;
export const SIGIO = 29;
export const SIGPWR = 30;
export const SIGSYS = 31;
/** The kernel's first real-time signal; a C library keeps the first two for itself. */
export const SIGRTMIN = 32;
export const SIGRTMAX = 64;
export const _NSIG = 64;

export const SA_NOCLDSTOP = 0x1;
export const SA_NOCLDWAIT = 0x2;
export const SA_SIGINFO = 0x4;
export const SA_UNSUPPORTED = 0x400;
export const SA_INTERRUPT = 0x20000000;
export const SA_EXPOSE_TAGBITS = 0x800;
export const SA_RESTORER = 0x4000000;
export const SA_ONSTACK = 0x8000000;
export const SA_RESTART = 0x10000000;
export const SA_NODEFER = 0x40000000;
export const SA_RESETHAND = 0x80000000;
export const SIG_BLOCK = 0;
export const SIG_UNBLOCK = 1;
export const SIG_SETMASK = 2;
export const SIG_DFL = 0;
export const SIG_IGN = 1;
export const SS_ONSTACK = 1;
export const SS_DISABLE = 2;
export const MINSIGSTKSZ = 2048;

/** Every name with its number: SIGHUP…SIGSYS, and the real-time ones as strace writes them, SIGRTMIN, SIGRT_1…SIGRT_32. */
export const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM,
  SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,
  SIGPWR, SIGSYS, SIGRTMIN,
  ...Object.fromEntries(Array.from({ length: SIGRTMAX - SIGRTMIN }, (_, i) => [`SIGRT_${i + 1}`, SIGRTMIN + i + 1])),
};
const namesByNumber: readonly (string | undefined)[] = (() => {
  const names: (string | undefined)[] = new Array<undefined>(_NSIG + 1).fill(undefined);
  for (const name in signalNumbers) names[signalNumbers[name]!] = name;
  return names;
})();
const signalAliases: Readonly<Record<string, number>> = { SIGIOT: SIGABRT, SIGPOLL: SIGIO, SIGCLD: SIGCHLD, SIGRTMAX };

/** The name of signal 1…64, otherwise its number as text. */
export const signalName = (signal: number): string => namesByNumber[signal] ?? String(signal);

/** The number of a name as strace or kill(1) writes it: SIGINT, INT, SIGRT_3, SIGRTMIN+3, SIGRTMAX-1; undefined if there is none. */
export function signalNumber(name: string): number | undefined {
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  const relative = /^SIGRT(MIN\+|MAX-)([0-9]{1,2})$/.exec(full);
  if (relative !== null) {
    const number = relative[1] === "MIN+" ? SIGRTMIN + Number(relative[2]) : SIGRTMAX - Number(relative[2]);
    return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
  }
  if (Object.hasOwn(signalNumbers, full)) return signalNumbers[full];
  return Object.hasOwn(signalAliases, full) ? signalAliases[full] : undefined;
}

export const signals: ChoiceTable = { prefix: "SIG", decimal: true, values: signalNumbers, aliases: signalAliases };
export const signalHow: ChoiceTable = { prefix: "SIG_", values: { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK } };
export const signalFlags: FlagTable = {
  prefix: "SA_",
  flags: {
    SA_RESTORER, SA_ONSTACK, SA_RESTART, SA_INTERRUPT, SA_NODEFER, SA_RESETHAND, SA_SIGINFO, SA_NOCLDSTOP, SA_NOCLDWAIT,
  },
  aliases: { SA_UNSUPPORTED, SA_EXPOSE_TAGBITS, SA_NOMASK: SA_NODEFER, SA_ONESHOT: SA_RESETHAND },
};
export const altStackFlags: FlagTable = { prefix: "SS_", flags: { SS_ONSTACK, SS_DISABLE } };

export type DefaultAction = "term" | "core" | "stop" | "cont" | "ign";
const cores = [SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS];
const stops = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];
const ignored = [SIGCHLD, SIGURG, SIGWINCH];

/** What a signal does to a process that has set nothing for it. */
export function defaultAction(signal: number): DefaultAction {
  if (signal === SIGCONT) return "cont";
  if (cores.includes(signal)) return "core";
  if (stops.includes(signal)) return "stop";
  return ignored.includes(signal) ? "ign" : "term";
}

/** A sigset_t is a bigint: signal n is bit n-1. */
export type SigSet = bigint;
export const emptySigSet = 0n;
export const fullSigSet = 0xffffffffffffffffn;
export const sigBit = (signal: number): SigSet => 1n << BigInt(signal - 1);
export const sigIsMember = (set: SigSet, signal: number): boolean => (set & sigBit(signal)) !== 0n;
export const sigAdd = (set: SigSet, signal: number): SigSet => set | sigBit(signal);
export const sigDelete = (set: SigSet, signal: number): SigSet => set & ~sigBit(signal);
export const sigSetOf = (members: readonly number[]): SigSet => members.reduce(sigAdd, emptySigSet);
/** SIGKILL and SIGSTOP, which can be neither blocked nor caught. */
export const unblockableSignals: SigSet = sigBit(SIGKILL) | sigBit(SIGSTOP);
/** Signals of a fault in the program itself, which are delivered before all others. */
export const synchronousSignals: SigSet = sigSetOf([SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]);

/** The members of a set in ascending order. */
export function sigMembers(set: SigSet): number[] {
  const members: number[] = [];
  for (let signal = 1; signal <= _NSIG; signal++) if (sigIsMember(set, signal)) members.push(signal);
  return members;
}

/** A set as strace writes it: `[INT USR1]`, and with two thirds of all, the rest: `~[KILL STOP]`. */
export function formatSigSet(set: SigSet): string {
  const members = sigMembers(set);
  const inverted = members.length >= Math.floor((_NSIG * 2) / 3);
  const shown = inverted ? sigMembers(~set & fullSigSet) : members;
  return `${inverted ? "~" : ""}[${shown.map((signal) => signalName(signal).slice("SIG".length)).join(" ")}]`;
}

/** The kernel's struct sigaction of rt_sigaction(2). */
export const sigactionLayout = layout(32, { sa_handler: [0, "u64"], sa_flags: [8, "u64"], sa_restorer: [16, "u64"], sa_mask: [24, "u64"] });
/** stack_t of sigaltstack(2). */
export const sigaltstackLayout = layout(24, { ss_sp: [0, "u64"], ss_flags: [8, "i32"], ss_size: [16, "u64"] });

/** si_code: who sent a signal, or what was wrong. */
export const SI_USER = 0;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;
export const SI_KERNEL = 128;
export const ILL_ILLOPC = 1;
export const ILL_ILLOPN = 2;
export const ILL_ILLADR = 3;
export const ILL_ILLTRP = 4;
export const ILL_PRVOPC = 5;
export const ILL_PRVREG = 6;
export const ILL_COPROC = 7;
export const ILL_BADSTK = 8;
export const FPE_INTDIV = 1;
export const FPE_INTOVF = 2;
export const FPE_FLTDIV = 3;
export const FPE_FLTOVF = 4;
export const FPE_FLTUND = 5;
export const FPE_FLTRES = 6;
export const FPE_FLTINV = 7;
export const FPE_FLTSUB = 8;
export const SEGV_MAPERR = 1;
export const SEGV_ACCERR = 2;
export const SEGV_BNDERR = 3;
export const SEGV_PKUERR = 4;
export const BUS_ADRALN = 1;
export const BUS_ADRERR = 2;
export const BUS_OBJERR = 3;
export const TRAP_BRKPT = 1;
export const TRAP_TRACE = 2;
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;
export const POLL_IN = 1;
export const POLL_OUT = 2;
export const POLL_MSG = 3;
export const POLL_ERR = 4;
export const POLL_PRI = 5;
export const POLL_HUP = 6;
export const SYS_SECCOMP = 1;

const common = { SI_USER, SI_QUEUE, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_TKILL, SI_KERNEL };
/** si_code by signal; those not listed have only the common ones. */
const codes: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  [SIGILL]: { ILL_ILLOPC, ILL_ILLOPN, ILL_ILLADR, ILL_ILLTRP, ILL_PRVOPC, ILL_PRVREG, ILL_COPROC, ILL_BADSTK },
  [SIGFPE]: { FPE_INTDIV, FPE_INTOVF, FPE_FLTDIV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES, FPE_FLTINV, FPE_FLTSUB },
  [SIGSEGV]: { SEGV_MAPERR, SEGV_ACCERR, SEGV_BNDERR, SEGV_PKUERR },
  [SIGBUS]: { BUS_ADRALN, BUS_ADRERR, BUS_OBJERR },
  [SIGTRAP]: { TRAP_BRKPT, TRAP_TRACE },
  [SIGCHLD]: { CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED },
  [SIGIO]: { POLL_IN, POLL_OUT, POLL_MSG, POLL_ERR, POLL_PRI, POLL_HUP },
  [SIGSYS]: { SYS_SECCOMP },
};

/** The names that si_code has for one signal. */
export const siCodes = (signal: number): ChoiceTable => ({ prefix: "SI_", values: { ...codes[signal], ...common } });

/** siginfo_t, 128 bytes: the head is common, what follows depends on si_code. */
export const siginfoHeadLayout = layout(128, { si_signo: [0, "i32"], si_errno: [4, "i32"], si_code: [8, "i32"] });
/** Of kill(2) and of sigqueue(3). */
export const siginfoKillLayout = layout(128, {
  ...siginfoHeadLayout.fields,
  si_pid: [16, "i32"],
  si_uid: [20, "u32"],
  si_value: [24, "u64"],
});
/** Of SIGCHLD; times in USER_HZ ticks. */
export const siginfoChildLayout = layout(128, {
  ...siginfoHeadLayout.fields,
  si_pid: [16, "i32"],
  si_uid: [20, "u32"],
  si_status: [24, "i32"],
  si_utime: [32, "i64"],
  si_stime: [40, "i64"],
});
/** Of SIGSEGV, SIGBUS, SIGILL, SIGFPE. */
export const siginfoFaultLayout = layout(128, { ...siginfoHeadLayout.fields, si_addr: [16, "u64"] });
/** Of SIGIO. */
export const siginfoPollLayout = layout(128, { ...siginfoHeadLayout.fields, si_band: [16, "i64"], si_fd: [24, "i32"] });
/** Of a POSIX timer. */
export const siginfoTimerLayout = layout(128, {
  ...siginfoHeadLayout.fields,
  si_timerid: [16, "i32"],
  si_overrun: [20, "i32"],
  si_value: [24, "u64"],
});
