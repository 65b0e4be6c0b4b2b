/** slave_device as the report and as the sample built it, defects included. */
import { EINVAL, EIO, ENOMEM } from "../../abi/errno.ts";
import { debugfsCreateFile, debugfsRemove } from "../../fs/debugfs/debugfs.ts";
import { fileOf, fileOperations, type FileOperations, type OpenFile } from "../../fs/file.ts";
import { MISC_DYNAMIC_MINOR, miscDeregister, miscRegister } from "../../fs/misc.ts";
import type { Kernel } from "../../kernel.ts";
import { cstring, utf8DecodeLossy } from "../../lib/bytes.ts";
import { copyFromUser, copyToUser, type Addr } from "../../mm/usercopy.ts";
import type { Module } from "../../module/state.ts";
import { receiveNow } from "../../net/ksocket.ts";
import { printk } from "../../sched/printk.ts";
import { enter, steps, type StepResult, type SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import {
  BUF_SIZE, bufferOf, DEFAULT_PORT, ERR, freshStatics, IOCTL_CREATESOCK, IOCTL_DESCRIPTOR, IOCTL_EXIT, IOCTL_MMAP, MAP_SIZE, mapBuffer,
  printDescriptor, statics, WARNING,
} from "./device.ts";
import { clientOr, closeClient, closeUncleared, FAILED, inform, openUncleared, say } from "./legacy.ts";
import { inetAddr, inetNtoa, kconnect, ksocket, pointerText } from "./ksocket.ts";
import { copyOverflow, outOfBounds, stackSmashed } from "./oops.ts";

const MODULE = "slave_device";
const DEBUG = "slave_debug";
/** The array that CREATESOCK fills from the caller, all of it. */
const IP_LENGTH = 20;

interface Build {
  ops: string;
  words: {
    registered: string; registerFailed: string; socket: [string, string]; socketFailed: string; connectFailed: string;
    connected: string; between: string; descriptor: string; exited: string;
  };
}

const seed: Build = {
  ops: "vdev.slave.seed",
  words: {
    registered: "[slave] registered", registerFailed: "[slave] misc register failed", socket: ["[slave] socket is created: ", ""],
    socketFailed: "[slave] socket failed", connectFailed: "[slave] connect failed", connected: "[slave] connected to ", between: ":",
    descriptor: "[slave] page descriptor: ", exited: "[slave] exited",
  },
};

const upstream: Build = {
  ops: "vdev.slave.upstream",
  words: {
    registered: "slave has been registered!", registerFailed: "misc_register failed!", socket: ["sockfd_cli = ", "  socket is created"],
    socketFailed: "socket failed", connectFailed: "connect failed", connected: "connected to : ", between: " ", descriptor: "slave: ",
    exited: "slave exited!",
  },
};

const builds: { [variant: string]: Build } = { seed, upstream };

/** CREATESOCK: the global is replaced first; a socket that could not be connected stays in it. */
const connect = steps<{ variant: string; addr: number }>("vdev.slave.legacy_connect", {
  connect: (k, task, { locals }) => {
    const { words } = builds[locals.variant];
    const socket = ksocket(k, task);
    say(k, `${words.socket[0]}${pointerText(k, Math.max(0, socket))}${words.socket[1]}`);
    if (socket < 0) {
      say(k, words.socketFailed);
      return FAILED;
    }
    statics(k, MODULE).client = socket;
    return kconnect(socket, { addr: locals.addr, port: DEFAULT_PORT }, 0);
  },
  connected: (k, _task, { locals, ret }) => {
    const { words } = builds[locals.variant];
    if (ret < 0) {
      say(k, words.connectFailed);
      return FAILED;
    }
    say(k, `${words.connected}${inetNtoa(locals.addr)}${words.between}${DEFAULT_PORT}`);
    return 0;
  },
});

function createSocket(k: Kernel, task: Task, arg: Addr, variant: string): SyscallResult {
  const bytes = copyFromUser(k, task, arg, IP_LENGTH);
  if (typeof bytes === "number") return -ENOMEM;
  // Text that is no address leaves what lay on the stack: here an address that leads nowhere.
  return enter(connect, { variant, addr: inetAddr(utf8DecodeLossy(cstring(bytes))) ?? 0xffff_ffff });
}

/** The bytes of a krecv are in the 512-byte array, or beyond it: what copying them to the caller does. */
function handOut(k: Kernel, task: Task, buf: Addr, received: Uint8Array | number): SyscallResult {
  const trace = [`receive_f+0x4f/0x80 [${MODULE}]`, "vfs_read+0x9f/0x310", "ksys_read+0x6b/0xf0"];
  const length = typeof received === "number" ? received : received.length;
  if (length < 0 || length > BUF_SIZE) {
    copyOverflow(k, BUF_SIZE, length, trace);
    if (length < 0) return -ENOMEM;
    return stackSmashed(k, task, { module: MODULE, rip: `receive_f+0x7b/0x80 [${MODULE}]`, trace: trace.slice(1) });
  }
  const bytes = received as Uint8Array;
  return copyToUser(k, task, buf, bytes) === bytes.length ? bytes.length : -ENOMEM;
}

/** read: receives as much as `asked`, whatever the array holds; a signal ends the wait with an error that is taken for a length. */
const read = steps<{ buf: Addr; asked: number; socket: number }>("vdev.slave.legacy_read", {
  receive: (k, task, { locals: { buf, asked, socket } }) => {
    const bytes = receiveNow(k, task, socket, asked, 0);
    if (bytes instanceof Uint8Array || typeof bytes === "number") return handOut(k, task, buf, bytes) as StepResult;
    return { ...bytes, interrupted: -ENOMEM };
  },
  /** handOut may end the task: whatever it entered has no answer. */
  over: (_k, _task, { ret }) => ret,
});

function readDevice(k: Kernel, task: Task, buf: Addr, asked: number): SyscallResult {
  const socket = clientOr(k, task, { module: MODULE, caller: "receive_f+0x2e/0x80", where: "krecv" });
  if (typeof socket === "object") return socket;
  const bytes = receiveNow(k, task, socket, asked, 0);
  if (bytes instanceof Uint8Array || typeof bytes === "number") return handOut(k, task, buf, bytes);
  return enter(read, { buf, asked, socket });
}

/** One receive into the buffer; what it cannot hold is written behind it. */
const receive = steps<{ file: number; socket: number; count: number }>("vdev.slave.legacy_receive", {
  once: (k, task, { locals: { file, socket, count } }) => {
    const bytes = receiveNow(k, task, socket, count, 0);
    return bytes instanceof Uint8Array ? fill(k, fileOf(k, file), bytes) : bytes;
  },
});

function fill(k: Kernel, file: OpenFile, bytes: Uint8Array): number {
  bufferOf(k, file).set(bytes.subarray(0, MAP_SIZE));
  if (bytes.length > MAP_SIZE) {
    outOfBounds(k, { module: MODULE, rip: "_copy_to_iter+0x1c2/0x560", trace: ["tcp_recvmsg_locked+0x6b8/0x9c0", "krecv+0x6f/0x90 [ksocket]", `slave_ioctl+0xa1/0x1f0 [${MODULE}]`] },
      MAP_SIZE, bytes.length - MAP_SIZE);
  }
  return bytes.length;
}

/** The most that one receive may ask for here; a socket never holds more. */
const RECEIVE_MAX = 8 << 20;

function receiveBuffer(k: Kernel, task: Task, file: OpenFile, arg: Addr): SyscallResult {
  const socket = clientOr(k, task, { module: MODULE, caller: "slave_ioctl+0xa1/0x1f0", where: "krecv" });
  if (typeof socket === "object") return socket;
  const count = Math.min(typeof arg === "number" ? arg : RECEIVE_MAX, RECEIVE_MAX);
  return enter(receive, { file: file.id, socket, count });
}

const operations: FileOperations = { owner: MODULE };

fileOperations(seed.ops, {
  ...operations,
  open: (k, _task, file) => openUncleared(k, file, MODULE),
  release: (k, _task, file) => closeUncleared(k, file, MODULE),
  read: (k, task, _file, buf, count) => readDevice(k, task, buf, Math.min(count, RECEIVE_MAX)),
  ioctl: (k, task, file, request, arg) => {
    switch (request) {
      case IOCTL_CREATESOCK: return createSocket(k, task, arg, "seed");
      case IOCTL_MMAP: return receiveBuffer(k, task, file, arg);
      case IOCTL_EXIT: return closeClient(k, task, MODULE, "slave_ioctl+0xc2/0x1f0");
      case IOCTL_DESCRIPTOR:
        printDescriptor(k, task, seed.words.descriptor, arg, WARNING);
        return 0;
      default: return 0;
    }
  },
  mmap: (k, _task, file, vma) => (mapBuffer(k, file, vma, false) < 0 ? -EIO : 0),
});

fileOperations(upstream.ops, {
  ...operations,
  open: () => 0,
  read: (k, task, _file, buf) => readDevice(k, task, buf, BUF_SIZE),
  ioctl: (k, task, _file, request, arg) => {
    say(k, "slave device ioctl");
    switch (request) {
      case IOCTL_CREATESOCK:
        say(k, "slave device ioctl create socket");
        task.comm = "ksktcli";
        return createSocket(k, task, arg, "upstream");
      case IOCTL_MMAP: return -EINVAL;
      case IOCTL_EXIT: {
        const closed = closeClient(k, task, MODULE, "slave_ioctl+0xc2/0x1f0");
        if (closed === 0) say(k, "slave close");
        return closed;
      }
      default:
        printDescriptor(k, task, upstream.words.descriptor, arg, WARNING);
        return 0;
    }
  },
});

function init(k: Kernel, module: Module, { ops, words }: Build): number {
  module.data = { ...freshStatics() };
  debugfsCreateFile(k, DEBUG, 0o644, ops);
  const minor = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: MODULE, ops });
  if (minor < 0) {
    printk(k, ERR, words.registerFailed);
    return minor;
  }
  inform(k, words.registered);
  return 0;
}

function exit(k: Kernel, { words }: Build): number {
  miscDeregister(k, MODULE);
  inform(k, words.exited);
  debugfsRemove(k, DEBUG);
  return 0;
}

export const slaveSeed = {
  init: (k: Kernel, module: Module): number => init(k, module, seed),
  exit: (k: Kernel): number => exit(k, seed),
};

export const slaveUpstream = {
  init: (k: Kernel, module: Module): number => init(k, module, upstream),
  exit: (k: Kernel): number => exit(k, upstream),
};
