/** The one door's two types: what may change a kernel, and what it answers. Both are plain data and fit JSON, bytes aside. */
import type { Machine, MachineOptions } from "./machine.ts";

/** Kernel time in nanoseconds since boot. */
export type Ns = number;

/** A value that came from a caller's JSON; decoded by the system-call row, never trusted. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** One call as a caller names it: `args` is an object of named arguments or an array of raw registers. */
export interface CallRequest {
  call: string | number;
  args?: Json;
}

/** What a system call does with a memory fault of `load`, `store` and PUT memory: deliver the signal, or only tell of it. */
export type OnFault = "signal" | "report";

interface At {
  /** When the input happens; never before `nowNs` (an earlier one is taken as `nowNs`). */
  atNs: Ns;
}

/** Identifies a held request; chosen by the service, never used twice in a session. */
interface Called {
  callId: string;
}

export type Input =
  /** A process that the caller drives. `home` is its working directory, made by `makeHome` before. */
  | (At & { type: "createProcess"; comm: string; uid: number; parent?: number; member: string; home: string })
  /** SIGKILL, and reaping when the process was made by `createProcess`. */
  | (At & { type: "killProcess"; pid: number })
  | (At & { type: "signal"; pid: number; signal: number; uid: number })
  | (At & Called & { type: "syscall"; pid: number; call: string | number; args?: Json; onFault?: OnFault; /** The answer's bytes travel as they are, not in JSON. */ raw?: boolean })
  | (At & Called & { type: "batch"; pid: number; calls: CallRequest[]; onError: "stop" | "continue" })
  /** The process stores bytes at an address with the faults it takes (PUT memory). */
  | (At & Called & { type: "store"; pid: number; address: string; base64: string; onFault: OnFault })
  /** A short-lived process of `uid` that runs one of the programs in `core/programs`: insmod, rmmod, a file written … */
  | (At & Called & { type: "program"; program: string; args: Json; uid: number; member: string; home: string })
  /** A command (`{ argv }` or `{ script }`) on a fresh terminal, of which the Output tells pid and number. */
  | (At & { type: "openTty"; command: Json; uid: number; member: string; home: string; rows: number; columns: number })
  | (At & { type: "typeTty"; tty: number; base64: string })
  | (At & { type: "resizeTty"; tty: number; rows: number; columns: number })
  /** Acts on a sleeping call as a signal with an empty handler without SA_RESTART. */
  | (At & { type: "interruptCall"; callId: string })
  | (At & { type: "makeHome"; path: string; uid: number })
  /** Moves a virtual clock; all timers due on the way fire. */
  | (At & { type: "advance"; byNs: Ns })
  /** Continues work that a budget cut off; keeps the `atNs` of the input that it continues. */
  | (At & { type: "run" })
  /** A suspended machine goes on: CLOCK_REALTIME and CLOCK_BOOTTIME jump by `awayNs`. */
  | (At & { type: "resume"; awayNs: Ns })
  | (At & { type: "setClockMode"; mode: "real" | "virtual" });

export type BootInput = { type: "boot"; machine: MachineOptions; realtimeNs: string };

/** The outputs of a call under their man-page names (`buf`, `statbuf`, `pipefd` …). */
export type CallOutputs = { [name: string]: Json };

/** How a call stands. `pid` and `callId` tell whose; the service adds nothing but the HTTP around it. */
export type CallAnswer =
  | ({ state: "returned"; ret: Json; errno: string | null; errnoNumber?: number; message?: string; strace: string; ns: Ns;
      signal?: string; siCode?: string; faultAddr?: string; stored?: number; delivered?: string[];
      /** EINTR, since as many calls sleep as may. */ limited?: true } & CallOutputs)
  | { state: "returned"; results: CallAnswer[] }
  /** A program ended: `value` is what it made (a module's view, a file's bytes written …), `ret` its errno-style result. */
  | { state: "program"; ret: number; value: Json; stdout: string; stderr: string; limited?: true;
      /** Of a command: its exit status, 128 and the signal's number of one that a signal ended, and its output where that is not UTF-8, in base64. */
      exit?: number; stdoutBytes?: string; stderrBytes?: string }
  | { state: "sleeping"; pid: number; callId: string; wchan: string; results?: CallAnswer[] }
  /** With the fault that it died of, where that was of its own load or store. */
  | { state: "ended"; exited?: number; signaled?: string; siCode?: string; faultAddr?: string; stored?: number; strace?: string; ns?: Ns; results?: CallAnswer[] };

export interface EndedCall {
  callId: string;
  pid: number;
  answer: CallAnswer;
}

/** What happened, for the event stream; `data` is one JSON object. */
export interface KernelEvent {
  event: "module" | "process" | "signal" | "fault" | "timer" | "oops";
  data: { [key: string]: Json };
}

/** Why an input was refused before it touched anything. */
export type Refusal =
  | { refused: "no-process"; detail: string }
  | { refused: "no-call"; detail: string }
  | { refused: "busy"; detail: string }
  | { refused: "invalid"; detail: string; errors?: { path: string; message: string }[] }
  | { refused: "errno"; errno: number; detail: string }
  | { refused: "too-large"; detail: string; errors?: { path: string; message: string }[] }
  | { refused: "limit"; detail: string };

export interface Output {
  /** Set when the input was refused: the state is as before. */
  refusal?: Refusal;
  /** The input's own answer: of a call (perhaps `sleeping`), of createProcess (`{ pid }`), of interruptCall. */
  answer?: CallAnswer;
  pid?: number;
  /** Number of the terminal that was made. */
  tty?: number;
  /** Calls that ended during this input, the input's own included when it had a callId. */
  ended: EndedCall[];
  events: KernelEvent[];
  /** Kernel time after the input. */
  nowNs: Ns;
  /** The clock has not reached the input's `atNs`: feed `run` until `more` is false, then the input again. */
  deferred?: boolean;
  /** Work is left: feed `{ type: "run" }`. */
  more: boolean;
}

export type { Machine, MachineOptions };
