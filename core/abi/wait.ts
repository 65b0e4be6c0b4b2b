/** wait4(2) and waitid(2): options, and the status word. */
import type { ChoiceTable, FlagTable } from "./flags.ts";

export const WNOHANG = 0x1;
export const WUNTRACED = 0x2;
export const WSTOPPED = 0x2;
export const WEXITED = 0x4;
export const WCONTINUED = 0x8;
export const WNOWAIT = 0x1000000;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;
export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

export const waitOptions: FlagTable = {
  prefix: "W",
  flags: { WNOHANG, WEXITED, WSTOPPED, WCONTINUED, WNOWAIT, __WCLONE, __WALL, __WNOTHREAD },
  aliases: { WUNTRACED },
};
export const waitidTypes: ChoiceTable = { prefix: "P_", values: { P_ALL, P_PID, P_PGID, P_PIDFD } };

/** The status word of an exit(2): its low eight bits, shifted up. */
export const exitedStatus = (code: number): number => (code & 0xff) << 8;
/** The status word of a death by signal. */
export const signaledStatus = (signal: number, coreDumped = false): number => signal | (coreDumped ? 0x80 : 0);
/** The status word of a stop. */
export const stoppedStatus = (signal: number): number => (signal << 8) | 0x7f;
export const continuedStatus = 0xffff;

export const WIFEXITED = (status: number): boolean => (status & 0x7f) === 0;
export const WEXITSTATUS = (status: number): number => (status >>> 8) & 0xff;
export const WIFSIGNALED = (status: number): boolean => (status & 0x7f) !== 0 && (status & 0x7f) !== 0x7f;
export const WTERMSIG = (status: number): number => status & 0x7f;
export const WCOREDUMP = (status: number): boolean => (status & 0x80) !== 0;
export const WIFSTOPPED = (status: number): boolean => (status & 0xff) === 0x7f && status !== continuedStatus;
export const WSTOPSIG = WEXITSTATUS;
export const WIFCONTINUED = (status: number): boolean => status === continuedStatus;
