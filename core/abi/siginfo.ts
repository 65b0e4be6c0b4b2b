/** siginfo_t: why a signal was sent, and where it lies. */
import type { ChoiceTable } from "./flags.ts";
import { layout } from "./layout.ts";
import { SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGIO, SIGSEGV, SIGSYS, SIGTRAP } from "./signal.ts";

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

/** 128 bytes: the head is common, what follows depends on si_code. */
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
