/** slave_device as it should be: bounds, real errnos, a connection an open file, as many bytes as were asked for. */
import { EFAULT, EINVAL, EISCONN, ENOTTY, ERESTARTSYS } from "../../abi/errno.ts";
import { debugfsCreateFile, debugfsRemove } from "../../fs/debugfs/debugfs.ts";
import { fileOf, fileOperations, type OpenFile } from "../../fs/file.ts";
import { MISC_DYNAMIC_MINOR, miscDeregister, miscRegister } from "../../fs/misc.ts";
import type { Kernel } from "../../kernel.ts";
import { strncpyFromUser, type Addr } from "../../mm/usercopy.ts";
import type { Module } from "../../module/state.ts";
import { receiveInto, receiveUser } from "../../net/ksocket.ts";
import { printk } from "../../sched/printk.ts";
import { enter, steps, type StepResult, type SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import { sleepOn } from "../../sched/wait_queue.ts";
import {
  bufferOf, checkedDescriptor, closeBuffer, connectionOf, DEFAULT_PORT, dropConnection, ERR, fasyncOfConnection, freshStatics, INFO,
  IOCTL_CREATESOCK, IOCTL_DESCRIPTOR, IOCTL_EXIT, IOCTL_MMAP, keepConnection, MAP_SIZE, mapBuffer, openBuffer, opened, waitFlags,
} from "./device.ts";
import { inetAddr, inetNtoa, kclose, kconnect, ksocket, pointerText } from "./ksocket.ts";

const MODULE = "slave_device";
const OPS = "vdev.slave.corrected";
const DEBUG = "slave_debug";
/** The programs' array for the address. */
const IP_LENGTH = 20;

/** CREATESOCK: a socket, and its connection to the master's machine. The socket goes again when it cannot be had. */
const connect = steps<{ file: number; addr: number; socket: number }>("vdev.slave.connect", {
  connect: (k, task, { locals }) => {
    const socket = ksocket(k, task);
    if (socket < 0) {
      printk(k, ERR, "[slave] socket failed");
      return socket;
    }
    locals.socket = socket;
    printk(k, INFO, `[slave] socket is created: ${pointerText(k, socket)}`);
    return kconnect(socket, { addr: locals.addr, port: DEFAULT_PORT }, fileOf(k, locals.file).flags);
  },
  connected: (k, task, { locals, ret }) => {
    const file = fileOf(k, locals.file);
    const taken = opened(file).connection !== 0;
    if (ret < 0 || taken) {
      kclose(k, task, locals.socket);
      if (ret < 0) printk(k, ERR, "[slave] connect failed");
      return taken ? -EISCONN : ret;
    }
    keepConnection(k, file, locals.socket);
    printk(k, INFO, `[slave] connected to ${inetNtoa(locals.addr)}:${DEFAULT_PORT}`);
    return 0;
  },
});

function createSocket(k: Kernel, task: Task, file: OpenFile, arg: Addr): SyscallResult {
  if (opened(file).connection !== 0) return -EISCONN;
  const text = strncpyFromUser(k, task, arg, IP_LENGTH);
  if (typeof text === "number") return text === -EFAULT ? text : -EINVAL;
  const addr = inetAddr(text);
  return addr === null ? -EINVAL : enter(connect, { file: file.id, addr, socket: 0 });
}

/** read: what has come, at most a page. Bytes that cannot be copied stay. */
function read(k: Kernel, task: Task, file: OpenFile, buf: Addr, count: number): SyscallResult {
  const socket = connectionOf(k, file);
  if (socket < 0) return socket;
  if (count === 0) return 0;
  return receiveUser(k, task, socket, buf, Math.min(count, MAP_SIZE), waitFlags(file));
}

interface ReceiveLocals {
  file: number;
  socket: number;
  want: number;
  done: number;
}

/** Receives into the buffer until it holds what was asked for, or the end comes. */
function receiveMore(k: Kernel, task: Task, locals: ReceiveLocals): StepResult {
  const file = fileOf(k, locals.file);
  const flags = waitFlags(file);
  while (locals.done < locals.want) {
    if (connectionOf(k, file) !== locals.socket) return locals.done;
    const got = receiveInto(k, task, locals.socket, bufferOf(k, file).subarray(locals.done, locals.want), flags);
    if (typeof got === "object") {
      return sleepOn(got.queues, { wchan: "sk_wait_data", interrupted: locals.done > 0 ? locals.done : -ERESTARTSYS });
    }
    if (got < 0) return locals.done > 0 ? locals.done : got;
    if (got === 0) break;
    locals.done += got;
  }
  return locals.done;
}

const receive = steps<ReceiveLocals>("vdev.slave.receive", {
  more: (k, task, { locals }) => receiveMore(k, task, locals),
});

/** MMAP: fills the first `count` bytes of the buffer; fewer only at the end, or when a signal or O_NONBLOCK ends it. */
function receiveBuffer(k: Kernel, task: Task, file: OpenFile, count: Addr): SyscallResult {
  if (typeof count !== "number" || count > MAP_SIZE) return -EINVAL;
  const socket = connectionOf(k, file);
  if (socket < 0) return socket;
  const locals = { file: file.id, socket, want: count, done: 0 };
  const result = receiveMore(k, task, locals);
  return typeof result === "object" ? enter(receive, locals) : result;
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
  read,
  ioctl: (k, task, file, request, arg) => {
    switch (request) {
      case IOCTL_CREATESOCK: return createSocket(k, task, file, arg);
      case IOCTL_MMAP: return receiveBuffer(k, task, file, arg);
      case IOCTL_EXIT: return dropConnection(k, task, file);
      case IOCTL_DESCRIPTOR: return checkedDescriptor(k, task, "[slave] page descriptor: ", arg);
      default: return -ENOTTY;
    }
  },
  mmap: (k, _task, file, vma) => mapBuffer(k, file, vma, true),
  fasync: (k, _task, file, on) => fasyncOfConnection(k, file, on),
});

export function slaveInit(k: Kernel, module: Module): number {
  module.data = { ...freshStatics() };
  const made = debugfsCreateFile(k, DEBUG, 0o644, OPS);
  if (made < 0) return made;
  const minor = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: MODULE, ops: OPS });
  if (minor < 0) {
    debugfsRemove(k, DEBUG);
    printk(k, ERR, "[slave] misc register failed");
    return minor;
  }
  printk(k, INFO, "[slave] registered");
  return 0;
}

export function slaveExit(k: Kernel): number {
  miscDeregister(k, MODULE);
  debugfsRemove(k, DEBUG);
  printk(k, INFO, "[slave] exited");
  return 0;
}

