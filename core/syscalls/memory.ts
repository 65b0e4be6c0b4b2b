/** A process's own loads and stores as calls of their own: what user instructions do, told with the fault that ends them. */
import { EFAULT } from "../abi/errno.ts";
import { siCodes } from "../abi/siginfo.ts";
import { signalName } from "../abi/signal.ts";
import { formatChoice, type ChoiceTable } from "../abi/flags.ts";
import type { Kernel } from "../kernel.ts";
import { loadUser, storeUser } from "../mm/access.ts";
import type { BadAccess } from "../mm/fault.ts";
import { copyFromUser, writeUser } from "../mm/usercopy.ts";
import { forceSignal } from "../sched/signal.ts";
import type { Task } from "../sched/task.ts";
import { addr, choice, inBuffer, outBuffer, shownIf, size } from "./args.ts";
import { RAW_BUFFER_LIMIT } from "./json.ts";
import type { Rows } from "./row.ts";

type Word = number | bigint;

const ON_FAULT: ChoiceTable = { prefix: "ON_FAULT_", values: { signal: 0, report: 1 } };

/** Notes the fault for the answer, and delivers its signal unless the caller only wants to be told. */
function faulted(k: Kernel, task: Task, { signal, siCode, addr: at }: BadAccess, stored: number, onFault: number): number {
  task.fault = { signal: signalName(signal), siCode: formatChoice(siCodes(signal), siCode), addr: at, stored };
  if (task.onFault === "signal" && onFault !== ON_FAULT.values.report) forceSignal(k, task, signal, { code: siCode, addr: at });
  return -EFAULT;
}

function count(length: Word): number {
  return typeof length === "bigint" ? RAW_BUFFER_LIMIT : Math.min(length, RAW_BUFFER_LIMIT);
}

function load(k: Kernel, task: Task, [at, length, buf, onFault]: [Word, Word, Word, number]): number {
  const { bytes, fault } = loadUser(k, task, at, count(length));
  if (fault !== null) return faulted(k, task, fault, -1, onFault);
  if (typeof buf === "number" && buf !== 0) writeUser(k, task, buf, bytes);
  return bytes.length;
}

function store(k: Kernel, task: Task, [at, buf, length, onFault]: [Word, Word, Word, number]): number {
  const bytes = copyFromUser(k, task, buf, count(length));
  if (typeof bytes === "number") return bytes;
  const { done, fault } = storeUser(k, task, at, bytes);
  return fault === null ? done : faulted(k, task, fault, done, onFault);
}

const onFault = shownIf(choice("onFault", ON_FAULT), (view) => view.reg("onFault") !== 0);

/** Pseudo calls: their numbers are not Linux's. */
export const memoryRows: Rows = {
  load: { x86_64: 1001, args: [addr("addr"), size("length"), outBuffer("buf", "length"), onFault], run: load },
  store: { x86_64: 1002, args: [addr("addr"), inBuffer("buf", "length"), size("length", "buf"), onFault], run: store },
};
