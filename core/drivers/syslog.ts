/** The log as syslog(2) and /proc/kmsg give it: lines with `<level>[time]` in front, read once or whole. */
import { EAGAIN, EFAULT, EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_SYSLOG, CAP_SYS_ADMIN } from "../abi/capability.ts";
import { POLLIN, POLLRDNORM } from "../abi/epoll.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { logTime } from "../lib/format.ts";
import { concatBytes } from "../lib/bytes.ts";
import { capable } from "../sched/cred.ts";
import type { LogRecord } from "../sched/printk.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { fileOperations, type Addr } from "../fs/file.ts";
import { seqBytes } from "../fs/seq_file.ts";
import { procFile } from "../fs/proc/registry.ts";
import { sysctlValue } from "../fs/proc/sysctl.ts";
import { accessOk, copyToUser } from "../mm/usercopy.ts";

/** CAP_SYSLOG, or the older CAP_SYS_ADMIN. */
export function maySyslog(task: Task): boolean {
  return capable(task, CAP_SYSLOG) || capable(task, CAP_SYS_ADMIN);
}

/** Whether the whole log may be read: dmesg_restrict leaves it to CAP_SYSLOG. */
export function mayReadLog(k: Kernel, task: Task): boolean {
  return sysctlValue(k, "kernel/dmesg_restrict") === 0 || maySyslog(task);
}

/** A record as lines, each with the same prefix; newline at the end of each. */
function recordBytes({ facility, level, ns, text }: LogRecord): Uint8Array {
  const prefix = `<${facility * 8 + level}>[${logTime(ns)}] `;
  return seqBytes(text.split("\n").map((line) => `${prefix}${line}\n`).join(""));
}

/** The newest records since the last clear that fit `size` bytes together. */
export function syslogTail(k: Kernel, size: number): Uint8Array {
  const { records, clearedBefore } = k.state.log;
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let at = records.length - 1; at >= 0 && records[at].sequence >= clearedBefore; at--) {
    const bytes = recordBytes(records[at]);
    total += bytes.length;
    if (total > size) break;
    parts.unshift(bytes);
  }
  return concatBytes(...parts);
}

/** Bytes of the log that SYSLOG_ACTION_READ has not given yet. */
export function syslogUnread(k: Kernel): number {
  const { syslogSequence, syslogOffset } = k.state.drivers;
  let total = -syslogOffset;
  for (const record of k.state.log.records) if (record.sequence >= syslogSequence) total += recordBytes(record).length;
  return Math.max(0, total);
}

/** What is new since the last such read, by whomever: sleeps while there is nothing. -EINVAL, -EFAULT (syslog_print). */
export function syslogRead(k: Kernel, task: Task, buf: Addr, size: number, nonblock = false): SyscallResult {
  if (buf === 0 || size < 0) return -EINVAL;
  if (size === 0) return 0;
  if (!accessOk(buf, size)) return -EFAULT;
  const { drivers, log } = k.state;
  if (drivers.syslogSequence >= log.nextSequence) return nonblock ? -EAGAIN : sleepOn(log.wait, { wchan: "syslog_print" });
  let sequence = drivers.syslogSequence;
  let offset = drivers.syslogOffset;
  const parts: Uint8Array[] = [];
  let left = size;
  for (const record of log.records) {
    if (record.sequence < sequence || left === 0) continue;
    if (record.sequence > sequence) offset = 0;
    const bytes = recordBytes(record).subarray(offset);
    // As Linux: a record is cut only when nothing else came before it.
    if (bytes.length > left && parts.length > 0) break;
    const part = bytes.subarray(0, left);
    parts.push(part);
    left -= part.length;
    sequence = part.length < bytes.length ? record.sequence : record.sequence + 1;
    offset = part.length < bytes.length ? offset + part.length : 0;
  }
  const copied = copyToUser(k, task, buf, concatBytes(...parts));
  if (copied < size - left) return -EFAULT;
  drivers.syslogSequence = sequence;
  drivers.syslogOffset = offset;
  return copied;
}

fileOperations("proc.kmsg", {
  open: (_k, task) => (maySyslog(task) ? 0 : -EPERM),
  read: (k, task, file, buf, count) => syslogRead(k, task, buf, count, (file.flags & O_NONBLOCK) !== 0),
  poll: (k) => ({ mask: k.state.drivers.syslogSequence < k.state.log.nextSequence ? POLLIN | POLLRDNORM : 0, queues: [k.state.log.wait] }),
});
procFile("kmsg", () => -EINVAL, { mode: 0o400, ops: "proc.kmsg" });
