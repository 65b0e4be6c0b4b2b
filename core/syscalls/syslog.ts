/** syslog(2): reading and clearing the kernel log, and the console's level. */
import { EFAULT, EINVAL, EPERM } from "../abi/errno.ts";
import type { ChoiceTable } from "../abi/flags.ts";
import { mayReadLog, maySyslog, syslogRead, syslogTail, syslogUnread } from "../drivers/syslog.ts";
import { sysctlList, sysctlSet } from "../fs/proc/sysctl.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk, copyToUser, type Addr } from "../mm/usercopy.ts";
import { LOG_BYTES } from "../sched/printk.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { choice, int, outBuffer } from "./args.ts";
import type { Rows } from "./row.ts";

const SYSLOG_ACTION_CLOSE = 0;
const SYSLOG_ACTION_OPEN = 1;
const SYSLOG_ACTION_READ = 2;
const SYSLOG_ACTION_READ_ALL = 3;
const SYSLOG_ACTION_READ_CLEAR = 4;
const SYSLOG_ACTION_CLEAR = 5;
const SYSLOG_ACTION_CONSOLE_OFF = 6;
const SYSLOG_ACTION_CONSOLE_ON = 7;
const SYSLOG_ACTION_CONSOLE_LEVEL = 8;
const SYSLOG_ACTION_SIZE_UNREAD = 9;
const SYSLOG_ACTION_SIZE_BUFFER = 10;

const actions: ChoiceTable = {
  prefix: "SYSLOG_ACTION_",
  values: {
    SYSLOG_ACTION_CLOSE, SYSLOG_ACTION_OPEN, SYSLOG_ACTION_READ, SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_READ_CLEAR, SYSLOG_ACTION_CLEAR,
    SYSLOG_ACTION_CONSOLE_OFF, SYSLOG_ACTION_CONSOLE_ON, SYSLOG_ACTION_CONSOLE_LEVEL, SYSLOG_ACTION_SIZE_UNREAD, SYSLOG_ACTION_SIZE_BUFFER,
  },
};

/** /proc/sys/kernel/printk: console level, default level, lowest and default console level. */
const PRINTK = "kernel/printk";
const PRINTK_DEFAULTS = [7, 4, 1, 7];

function setConsoleLevel(k: Kernel, level: number): number {
  const levels = sysctlList(k, PRINTK, PRINTK_DEFAULTS);
  sysctlSet(k, PRINTK, [Math.max(level, levels[2]), ...levels.slice(1)]);
  return 0;
}

function readAll(k: Kernel, task: Task, buf: Addr, length: number, clear: boolean): number {
  if (buf === 0 || length < 0) return -EINVAL;
  if (length === 0) return 0;
  if (!accessOk(buf, length)) return -EFAULT;
  const bytes = syslogTail(k, length);
  if (copyToUser(k, task, buf, bytes) < bytes.length) return -EFAULT;
  if (clear) k.state.log.clearedBefore = k.state.log.nextSequence;
  return bytes.length;
}

/** Reading the whole log and its size are for everybody unless dmesg_restrict says no; the rest needs CAP_SYSLOG. */
function allowed(k: Kernel, task: Task, type: number): boolean {
  if (type === SYSLOG_ACTION_READ_ALL || type === SYSLOG_ACTION_SIZE_BUFFER) return mayReadLog(k, task);
  return maySyslog(task);
}

function sysSyslog(k: Kernel, task: Task, [type, buf, length]: [number, Addr, number]): SyscallResult {
  if (!allowed(k, task, type)) return -EPERM;
  switch (type) {
    case SYSLOG_ACTION_CLOSE: case SYSLOG_ACTION_OPEN: return 0;
    case SYSLOG_ACTION_READ: return syslogRead(k, task, buf, length);
    case SYSLOG_ACTION_READ_ALL: return readAll(k, task, buf, length, false);
    case SYSLOG_ACTION_READ_CLEAR: return readAll(k, task, buf, length, true);
    case SYSLOG_ACTION_CLEAR:
      k.state.log.clearedBefore = k.state.log.nextSequence;
      return 0;
    case SYSLOG_ACTION_CONSOLE_OFF: return setConsoleLevel(k, sysctlList(k, PRINTK, PRINTK_DEFAULTS)[2]);
    case SYSLOG_ACTION_CONSOLE_ON: return setConsoleLevel(k, sysctlList(k, PRINTK, PRINTK_DEFAULTS)[3]);
    case SYSLOG_ACTION_CONSOLE_LEVEL: return length < 1 || length > 8 ? -EINVAL : setConsoleLevel(k, length);
    case SYSLOG_ACTION_SIZE_UNREAD: return syslogUnread(k);
    case SYSLOG_ACTION_SIZE_BUFFER: return LOG_BYTES;
    default: return -EINVAL;
  }
}

export const syslogRows: Rows = {
  syslog: { x86_64: 103, args: [choice("type", actions), outBuffer("bufp", "len"), int("len")], run: sysSyslog },
};
