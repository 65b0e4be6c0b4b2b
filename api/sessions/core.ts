/** The core as the service uses it: every import of it goes through here. */
export {
  COMMAND_LIMITS, CORE_VERSION, DEFAULT_MACHINE, MACHINE_LIMITS,
  boot, callRecord, clockView, dmesgText, errnoMessage, errnoName, errnoNumber, handle, knowsCall, logRecords, lsmod, memberOf, modinfo,
  moduleCatalogue, moduleList, moduleView, nextTimerNs, prepare, processList, processView, readMemory, reseed, restore, signalNumber, snapshot,
  syscallCatalogue, terminalScreen, terminalView, traceLines, view,
} from "../../core/index.ts";
export type {
  ArgumentView, BootInput, CallAnswer, CallRequest, ClockView, EndedCall, Input, Json, Kernel, KernelEvent, Machine, MachineOptions,
  Output, ProcessView, Refusal, SyscallView, TerminalView,
} from "../../core/index.ts";

/** One record of the kernel log. */
export type LogRecord = ReturnType<typeof import("../../core/index.ts").logRecords>[number];

/** Names of the cost profiles that a machine may have. */
export const PROFILES: string[] = ["default"];
