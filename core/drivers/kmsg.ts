/** /dev/kmsg: the kernel log, one record a read, and a door for users' lines (dev-kmsg of Documentation/ABI). */
import { EAGAIN, EFAULT, EINVAL, EPERM, EPIPE, ESPIPE } from "../abi/errno.ts";
import { POLLERR, POLLIN, POLLPRI, POLLRDNORM } from "../abi/epoll.ts";
import { O_ACCMODE, O_NONBLOCK, O_WRONLY, SEEK_DATA, SEEK_END, SEEK_SET } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { printk, type LogRecord } from "../sched/printk.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { fileOperations, type Addr, type OpenFile } from "../fs/file.ts";
import { bytesName, nameBytes } from "../fs/names.ts";
import { seqBytes } from "../fs/seq_file.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { mayReadLog } from "./syslog.ts";

/** LOG_LINE_MAX: a longer line is refused. */
const LINE_MAX = 1024 - 48;
const DEFAULT_LEVEL = 4;
const FACILITY_USER = 1;
/** printk_devkmsg=ratelimit: this many lines in this time, by open file. */
const BURST = 10;
const INTERVAL_NS = 5_000_000_000;
const WARNING = 4;

interface KmsgData {
  /** Sequence of the record that the next read gives. */
  sequence: number;
  /** When the present stretch of the rate limit began, lines let through in it, lines held back since the file was opened. */
  sinceNs: number;
  lines: number;
  missed: number;
}

const firstSequence = (k: Kernel): number => k.state.log.records[0]?.sequence ?? k.state.log.nextSequence;

/** The record with the lowest sequence from `sequence` on. */
function recordFrom(k: Kernel, sequence: number): LogRecord | undefined {
  const { records } = k.state.log;
  // Sequences have no holes: the place follows from the first one.
  return records[Math.max(0, sequence - firstSequence(k))];
}

/** `prio,seq,usec,-;text` with what is not printable as \xNN, and a newline. */
export function kmsgRecord({ facility, level, sequence, ns, text }: LogRecord): string {
  let escaped = "";
  for (const byte of seqBytes(text)) {
    const plain = byte >= 32 && byte < 127 && byte !== 92;
    escaped += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `${facility * 8 + level},${sequence},${Math.floor(ns / 1000)},-;${escaped}\n`;
}

function read(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number): SyscallResult {
  const data = file.data as KmsgData;
  const record = recordFrom(k, data.sequence);
  if (record === undefined) return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn(k.state.log.wait, { wchan: "devkmsg_read" });
  if (record.sequence !== data.sequence) {
    // The next one fell out of the ring.
    data.sequence = record.sequence;
    return -EPIPE;
  }
  data.sequence++;
  const bytes = nameBytes(kmsgRecord(record));
  if (bytes.length > count) return -EINVAL;
  return copyToUser(k, task, buf, bytes) === bytes.length ? bytes.length : -EFAULT;
}

/** Level and facility from `<N>` in front, and the rest of the line. */
function parseLine(line: string): { level: number; facility: number; text: string } {
  const prefix = /^<([0-9]{1,10})>/.exec(line);
  if (prefix === null) return { level: DEFAULT_LEVEL, facility: FACILITY_USER, text: line };
  const number = Number(prefix[1]) >>> 0;
  return { level: number & 7, facility: number >>> 3 || FACILITY_USER, text: line.slice(prefix[0].length) };
}

function letThrough(k: Kernel, data: KmsgData): boolean {
  if (now(k) - data.sinceNs > INTERVAL_NS) {
    data.sinceNs = now(k);
    data.lines = 0;
  }
  if (data.lines < BURST) data.lines++;
  else {
    data.missed++;
    return false;
  }
  return true;
}

function write(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number): number {
  if (count > LINE_MAX) return -EINVAL;
  const data = file.data as KmsgData;
  // As Linux: a line that the limit holds back counts as written, unread.
  if (!letThrough(k, data)) return count;
  const bytes = copyFromUser(k, task, buf, count);
  if (typeof bytes === "number") return bytes;
  const { level, facility, text } = parseLine(bytesName(bytes).split("\0")[0]);
  printk(k, level, text, facility);
  return count;
}

fileOperations("kmsg", {
  open: (k, task, file) => {
    if ((file.flags & O_ACCMODE) !== O_WRONLY && !mayReadLog(k, task)) return -EPERM;
    const data: KmsgData = { sequence: firstSequence(k), sinceNs: now(k), lines: 0, missed: 0 };
    file.data = data;
    return 0;
  },
  release: (k, task, file) => {
    const { missed } = file.data as KmsgData;
    if (missed > 0) printk(k, WARNING, `printk: ${task.comm}: ${missed} output lines suppressed due to ratelimiting`);
    return 0;
  },
  read,
  write,
  llseek: (k, _task, file, offset, whence) => {
    const data = file.data as KmsgData;
    if (offset !== 0) return -ESPIPE;
    switch (whence) {
      case SEEK_SET: data.sequence = firstSequence(k); return 0;
      // The first record after the last SYSLOG_ACTION_CLEAR.
      case SEEK_DATA: data.sequence = k.state.log.clearedBefore; return 0;
      case SEEK_END: data.sequence = k.state.log.nextSequence; return 0;
      default: return -EINVAL;
    }
  },
  poll: (k, _task, file) => {
    const { sequence } = file.data as KmsgData;
    const record = recordFrom(k, sequence);
    const gone = record !== undefined && record.sequence !== sequence ? POLLERR | POLLPRI : 0;
    return { mask: record === undefined ? 0 : POLLIN | POLLRDNORM | gone, queues: [k.state.log.wait] };
  },
});
