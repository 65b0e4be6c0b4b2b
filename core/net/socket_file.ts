/** The open file of a socket: its operations, and the inode in sockfs. */
import { EBADF, EMFILE, ENFILE, ENOTSOCK, ENOTTY } from "../abi/errno.ts";
import { O_NONBLOCK, O_RDWR } from "../abi/fcntl.ts";
import { MSG_DONTWAIT, MSG_EOR, SOCK_SEQPACKET } from "../abi/socket.ts";
import { S_IFSOCK } from "../abi/stat.ts";
import { fasyncHelper } from "../fs/fasync.ts";
import { fdInstall } from "../fs/fd_table.ts";
import { charge, costs } from "../sched/cost.ts";
import { allocFile, fileOperations, filesLeft, nonseekableOpen, type Iovec, type OpenFile } from "../fs/file.ts";
import { iovTotal } from "../fs/iov.ts";
import { sbOf } from "../fs/mount.ts";
import { newInode } from "../fs/new_inode.ts";
import type { Kernel } from "../kernel.ts";
import { enter, steps, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { socketRelease } from "./create.ts";
import { interfaceIoctl } from "./if_ioctl.ts";
import { kernelMessage, userMessage } from "./message.ts";
import { protocolOf } from "./proto.ts";
import { dropControl } from "./scm.ts";
import { socketOf, type Socket } from "./socket.ts";
import { receiveNow } from "./ksocket.ts";
import { receiveMessage, sendMessage } from "./wait.ts";

const OPS = "socket";

/** The socket behind a descriptor argument: -EBADF, -ENOTSOCK (sockfd_lookup). */
export function socketOfFile(k: Kernel, file: OpenFile | number): Socket | number {
  if (typeof file === "number") return -EBADF;
  return file.ops === OPS ? socketOf(k, file.private) : -ENOTSOCK;
}

/** Opens a file for a socket that is held, with an inode of its own; -ENFILE. `flags`: SOCK_NONBLOCK. */
export function socketFile(k: Kernel, task: Task, socket: Socket, flags: number): OpenFile | number {
  if (!filesLeft(k)) return -ENFILE;
  const { fs } = k.state;
  const { fsuid: uid, fsgid: gid } = task.cred;
  const inode = newInode(k, sbOf(k, fs.anonMount), { mode: S_IFSOCK | 0o777, uid, gid, ino: fs.nextAnonIno++ });
  charge(k, costs(k).openNs);
  const file = allocFile(k, {
    ops: OPS, flags: O_RDWR | (flags & O_NONBLOCK), inode: inode.id, path: { mnt: fs.anonMount, dentry: "" },
    canRead: true, canWrite: true, name: "socket:", private: socket.id,
  });
  nonseekableOpen(file);
  socket.file = file.id;
  socket.ino = inode.ino;
  return file;
}

/** A descriptor for a socket that is held; when there is none left the socket is closed: -EMFILE, -ENFILE. */
export function socketFd(k: Kernel, task: Task, socket: Socket, flags: number, cloexec: boolean): number {
  const file = socketFile(k, task, socket, flags);
  if (typeof file === "number") {
    socketRelease(k, task, socket.id);
    return file;
  }
  const fd = fdInstall(k, task, file, { cloexec });
  if (fd < 0) k.tables.hooks.fput(k, file.id);
  return fd < 0 ? -EMFILE : fd;
}

/** read(2) and readv(2). */
function readIter(k: Kernel, task: Task, file: OpenFile, iov: Iovec[]): SyscallResult {
  const socket = socketOf(k, file.private);
  const total = iovTotal(iov);
  // As Linux: nothing is asked of the socket (SYS5 behaviour).
  if (total === 0) return 0;
  const msg = userMessage(iov, total);
  const got = receiveMessage(k, task, socket, msg, (file.flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0);
  if (typeof got === "number") dropControl(k, msg);
  return got;
}

/** write(2) and writev(2). */
function writeIter(k: Kernel, task: Task, file: OpenFile, iov: Iovec[]): SyscallResult {
  const socket = socketOf(k, file.private);
  const flags = ((file.flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0) | (socket.type === SOCK_SEQPACKET ? MSG_EOR : 0);
  return sendMessage(k, task, socket, userMessage(iov, iovTotal(iov)), flags);
}

/** What is left to wait for when SO_LINGER delays a close. */
const linger = steps<{ socket: number; queue: number; untilNs: number }>("net.linger", {
  wait: (k, _task, { locals: { socket, queue, untilNs } }) => {
    const waiting = k.state.net.sockets.get(socket)?.tcp?.send.length ?? 0;
    if (waiting === 0 || now(k) >= untilNs) return 0;
    // A signal ends the wait, and the close succeeds all the same.
    return sleepOn(queue, { untilNs, wchan: "sk_stream_wait_close", interrupted: 0 });
  },
});

fileOperations(OPS, {
  readIter, writeIter,
  poll(k, _task, file) {
    const socket = socketOf(k, file.private);
    return { mask: protocolOf(socket).poll(k, socket), queues: [socket.readWait, socket.writeWait] };
  },
  ioctl(k, task, file, request, arg) {
    const socket = socketOf(k, file.private);
    const result = protocolOf(socket).ioctl(k, task, socket, request, arg);
    return result === -ENOTTY ? interfaceIoctl(k, task, socket, request, arg) : result;
  },
  release(k, task, file) {
    const socket = socketOf(k, file.private);
    // As Linux: a process that ends does not linger.
    if (!socketRelease(k, task, socket.id) || task.exiting) return 0;
    return enter(linger, { socket: socket.id, queue: socket.writeWait, untilNs: now(k) + socket.options.linger * 1e9 });
  },
  fasync(k, _task, file, on) {
    return fasyncHelper(k, file, on, socketOf(k, file.private).fasync);
  },
  spliceReceive(k, task, file, count, nonblock) {
    return receiveNow(k, task, file.private, count, nonblock || (file.flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0);
  },
  spliceWrite(k, task, file, bytes) {
    const flags = (file.flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0;
    return sendMessage(k, task, socketOf(k, file.private), kernelMessage(bytes), flags);
  },
});
