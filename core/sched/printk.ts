/** The kernel log: records with level, time and sequence in a ring bounded in bytes (printk). */
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "./cost.ts";
import { now } from "../time/clock.ts";

export interface LogRecord {
  sequence: number;
  /** ns since boot. */
  ns: number;
  /** 0 emergency … 7 debug. */
  level: number;
  /** 0 kernel, 1 user (written to /dev/kmsg). */
  facility: number;
  text: string;
}

export interface LogState {
  records: LogRecord[];
  /** Sum of the text lengths in `records`. */
  bytes: number;
  nextSequence: number;
  /** Records up to this sequence are hidden from dmesg (dmesg --clear). */
  clearedBefore: number;
  /** Wait queue of readers of /dev/kmsg. */
  wait: number;
}

/** As CONFIG_LOG_BUF_SHIFT=17 of the recorded kernel. */
export const LOG_BYTES = 1 << 17;
/** LOG_LINE_MAX: longer texts are cut. */
const LINE_MAX = 1024 - 48;
/** CONSOLE_LOGLEVEL_DEFAULT */
const CONSOLE_LEVEL = 7;

export function logInit(wait: number): LogState {
  return { records: [], bytes: 0, nextSequence: 0, clearedBefore: 0, wait };
}

/** The console shows lines of a level below this one (console_loglevel); kernel.printk's first number is written with dmesg -n. */
function consoleLevel(k: Kernel): number {
  const written = k.state.drivers.sysctl.get("kernel/printk");
  return written === undefined ? CONSOLE_LEVEL : Number.parseInt(written, 10);
}

/** Appends a record; the oldest ones fall out of a full ring. A final newline is dropped. */
export function printk(k: Kernel, level: number, text: string, facility = 0): void {
  charge(k, costs(k).printkNs);
  if (level < consoleLevel(k)) charge(k, costs(k).consoleNs);
  const { log } = k.state;
  const line = (text.endsWith("\n") ? text.slice(0, -1) : text).slice(0, LINE_MAX);
  log.records.push({ sequence: log.nextSequence++, ns: now(k), level, facility, text: line });
  log.bytes += line.length;
  // One at a time, which moves nothing: a full ring loses about one line for each that comes.
  while (log.bytes > LOG_BYTES) log.bytes -= log.records.shift()?.text.length ?? 0;
  if (k.state.sched.waitQueues.has(log.wait)) k.turn.logged = true;
}
