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
