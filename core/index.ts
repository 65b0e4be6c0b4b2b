/** The kernel as the service sees it: boot, one door, pure looks, snapshots. */
import { beginBenchmark, continueBenchmark } from "./benchmarks/catalogue.ts";
import type { BenchmarkParams, BenchmarkRun, BenchmarkStep } from "./benchmarks/types.ts";
import { boot } from "./boot.ts";
import { handle } from "./handle.ts";
import type { MachineOptions } from "./machine.ts";
import type { CallRequest, Input, Json, Refusal } from "./input.ts";
import type { Kernel } from "./kernel.ts";
import type { KernelState } from "./state.ts";
import { migrate } from "./migrate.ts";
import { decodeState, encodeState, snapshotFormat } from "./snapshot.ts";
import { decodeCall, invalid } from "./syscalls/decode.ts";
import type { Problem } from "./syscalls/json.ts";
import { syscallCatalogue as catalogue, type SyscallView } from "./read.ts";
import { checkProgram } from "./programs/program.ts";
import { tables } from "./tables.ts";
import { freshTurn } from "./turn.ts";

export { benchmarkKinds } from "./benchmarks/catalogue.ts";
export type { BenchmarkKind, BenchmarkRow, BenchmarkRun, BenchmarkStep } from "./benchmarks/types.ts";
export { boot } from "./boot.ts";
export { handle, nextTimerNs, DEFAULT_BUDGET } from "./handle.ts";
export { view } from "./view.ts";
export {
  callRecord, clockView, logRecords, memberOf, processList, processView, readMemory, traceLines,
  type ArgumentView, type ClockView, type ProcessView, type SyscallView,
} from "./read.ts";
export { moduleCatalogue, moduleList, moduleView, modinfo, lsmod } from "./module/views.ts";
export { dmesgText, dmesgLine } from "./drivers/dmesg.ts";
export { SNAPSHOT_FORMAT } from "./snapshot.ts";
export { MACHINE_LIMITS, DEFAULT_MACHINE } from "./machine.ts";
export { terminalScreen, terminalView, type TerminalView } from "./programs/terminal.ts";
export { COMMAND_LIMITS } from "./programs/command.ts";
export { errnoMessage, errnoName, errnoNumber } from "./abi/errno.ts";
export { signalName, signalNumber } from "./abi/signal.ts";
export type * from "./input.ts";
export type { Kernel } from "./kernel.ts";

/** Changes with every change of behaviour that a journal would notice. */
export const CORE_VERSION = "0.3.0";

/** The whole state as canonical bytes. */
export function snapshot(k: Kernel): Uint8Array {
  return encodeState(k.state);
}

/** A kernel from such bytes, or from an older program's; throws when they are of no format that this one reads. */
export function restore(bytes: Uint8Array): Kernel {
  return { state: migrate(decodeState(bytes) as KernelState, snapshotFormat(bytes)), tables, turn: freshTurn(0) };
}

/** Another run of random numbers for a forked kernel. */
export { reseed } from "./sched/random.ts";

/** Whether the table knows the call, by name or number. */
export function knowsCall(call: string | number): boolean {
  return typeof call === "number" || tables.syscallNames.has(call) || tables.unimplemented.has(call);
}

/** What is wrong with an input's arguments, found without touching a kernel; null when nothing is. */
export function prepare(input: Input): Refusal | null {
  if (input.type === "program") {
    const wrong = checkProgram(input.program, input.args);
    return wrong === null ? null : { refused: "invalid", detail: wrong };
  }
  if (input.type === "syscall") return prepareCalls([request(input.call, input.args)], () => "/args");
  if (input.type === "batch") return prepareCalls(input.calls, (at) => `/calls/${at}/args`);
  return null;
}

function request(call: string | number, args: Json | undefined): CallRequest {
  return args === undefined ? { call } : { call, args };
}

function prepareCalls(calls: CallRequest[], path: (at: number) => string): Refusal | null {
  const problems: Problem[] = [];
  for (const [at, call] of calls.entries()) {
    if (decodeCall(tables, call, path(at), problems) === null) {
      return { refused: "no-call", detail: `no system call is named ${String(call.call)}` };
    }
    if (problems.length > 20) break;
  }
  return problems.length === 0 ? null : invalid(problems);
}

/** Every system call with its typed arguments. */
export function syscallCatalogue(): SyscallView[] {
  return catalogue(tables);
}

/** A benchmark on fresh kernels of its own; `round` goes into their seed. */
export function startBenchmark(kind: string, params: BenchmarkParams, machine: MachineOptions, round: number): BenchmarkRun {
  return beginBenchmark(kind, params, machine, round);
}

/** Goes on with a benchmark for about `budget` steps of the emulator. */
export function stepBenchmark(run: BenchmarkRun, budget: number): BenchmarkStep {
  return continueBenchmark({ boot, handle }, run, budget);
}
