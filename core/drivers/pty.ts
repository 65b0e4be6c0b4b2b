/** Pseudoterminals: /dev/ptmx, /dev/pts/N and /dev/tty (pty(7), drivers/tty/pty.c, ioctl_tty(2)). */
import { EAGAIN, EFAULT, EINVAL, EIO, ENOSPC, ENOTTY, ENXIO, EPERM, ERESTARTSYS } from "../abi/errno.ts";
import { MAJOR, MINOR, MKDEV } from "../abi/dev_t.ts";
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../abi/epoll.ts";
import { O_NOCTTY, O_NONBLOCK } from "../abi/fcntl.ts";
import {
  TCFLSH, TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ, FIONREAD,
} from "../abi/ioctl.ts";
import { SIGCONT, SIGHUP, SIGTTIN, SIGWINCH } from "../abi/signal.ts";
import { S_IFCHR, S_IFDIR } from "../abi/stat.ts";
import { fileOperations, type Addr, type FileOperations, type OpenFile } from "../fs/file.ts";
import { fileSystemType } from "../fs/fs_type.ts";
import { inodeOf } from "../fs/inode.ts";
import { bytesName, nameBytes } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, getU16, getU32, putU16, putU32 } from "../lib/bytes.ts";
import { newlinesOf } from "../lib/string.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { groupsOfPgrp } from "../process/pid.ts";
import { charge, costs } from "../sched/cost.ts";
import { sendSignal } from "../sched/signal.ts";
import type { SyscallResult } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { newWaitQueue, sleepOn, wake } from "../sched/wait_queue.ts";
import { cooked, freshTermios, hasInput, isCanonical, receive, takeInput, VMIN } from "./n_tty.ts";
import type { Pty } from "./tty_state.ts";

/** Terminals of a kernel; /proc/sys/kernel/pty/max is 4096. */
export const PTY_MAX = 256;
const SLAVE_MAJOR = 136;
/** What waits for a reader of the master. */
const OUTPUT_MAX = 4096;
/** What the service keeps of what was printed. */
const SCREEN_MAX = 256 << 10;
const ENDED_MAX = 8;
const TERMIOS_SIZE = 36;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCOUTQ = 0x5411;

function ptys(k: Kernel): Map<number, Pty> {
  return k.state.drivers.ptys;
}

interface NewPty {
  uid: number;
  gid: number;
  service: boolean;
  member?: string;
  rows?: number;
  columns?: number;
}

/** Makes a terminal; -ENOSPC when there are too many. */
export function newPty(k: Kernel, { uid, gid, service, member = "", rows = 24, columns = 80 }: NewPty): Pty | number {
  let number = 0;
  while (ptys(k).has(number)) number++;
  if (number >= PTY_MAX) return -ENOSPC;
  const pty: Pty = {
    number, masters: 1, slaves: 0, service, member, termios: freshTermios(), rows, columns, session: 0, pgrp: 0, uid, gid, input: "", lines: [], edited: "",
    output: "", screen: "", dropped: 0, hungUp: false, readWait: newWaitQueue(k), writeWait: newWaitQueue(k),
  };
  ptys(k).set(number, pty);
  return pty;
}

/** Names a terminal for good: its number is given again, the number of its wait queue never. */
export function terminalId({ readWait }: Pty): number {
  return readWait;
}

export function ptyOf(k: Kernel, number: number): Pty | null {
  return ptys(k).get(number) ?? null;
}

function wakeAll(k: Kernel, pty: Pty): void {
  wake(k, pty.readWait, { nr: Infinity });
  wake(k, pty.writeWait, { nr: Infinity });
}

/**
 * Prints on a terminal: a write, or the echo of what is typed. One of the service shows its lines by itself, and who prints waits for that, as
 * on a virtual console; the others leave it to the reader of their master.
 */
function print(k: Kernel, pty: Pty, text: string): void {
  const bytes = cooked(pty, text);
  charge(k, costs(k).ttyWriteNs);
  if (!pty.service) pty.output += bytes;
  else {
    charge(k, newlinesOf(text) * costs(k).consoleNs);
    pty.screen += bytes;
    const over = pty.screen.length - SCREEN_MAX;
    if (over > 0) {
      pty.screen = pty.screen.slice(over);
      pty.dropped += over;
    }
  }
  wake(k, pty.writeWait, { nr: Infinity });
}

