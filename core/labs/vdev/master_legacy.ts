/** master_device as the report and as the sample built it, defects included. */
import { EAGAIN, EINVAL, EIO, ENOMEM } from "../../abi/errno.ts";
import { debugfsCreateFile, debugfsRemove } from "../../fs/debugfs/debugfs.ts";
import { fileOperations, type FileOperations, type OpenFile } from "../../fs/file.ts";
import { MISC_DYNAMIC_MINOR, miscDeregister, miscRegister } from "../../fs/misc.ts";
import type { Kernel } from "../../kernel.ts";
import { assert } from "../../lib/assert.ts";
import { frameExists, readFrame } from "../../mm/page_alloc.ts";
import { virtToPfn } from "../../mm/kmalloc.ts";
import { copyFromUser, type Addr } from "../../mm/usercopy.ts";
import type { Module } from "../../module/state.ts";
import { kernelSend, kernelSendmsg, sendNow } from "../../net/ksocket.ts";
import { printk } from "../../sched/printk.ts";
import { enter, steps, type SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import {
  BUF_SIZE, bufferOf, DEFAULT_PORT, ERR, freshStatics, IOCTL_CREATESOCK, IOCTL_DESCRIPTOR, IOCTL_EXIT, IOCTL_MMAP, MAP_SIZE, mapBuffer,
  printDescriptor, statics, WARNING,
} from "./device.ts";
import { clientOr, closeClient, closeUncleared, FAILED, inform, openUncleared, say } from "./legacy.ts";
import { kaccept, kbind, kclose, klisten, ksocket, peerText, pointerText } from "./ksocket.ts";
import { copyOverflow } from "./oops.ts";

const MODULE = "master_device";

interface Build {
  ops: string;
  debug: string;
  backlog: number;
  words: {
    registered: string; registerFailed: string; socket: [string, string]; socketFailed: string; bindFailed: string; listenFailed: string;
    initDone: string; acceptFailed: string; accepted: string; connection: string; between: string; descriptor: string; deregistered: string;
    exited: string;
  };
}

const seed: Build = {
  ops: "vdev.master.seed", debug: "debug_master", backlog: 20,
  words: {
    registered: "[master] registered", registerFailed: "[master] misc register failed", socket: ["[master] socket is created: ", ""],
    socketFailed: "[master] socket failed", bindFailed: "[master] bind failed", listenFailed: "[master] listen failed",
    initDone: "[master] init succeeded", acceptFailed: "[master] kaccept failed", accepted: "[master] accept socket from client: ",
    connection: "[master] new connection from ", between: ":", descriptor: "[master] page descriptor: ",
    deregistered: "[master] misc deregister", exited: "[master] exited",
  },
};

const upstream: Build = {
  ops: "vdev.master.upstream", debug: "master_debug", backlog: 10,
  words: {
    registered: "master has been registered!", registerFailed: "misc_register failed!", socket: ["sockfd_srv = ", "  socket is created "],
    socketFailed: "socket failed", bindFailed: "bind failed", listenFailed: "listen failed", initDone: "master_device init OK",
    acceptFailed: "accept failed", accepted: "aceept sockfd_cli = ", connection: "got connected from : ", between: " ",
    descriptor: "master: ", deregistered: "misc_deregister", exited: "master exited!",
  },
};

const builds: { [variant: string]: Build } = { seed, upstream };

/** CREATESOCK: a signal too is EPERM; the global connection is replaced. */
const accept = steps<{ variant: string }>("vdev.master.legacy_accept", {
  wait: (k) => kaccept(k, statics(k, MODULE).listener, 0),
  accepted: (k, _task, { locals, ret }) => {
    const { words } = builds[locals.variant];
    if (ret < 0) {
      say(k, words.acceptFailed);
      return FAILED;
    }
    const socket = Number(ret);
    statics(k, MODULE).client = socket;
    say(k, `${words.accepted}${pointerText(k, socket)}`);
    say(k, `${words.connection}${peerText(k, socket, words.between)}`);
    return 0;
  },
});

/** What a send that waits answers: the sent bytes, or `always` when the result is ignored. */
const sendRest = steps<{ socket: number; bytes: Uint8Array | null; done: number; always: number }>("vdev.master.legacy_send", {
  send: (k, _task, { locals }) => {
    const { socket, bytes } = locals;
    assert(bytes !== null, "nothing to send");
    locals.bytes = null; // they are the transfer's from now on
    return enter(kernelSendmsg, kernelSend(k, socket, bytes, 0));
  },
  sent: (_k, _task, { locals: { done, always }, ret }) => (always >= 0 ? always : ret >= 0 ? done + Number(ret) : done > 0 ? done : ret),
});

/** ksend: blocks whatever O_NONBLOCK says, and lets SIGPIPE come. `always`: what to answer whatever happens, -1 for the truth. */
function ksend(k: Kernel, task: Task, socket: number, bytes: Uint8Array, always: number): SyscallResult {
  const sent = sendNow(k, task, socket, bytes, 0);
  if (sent === bytes.length || (sent < 0 && sent !== -EAGAIN)) return always >= 0 ? always : sent;
  const done = Math.max(0, sent);
  return enter(sendRest, { socket, bytes: bytes.slice(done), done, always });
}

function write(k: Kernel, task: Task, buf: Addr, count: number): SyscallResult {
  const caller = "send_f+0x57/0x90";
  if (count > BUF_SIZE) {
    copyOverflow(k, BUF_SIZE, count, [`${caller} [${MODULE}]`, "vfs_write+0xc8/0x3e0", "ksys_write+0x6b/0xf0"]);
    return -ENOMEM;
  }
  const bytes = copyFromUser(k, task, buf, count);
  if (typeof bytes === "number") return -ENOMEM;
  const client = clientOr(k, task, { module: MODULE, caller, where: "ksend" });
  return typeof client === "object" ? client : ksend(k, task, client, bytes, count);
}

/** The most that a send beyond the buffer reads: then the fault in the middle of nowhere would come. */
const REACH = 16 << 20;

/** `count` bytes from the buffer on, whatever lies behind it. */
function beyondBuffer(k: Kernel, file: OpenFile, count: number): Uint8Array {
  const bytes = new Uint8Array(Math.min(count, REACH));
  const pfn = virtToPfn(k, file.private);
  let filled = 0;
  while (filled < bytes.length && frameExists(k.state.mm, pfn + filled / MAP_SIZE)) {
    bytes.set(readFrame(k, pfn + filled / MAP_SIZE).subarray(0, Math.min(MAP_SIZE, bytes.length - filled)), filled);
    filled = Math.min(bytes.length, filled + MAP_SIZE);
  }
  return bytes.subarray(0, filled);
}

/** ioctl MMAP of the report's build. */
function sendBuffer(k: Kernel, task: Task, file: OpenFile, arg: Addr): SyscallResult {
  const client = clientOr(k, task, { module: MODULE, caller: "master_ioctl+0x9c/0x1e0", where: "ksend" });
  if (typeof client === "object") return client;
  const count = typeof arg === "number" ? arg : REACH;
  const bytes = count <= MAP_SIZE ? bufferOf(k, file).slice(0, count) : beyondBuffer(k, file, count);
  return ksend(k, task, client, bytes, -1);
}

const operations: FileOperations = {
  owner: MODULE,
  write: (k, task, _file, buf, count) => write(k, task, buf, count),
};

fileOperations(seed.ops, {
  ...operations,
  open: (k, _task, file) => openUncleared(k, file, MODULE),
  release: (k, _task, file) => closeUncleared(k, file, MODULE),
  ioctl: (k, task, file, request, arg) => {
    switch (request) {
      case IOCTL_CREATESOCK: return enter(accept, { variant: "seed" });
      case IOCTL_MMAP: return sendBuffer(k, task, file, arg);
      case IOCTL_EXIT: return closeClient(k, task, MODULE, "master_ioctl+0xb8/0x1e0");
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
  ioctl: (k, task, _file, request, arg) => {
    switch (request) {
      case IOCTL_CREATESOCK: return enter(accept, { variant: "upstream" });
      case IOCTL_MMAP: return -EINVAL;
      case IOCTL_EXIT: return closeClient(k, task, MODULE, "master_ioctl+0xb8/0x1e0");
      default:
        printDescriptor(k, task, upstream.words.descriptor, arg, WARNING);
        return 0;
    }
  },
});

/** As the report has it: what was registered before a failure stays behind. */
function init(k: Kernel, module: Module, task: Task, { ops, debug, backlog, words }: Build): number {
  const data = freshStatics();
  module.data = { ...data };
  debugfsCreateFile(k, debug, 0o644, ops);
  const minor = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: MODULE, ops });
  if (minor < 0) {
    printk(k, ERR, words.registerFailed);
    return minor;
  }
  inform(k, words.registered);
  const socket = ksocket(k, task);
  const created = socket < 0 ? words.socketFailed : `${words.socket[0]}${pointerText(k, socket)}${words.socket[1]}`;
  say(k, created);
  if (socket < 0) return FAILED;
  (module.data as { listener?: number }).listener = socket;
  if (kbind(k, task, socket, DEFAULT_PORT) < 0) {
    say(k, words.bindFailed);
    return FAILED;
  }
  if (klisten(k, task, socket, backlog) < 0) {
    say(k, words.listenFailed);
    return FAILED;
  }
  say(k, words.initDone);
  return 0;
}

function exit(k: Kernel, task: Task, { debug, words }: Build): number {
  miscDeregister(k, MODULE);
  say(k, words.deregistered);
  kclose(k, task, statics(k, MODULE).listener);
  inform(k, words.exited);
  debugfsRemove(k, debug);
  return 0;
}

export const masterSeed = {
  init: (k: Kernel, module: Module, task: Task): number => init(k, module, task, seed),
  exit: (k: Kernel, _module: Module, task: Task): number => exit(k, task, seed),
};

export const masterUpstream = {
  init: (k: Kernel, module: Module, task: Task): number => init(k, module, task, upstream),
  exit: (k: Kernel, _module: Module, task: Task): number => exit(k, task, upstream),
};
