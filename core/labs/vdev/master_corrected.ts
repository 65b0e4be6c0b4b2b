/** master_device as it should be: bounds, real errnos, a connection an open file, nothing left behind. */
import { EAGAIN, EFAULT, EINVAL, EISCONN, ENOTTY } from "../../abi/errno.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../abi/socket.ts";
import { debugfsCreateFile, debugfsRemove } from "../../fs/debugfs/debugfs.ts";
import { fileOf, fileOperations, type OpenFile } from "../../fs/file.ts";
import { MISC_DYNAMIC_MINOR, miscDeregister, miscRegister } from "../../fs/misc.ts";
import type { Kernel } from "../../kernel.ts";
import { assert } from "../../lib/assert.ts";
import { borrowFromUser, copyFromUserPartial, type Addr } from "../../mm/usercopy.ts";
import type { Module } from "../../module/state.ts";
import { kernelSend, kernelSendmsg, sendNow } from "../../net/ksocket.ts";
import { socketOf } from "../../net/socket.ts";
import { printk } from "../../sched/printk.ts";
import { enter, steps, to, type SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import {
  bufferOf, checkedDescriptor, closeBuffer, connectionOf, DEFAULT_PORT, dropConnection, ERR, fasyncOfConnection, freshStatics, INFO,
  IOCTL_CREATESOCK, IOCTL_DESCRIPTOR, IOCTL_EXIT, IOCTL_MMAP, keepConnection, MAP_SIZE, mapBuffer, openBuffer, opened, statics, waitFlags,
} from "./device.ts";
import { kaccept, kbind, kclose, klisten, ksocket, peerText, pointerText } from "./ksocket.ts";

const MODULE = "master_device";
const OPS = "vdev.master.corrected";
const DEBUG = "debug_master";
const BACKLOG = 20;

/** CREATESOCK: waits for a slave. A signal leaves everything as it was. */
const accept = steps<{ file: number }>("vdev.master.accept", {
  wait: (k, _task, { locals }) => {
    const file = fileOf(k, locals.file);
    if (opened(file).connection !== 0) return -EISCONN;
    return kaccept(k, statics(k, MODULE).listener, file.flags);
  },
  accepted: (k, _task, { locals, ret }) => {
    if (ret < 0) return ret;
    const socket = Number(ret);
    keepConnection(k, fileOf(k, locals.file), socket);
    printk(k, INFO, `[master] accept socket from client: ${pointerText(k, socket)}`);
    printk(k, INFO, `[master] new connection from ${peerText(k, socket, ":")}`);
    return 0;
  },
});

/** What is left of a write that found no room, or is longer than a page. */
interface WriteLocals {
  socket: number;
  flags: number;
  buf: Addr;
  count: number;
  done: number;
  /** Bytes that are being sent. */
  piece: number;
}

const writeRest = steps<WriteLocals>("vdev.master.write", {
  send: (k, task, { locals }) => {
    const { socket, flags, buf, count, done } = locals;
    if (done === count) return done;
    const from = typeof buf === "number" ? buf + done : buf + BigInt(done);
    const bytes = copyFromUserPartial(k, task, from, Math.min(count - done, MAP_SIZE));
    if (bytes.length === 0) return done > 0 ? done : -EFAULT;
    locals.piece = bytes.length;
    return enter(kernelSendmsg, kernelSend(k, socket, bytes, flags));
  },
  sent: (_k, _task, { locals, ret }) => {
    if (ret < 0) return locals.done > 0 ? locals.done : ret;
    locals.done += Number(ret);
    // Fewer than were given: a signal or O_NONBLOCK ended it.
    return Number(ret) < locals.piece ? locals.done : to("send");
  },
});

/** Where the bytes of one write lie on their way into the socket. */
const passing = new Uint8Array(MAP_SIZE);

function write(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number): SyscallResult {
  const socket = connectionOf(k, file);
  if (socket < 0) return socket;
  if (count === 0) return 0;
  const flags = MSG_NOSIGNAL | waitFlags(file);
  if (count > MAP_SIZE) return enter(writeRest, { socket, flags, buf, count, done: 0, piece: 0 });
  const bytes = borrowFromUser(k, task, buf, passing, count);
  return bytes === null ? -EFAULT : sendOrWait(k, task, socket, bytes, flags);
}

/** Sends at once when there is room for all of it, else waits as the flags allow. */
function sendOrWait(k: Kernel, task: Task, socket: number, bytes: Uint8Array, flags: number): SyscallResult {
  const sent = sendNow(k, task, socket, bytes, flags);
  if (sent === bytes.length || (sent < 0 && !mayWait(sent))) return sent;
  if ((flags & MSG_DONTWAIT) !== 0) return sent;
  const done = Math.max(0, sent);
  return enter(sendRest, { socket, flags, bytes: bytes.slice(done), done });
}

function mayWait(sent: number): boolean {
  return sent === -EAGAIN;
}

/** Bytes of the kernel's that did not all fit at once. */
const sendRest = steps<{ socket: number; flags: number; bytes: Uint8Array | null; done: number }>("vdev.master.send", {
  send: (k, _task, { locals }) => {
    const { socket, flags, bytes } = locals;
    assert(bytes !== null, "nothing to send");
    locals.bytes = null; // they are the transfer's from now on
    return enter(kernelSendmsg, kernelSend(k, socket, bytes, flags));
  },
  sent: (_k, _task, { locals: { done }, ret }) => (ret >= 0 ? done + Number(ret) : done > 0 ? done : ret),
});

/** MMAP: sends the first `count` bytes of the buffer. */
function sendBuffer(k: Kernel, task: Task, file: OpenFile, count: Addr): SyscallResult {
  if (typeof count !== "number" || count > MAP_SIZE) return -EINVAL;
  const socket = connectionOf(k, file);
  if (socket < 0) return socket;
  if (count === 0) return 0;
  return sendOrWait(k, task, socket, bufferOf(k, file).subarray(0, count), MSG_NOSIGNAL | waitFlags(file));
}

fileOperations(OPS, {
  owner: MODULE,
  open: (k, _task, file) => {
    file.data = { connection: 0 };
    return openBuffer(k, file, MODULE);
  },
  release: (k, task, file) => {
    dropConnection(k, task, file);
    closeBuffer(k, file, null);
    return 0;
  },
  write,
  ioctl: (k, task, file, request, arg) => {
    switch (request) {
      case IOCTL_CREATESOCK: return opened(file).connection === 0 ? enter(accept, { file: file.id }) : -EISCONN;
      case IOCTL_MMAP: return sendBuffer(k, task, file, arg);
      case IOCTL_EXIT: return dropConnection(k, task, file);
      case IOCTL_DESCRIPTOR: return checkedDescriptor(k, task, "[master] page descriptor: ", arg);
      default: return -ENOTTY;
    }
  },
  mmap: (k, _task, file, vma) => mapBuffer(k, file, vma, true),
  fasync: (k, _task, file, on) => fasyncOfConnection(k, file, on),
});

function fail(k: Kernel, what: string, err: number): number {
  printk(k, ERR, `[master] ${what} failed`);
  return err;
}

/** The listening socket; 0 or a negative errno, and then there is none. */
function listen(k: Kernel, task: Task, module: Module): number {
  const socket = ksocket(k, task);
  if (socket < 0) return fail(k, "socket", socket);
  printk(k, INFO, `[master] socket is created: ${pointerText(k, socket)}`);
  // Connections of the last load may still wait out their minute.
  socketOf(k, socket).options.reuseAddr = true;
  const bound = kbind(k, task, socket, DEFAULT_PORT);
  const listening = bound < 0 ? bound : klisten(k, task, socket, BACKLOG);
  if (listening < 0) {
    kclose(k, task, socket);
    return fail(k, bound < 0 ? "bind" : "listen", listening);
  }
  (module.data as { listener?: number }).listener = socket;
  return 0;
}

export function masterInit(k: Kernel, module: Module, task: Task): number {
  module.data = { ...freshStatics() };
  const made = debugfsCreateFile(k, DEBUG, 0o644, OPS);
  if (made < 0) return made;
  const minor = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: MODULE, ops: OPS });
  if (minor < 0) {
    debugfsRemove(k, DEBUG);
    return fail(k, "misc register", minor);
  }
  printk(k, INFO, "[master] registered");
  const listening = listen(k, task, module);
  if (listening < 0) {
    miscDeregister(k, MODULE);
    debugfsRemove(k, DEBUG);
    return listening;
  }
  printk(k, INFO, "[master] init succeeded");
  return 0;
}

export function masterExit(k: Kernel, _module: Module, task: Task): number {
  miscDeregister(k, MODULE);
  printk(k, INFO, "[master] misc deregister");
  kclose(k, task, statics(k, MODULE).listener);
  debugfsRemove(k, DEBUG);
  printk(k, INFO, "[master] exited");
  return 0;
}