function signalGroup(k: Kernel, pgid: number, signal: number): void {
  if (pgid === 0) return;
  for (const { tgid } of groupsOfPgrp(k, pgid)) sendSignal(k, tgid, signal, { pid: 0, uid: 0 });
}

/** Somebody types. */
export function typeOn(k: Kernel, pty: Pty, bytes: string): void {
  const { echo, signals } = receive(pty, bytes);
  // As n_tty: where nobody reads the output, there is no echo.
  if (echo !== "" && (pty.service || pty.output.length < OUTPUT_MAX)) print(k, pty, echo);
  for (const signal of signals) signalGroup(k, pty.pgrp, signal);
  wake(k, pty.readWait, { nr: Infinity });
}

export function resize(k: Kernel, pty: Pty, rows: number, columns: number): void {
  if (pty.rows === rows && pty.columns === columns) return;
  [pty.rows, pty.columns] = [rows, columns];
  signalGroup(k, pty.pgrp, SIGWINCH);
}

/** The master is gone: the session is told, readers find the end. */
export function hangUp(k: Kernel, pty: Pty): void {
  pty.hungUp = true;
  if (pty.session !== 0 && k.state.sched.groups.has(pty.session)) {
    sendSignal(k, pty.session, SIGHUP, { pid: 0, uid: 0 });
    sendSignal(k, pty.session, SIGCONT, { pid: 0, uid: 0 });
  }
  signalGroup(k, pty.pgrp, SIGHUP);
  wakeAll(k, pty);
  forget(k, pty);
}

function forget(k: Kernel, pty: Pty): void {
  if (pty.masters !== 0 || pty.slaves !== 0) return;
  ptys(k).delete(pty.number);
  if (!pty.service) return;
  const { endedTerminals } = k.state.drivers;
  endedTerminals.push({ id: terminalId(pty), screen: pty.screen, dropped: pty.dropped });
  if (endedTerminals.length > ENDED_MAX) endedTerminals.shift();
}

/** The terminal that controls a task's session. */
export function controlling(k: Kernel, task: Task): Pty | null {
  const { sid } = groupOf(k, task);
  for (const pty of ptys(k).values()) if (pty.session === sid && !pty.hungUp) return pty;
  return null;
}

function take(k: Kernel, task: Task, pty: Pty): number {
  const group = groupOf(k, task);
  if (group.sid !== group.tgid) return -EPERM;
  const other = controlling(k, task);
  if (other === pty) return 0;
  if (other !== null || pty.session !== 0) return -EPERM;
  [pty.session, pty.pgrp] = [group.sid, group.pgid];
  return 0;
}

function waits(file: OpenFile, queue: number): SyscallResult {
  return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn(queue, { wchan: "n_tty_read" });
}

function give(k: Kernel, task: Task, buf: Addr, text: string): number {
  return text === "" ? 0 : copyToUser(k, task, buf, nameBytes(text));
}

// The slave.

/** A member of a background group that reads is stopped (tty_check_change); 0 when it may go on. */
function mayRead(k: Kernel, task: Task, pty: Pty): number {
  const group = groupOf(k, task);
  if (pty.session !== group.sid || pty.pgrp === 0 || pty.pgrp === group.pgid) return 0;
  signalGroup(k, group.pgid, SIGTTIN);
  return task.signalPending ? -ERESTARTSYS : -EIO;
}

function slaveIoctl(k: Kernel, task: Task, pty: Pty, request: number, arg: Addr): SyscallResult {
  const put = (bytes: Uint8Array): number => (copyToUser(k, task, arg, bytes) < bytes.length ? -EFAULT : 0);
  const put32 = (value: number): number => {
    const bytes = new Uint8Array(4);
    putU32(bytes, 0, value);
    return put(bytes);
  };
  switch (request) {
    case TCGETS: return put(encodeTermios(pty));
    case TCSETS: case TCSETSW: case TCSETSF: {
      const bytes = copyFromUser(k, task, arg, TERMIOS_SIZE);
      if (typeof bytes === "number") return -EFAULT;
      decodeTermios(pty, bytes);
      if (request === TCSETSF) flushInput(pty);
      wakeAll(k, pty);
      return 0;
    }
    case TIOCGWINSZ: {
      const bytes = new Uint8Array(8);
      putU16(bytes, 0, pty.rows);
      putU16(bytes, 2, pty.columns);
      return put(bytes);
    }
    case TIOCSWINSZ: {
      const bytes = copyFromUser(k, task, arg, 8);
      if (typeof bytes === "number") return -EFAULT;
      resize(k, pty, getU16(bytes, 0), getU16(bytes, 2));
      return 0;
    }
    case TIOCGPGRP: return controlling(k, task) === pty ? put32(pty.pgrp) : -ENOTTY;
    case TIOCGSID: return controlling(k, task) === pty ? put32(pty.session) : -ENOTTY;
    case TIOCSPGRP: {
      const bytes = copyFromUser(k, task, arg, 4);
      if (typeof bytes === "number") return -EFAULT;
      if (controlling(k, task) !== pty) return -ENOTTY;
      const pgid = getI32(bytes, 0);
      if (pgid < 0) return -EINVAL;
      if (!groupsOfPgrp(k, pgid).some(({ sid }) => sid === pty.session)) return -EPERM;
      pty.pgrp = pgid;
      return 0;
    }
    case TIOCSCTTY: return take(k, task, pty);
    case TIOCNOTTY:
      if (controlling(k, task) !== pty) return -ENOTTY;
      if (groupOf(k, task).tgid === pty.session) {
        signalGroup(k, pty.pgrp, SIGHUP);
        [pty.session, pty.pgrp] = [0, 0];
      }
      return 0;
    case FIONREAD: return put32(isCanonical(pty) ? (pty.lines[0] ?? 0) : pty.input.length);
    case TIOCOUTQ: return put32(pty.output.length);
    case TCFLSH:
      flushInput(pty);
      return 0;
    default: return -ENOTTY;
  }
}

function flushInput(pty: Pty): void {
  pty.input = "";
  pty.lines = [];
  pty.edited = "";
}

function encodeTermios({ termios: { iflag, oflag, cflag, lflag, cc } }: Pty): Uint8Array {
  const bytes = new Uint8Array(TERMIOS_SIZE);
  [iflag, oflag, cflag, lflag].forEach((flags, at) => { putU32(bytes, at * 4, flags); });
  bytes.set(cc, 17);
  return bytes;
}

function decodeTermios(pty: Pty, bytes: Uint8Array): void {
  pty.termios = {
    iflag: getU32(bytes, 0), oflag: getU32(bytes, 4), cflag: getU32(bytes, 8), lflag: getU32(bytes, 12), cc: [...bytes.subarray(17, TERMIOS_SIZE)],
  };
}

/** The terminal behind an open slave, which is there as long as the file is. */
function terminal(k: Kernel, file: OpenFile): Pty | null {
  return ptyOf(k, file.private);
}

const slave: FileOperations = {
  open: (k, task, file) => {
    const { rdev } = inodeOf(k, file.inode);
    const pty = MAJOR(rdev) === SLAVE_MAJOR ? ptyOf(k, MINOR(rdev)) : controlling(k, task);
    if (pty === null) return MAJOR(rdev) === SLAVE_MAJOR ? -EIO : -ENXIO;
    if (pty.hungUp) return -EIO;
    file.private = pty.number;
    pty.slaves++;
    const group = groupOf(k, task);
    if ((file.flags & O_NOCTTY) === 0 && group.sid === group.tgid && pty.session === 0 && controlling(k, task) === null) take(k, task, pty);
    return 0;
  },
  release: (k, _task, file) => {
    const pty = terminal(k, file);
    if (pty === null) return 0;
    pty.slaves--;
    wakeAll(k, pty);
    // The service's side goes with the last program on it.
    if (pty.service && pty.slaves === 0) pty.hungUp = true;
    forget(k, pty);
    return 0;
  },
  read: (k, task, file, buf, count) => {
    const pty = terminal(k, file);
    if (pty === null || count === 0) return 0;
    const refused = mayRead(k, task, pty);
    if (refused !== 0) return refused;
    const text = takeInput(pty, count);
    if (text !== null) return give(k, task, buf, text);
    if (pty.hungUp) return 0;
    return !isCanonical(pty) && pty.termios.cc[VMIN] === 0 ? 0 : waits(file, pty.readWait);
  },
  write: (k, task, file, buf, count) => {
    const pty = terminal(k, file);
    if (pty === null || pty.hungUp) return -EIO;
    if (!pty.service && pty.output.length >= OUTPUT_MAX) return waits(file, pty.writeWait);
    const bytes = copyFromUser(k, task, buf, Math.min(count, OUTPUT_MAX));
    if (typeof bytes === "number") return -EFAULT;
    print(k, pty, bytesName(bytes));
    return bytes.length;
  },
  ioctl: (k, task, file, request, arg) => {
    const pty = terminal(k, file);
    return pty === null ? -EIO : slaveIoctl(k, task, pty, request, arg);
  },
  poll: (k, _task, file) => {
    const pty = terminal(k, file);
    if (pty === null) return { mask: POLLHUP, queues: [] };
    const room = pty.service || pty.output.length < OUTPUT_MAX;
    const mask = (hasInput(pty) || pty.hungUp ? POLLIN | POLLRDNORM : 0) | (room ? POLLOUT | POLLWRNORM : 0) | (pty.hungUp ? POLLHUP : 0);
    return { mask, queues: [pty.readWait, pty.writeWait] };
  },
};
fileOperations("pts", slave);
/** /dev/tty opens the terminal of the session; without one there is no such device. */
fileOperations("tty", slave);

// The master.

fileOperations("ptmx", {
  open: (k, task, file) => {
    const { fsuid, fsgid } = task.cred;
    const pty = newPty(k, { uid: fsuid, gid: fsgid, service: false });
    if (typeof pty === "number") return pty;
    file.private = pty.number;
    return 0;
  },
  release: (k, _task, file) => {
    const pty = terminal(k, file);
    if (pty === null) return 0;
    pty.masters--;
    hangUp(k, pty);
    return 0;
  },
  read: (k, task, file, buf, count) => {
    const pty = terminal(k, file);
    if (pty === null || count === 0) return 0;
    if (pty.output === "") return pty.slaves === 0 && pty.session !== 0 ? -EIO : waits(file, pty.writeWait);
    const text = pty.output.slice(0, count);
    const copied = give(k, task, buf, text);
    if (copied > 0) {
      pty.output = pty.output.slice(copied);
      wake(k, pty.writeWait, { nr: Infinity });
    }
    return copied;
  },
  write: (k, task, file, buf, count) => {
    const pty = terminal(k, file);
    if (pty === null) return -EIO;
    const bytes = copyFromUser(k, task, buf, Math.min(count, OUTPUT_MAX));
    if (typeof bytes === "number") return -EFAULT;
    typeOn(k, pty, bytesName(bytes));
    return bytes.length;
  },
  ioctl: (k, task, file, request, arg) => {
    const pty = terminal(k, file);
    if (pty === null) return -EIO;
    if (request >>> 0 === TIOCSPTLCK) return 0;
    if (request >>> 0 !== TIOCGPTN) return slaveIoctl(k, task, pty, request, arg);
    const bytes = new Uint8Array(4);
    putU32(bytes, 0, pty.number);
    return copyToUser(k, task, arg, bytes) < 4 ? -EFAULT : 0;
  },
  poll: (k, _task, file) => {
    const pty = terminal(k, file);
    if (pty === null) return { mask: POLLHUP, queues: [] };
    const mask = (pty.output !== "" ? POLLIN | POLLRDNORM : 0) | POLLOUT | POLLWRNORM | (pty.slaves === 0 && pty.session !== 0 ? POLLHUP : 0);
    return { mask, queues: [pty.writeWait] };
  },
});

// /dev/pts

const MAGIC = 0x1cd1;
const ROOT_INO = 1;
const FIRST_INO = 3;

fileSystemType({
  name: "devpts",
  magic: MAGIC,
  attributes: true,
  inode: (k, key) => {
    if (key === "") return { ino: ROOT_INO, mode: S_IFDIR | 0o755, uid: 0, gid: 0, nlink: 2, size: 0, ops: "", rdev: 0 };
    const pty = /^[0-9]{1,4}$/.test(key) ? ptyOf(k, Number(key)) : null;
    if (pty === null) return null;
    return { ino: pty.number + FIRST_INO, mode: S_IFCHR | 0o620, uid: pty.uid, gid: pty.gid, nlink: 1, size: 0, ops: "chrdev", rdev: MKDEV(SLAVE_MAJOR, pty.number) };
  },
  list: (k, key) => (key !== "" ? null : [...ptys(k).keys()].sort((a, b) => a - b).map((number) => ({ name: String(number), ino: number + FIRST_INO, mode: S_IFCHR }))),
  readlink: () => -EINVAL,
  view: () => -EINVAL,
});
