/** sendto(2), recvfrom(2), sendmsg(2), recvmsg(2) and their many-message forms. */
import { EAGAIN, EFAULT, EINVAL, EMSGSIZE, isErrno } from "../abi/errno.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import { decodeStruct } from "../abi/layout.ts";
import { IOV_MAX, MAX_RW_COUNT } from "../abi/limits.ts";
import { SOCKADDR_STORAGE_SIZE } from "../abi/sockaddr.ts";
import {
  iovecLayout, mmsghdrLayout, MSG_CMSG_CLOEXEC, MSG_CMSG_COMPAT, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_WAITFORONE, msgFlags, msghdrLayout,
} from "../abi/socket.ts";
import { timespecLayout } from "../abi/time.ts";
import type { Iovec, OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { accessOk, copyFromUser, putUser32, putUser64, type Addr } from "../mm/usercopy.ts";
import { userMessage, type Message } from "../net/message.ts";
import { protocolOf } from "../net/proto.ts";
import { putFiles } from "../net/scm.ts";
import { takeError, type Socket } from "../net/socket.ts";
import { socketOfFile } from "../net/socket_file.ts";
import { newTransfer, receiveOrSleep, sendOrSleep, type Transfer } from "../net/wait.ts";
import { enter, steps, to, type StepResult, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { now } from "../time/clock.ts";
import { fd, flags, inBuffer, outBuffer, size, structIn, uint } from "./args.ts";
import { structCodec } from "./codec.ts";
import { readControl, writeControl } from "./socket_control.ts";
import { addrlenIn, addrlenInOut, sockaddrIn, sockaddrOut } from "./socket_args.ts";
import { mmsghdrsIn, mmsghdrsOut, msghdrIn, msghdrOut } from "./msghdr_args.ts";
import { readSockaddr, writeSockaddr } from "./socket.ts";
import type { Rows } from "./row.ts";

type File = OpenFile | number;

/** MSG_ flags that a caller's own do not reach the protocol with: the ones of the kernel's inside. */
const INTERNAL = 0x8000_0000 | 0x20_0000 | 0x40_0000;

function flagsOf(file: OpenFile, flags: number): number {
  return (flags & ~INTERNAL) | ((file.flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0);
}

/** Only UDP keeps errors, and nobody ever waits for one. */
function noErrors({ inet, udp }: Socket, flags: number): boolean {
  return (flags & MSG_ERRQUEUE) !== 0 && inet !== null && (udp === null || udp.errors.length === 0);
}

/** One buffer of a call as an iovec: -EFAULT when it lies outside user addresses. */
function oneBuffer(buf: Addr, len: number | bigint): Iovec[] | number {
  const count = len > MAX_RW_COUNT ? MAX_RW_COUNT : Number(len);
  return accessOk(buf, count) ? [{ addr: buf, len: count }] : -EFAULT;
}

function plus(address: Addr, offset: number): Addr {
  return typeof address === "number" ? address + offset : address + BigInt(offset);
}

// ——— send ———

/** A send under way, with the files that it holds until it ends. */
interface SendLocals {
  transfer: Transfer;
}

function releaseControl(k: Kernel, { control }: Message): void {
  if (control !== null) putFiles(k, control.files.splice(0));
}

const sendSteps = steps<SendLocals>("net.sendmsg", {
  send: (k, task, { locals }) => sendOrSleep(k, task, locals.transfer),
}, { undo: { send: (k, _task, { locals }) => releaseControl(k, locals.transfer.msg) } });

/** Sends at once, or enters the wait; files beside the message are given back when it is over. */
function send(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): SyscallResult {
  const sent = protocolOf(socket).sendmsg(k, task, socket, msg, flags);
  if (sent === -EAGAIN && (flags & MSG_DONTWAIT) === 0) {
    return enter(sendSteps, { transfer: newTransfer(k, socket.id, msg, flags, socket.options.sndTimeoNs) });
  }
  releaseControl(k, msg);
  return sent === -EAGAIN && msg.copied > 0 ? msg.copied : sent;
}

function sysSendto(
  k: Kernel, task: Task, [file, buf, len, flags, address, length]: [File, Addr, number | bigint, number, Addr, number],
): SyscallResult {
  const iov = oneBuffer(buf, len);
  if (typeof iov === "number") return iov;
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  const msg = userMessage(iov, iov[0].len);
  if (address !== 0) {
    const name = readSockaddr(k, task, address, length);
    if (typeof name === "number") return name;
    msg.name = name;
  }
  return send(k, task, socket, msg, flagsOf(file as OpenFile, flags));
}

// ——— message headers ———

interface Header {
  at: Addr;
  iov: Iovec[];
  total: number;
  name: Addr;
  nameLength: number;
  control: Addr;
  controlLength: number;
}

function asAddr(value: number | bigint): Addr {
  return value;
}

/** A msghdr and its iovec: -EFAULT, -EINVAL for a negative length, -EMSGSIZE for more than 1,024 buffers. */
function readHeader(k: Kernel, task: Task, at: Addr): Header | number {
  const bytes = copyFromUser(k, task, at, msghdrLayout.size);
  if (typeof bytes === "number") return bytes;
  const header = decodeStruct(msghdrLayout, bytes);
  const name = asAddr(header.msg_name);
  const nameLength = name === 0 ? 0 : header.msg_namelen;
  if (nameLength < 0) return -EINVAL;
  if (header.msg_iovlen > IOV_MAX) return -EMSGSIZE;
  const iov = readIovec(k, task, asAddr(header.msg_iov), Number(header.msg_iovlen));
  if (typeof iov === "number") return iov;
  return {
    at, ...iov, name, nameLength: Math.min(nameLength, SOCKADDR_STORAGE_SIZE), control: asAddr(header.msg_control),
    controlLength: Number(header.msg_controllen),
  };
}

/** The buffers at an address: -EFAULT, -EINVAL for a negative length; all together are cut to MAX_RW_COUNT. */
function readIovec(k: Kernel, task: Task, at: Addr, count: number): { iov: Iovec[]; total: number } | number {
  const bytes = copyFromUser(k, task, at, count * iovecLayout.size);
  if (typeof bytes === "number") return bytes;
  const iov: Iovec[] = [];
  let total = 0;
  for (let index = 0; index < count; index++) {
    const { iov_base: addr, iov_len: given } = decodeStruct(iovecLayout, bytes, index * iovecLayout.size);
    if (given >= 0x8000_0000_0000_0000n) return -EINVAL;
    const len = Number(given) > MAX_RW_COUNT - total ? MAX_RW_COUNT - total : Number(given);
    if (len > 0 && !accessOk(addr, len)) return -EFAULT;
    iov.push({ addr, len });
    total += len;
  }
  return { iov, total };
}

/** A message to send, as its header describes it; files in its control data are held. */
function messageToSend(k: Kernel, task: Task, socket: Socket, header: Header): Message | number {
  const msg = userMessage(header.iov, header.total);
  if (header.name !== 0 && header.nameLength > 0) {
    const name = readSockaddr(k, task, header.name, header.nameLength);
    if (typeof name === "number") return name;
    msg.name = name;
  }
  if (header.controlLength > 0) {
    const refused = protocolOf(socket).beforeSend?.(k, socket, msg) ?? 0;
    if (refused !== 0) return refused;
    const control = readControl(k, task, socket, header.control, header.controlLength);
    if (typeof control === "number") return control;
    msg.control = control;
  }
  return msg;
}

function sysSendmsg(k: Kernel, task: Task, [file, at, flags]: [File, Addr, number]): SyscallResult {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  if ((flags & MSG_CMSG_COMPAT) !== 0) return -EINVAL;
  const header = readHeader(k, task, at);
  if (typeof header === "number") return header;
  const msg = messageToSend(k, task, socket, header);
  return typeof msg === "number" ? msg : send(k, task, socket, msg, flagsOf(file as OpenFile, flags));
}

// ——— receive ———

/** What a receive writes beside its bytes: recvfrom's address and length, or a whole header. */
interface Beside {
  name: Addr;
  nameLength: Addr;
  header: Omit<Header, "iov" | "total"> | null;
  cloexec: boolean;
}

interface ReceiveLocals {
  transfer: Transfer;
  beside: Beside;
  finished: boolean;
}

const receiveSteps = steps<ReceiveLocals>("net.recvmsg", {
  receive: (k, task, { locals }) => {
    const got = receiveOrSleep(k, task, locals.transfer);
    if (typeof got !== "number") return got;
    locals.finished = true;
    return finishReceive(k, task, locals.transfer.msg, locals.beside, got);
  },
}, {
  undo: {
    // A signal ended the wait: what came before it is the answer, and is told like any other.
    receive: (k, task, { locals: { transfer: { msg }, beside, finished } }) => {
      if (!finished && msg.copied > 0) finishReceive(k, task, msg, beside, msg.copied);
    },
  },
});

function receive(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number, beside: Beside): SyscallResult {
  const got = protocolOf(socket).recvmsg(k, task, socket, msg, flags);
  if (got !== -EAGAIN) return finishReceive(k, task, msg, beside, got);
  if ((flags & MSG_DONTWAIT) !== 0) return msg.copied > 0 ? finishReceive(k, task, msg, beside, msg.copied) : -EAGAIN;
  return enter(receiveSteps, { transfer: newTransfer(k, socket.id, msg, flags, socket.options.rcvTimeoNs), beside, finished: false });
}

const NO_NAME = new Uint8Array(0);

/** Writes address, control data and flags; files that found no room are closed. */
function finishReceive(k: Kernel, task: Task, msg: Message, beside: Beside, got: number): number {
  if (isErrno(got)) {
    releaseControl(k, msg);
    return got;
  }
  const name = msg.name ?? NO_NAME;
  const { header } = beside;
  if (header === null) {
    releaseControl(k, msg);
    const written = beside.name === 0 ? 0 : writeSockaddr(k, task, name, beside.name, beside.nameLength);
    return written < 0 ? written : got;
  }
  const used = writeControl(k, task, msg, header.control, header.controlLength, beside.cloexec);
  if (header.name !== 0) {
    const written = writeSockaddr(k, task, name, header.name, plus(header.at, 8));
    if (written < 0) return written;
  }
  const flags = msg.outFlags | (beside.cloexec ? MSG_CMSG_CLOEXEC : 0);
  return putUser32(k, task, plus(header.at, 48), flags) && putUser64(k, task, plus(header.at, 40), used) ? got : -EFAULT;
}

function sysRecvfrom(
  k: Kernel, task: Task, [file, buf, len, flags, name, nameLength]: [File, Addr, number | bigint, number, Addr, Addr],
): SyscallResult {
  const iov = oneBuffer(buf, len);
  if (typeof iov === "number") return iov;
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  if (noErrors(socket, flags)) return -EAGAIN;
  const beside = { name, nameLength, header: null, cloexec: false };
  return receive(k, task, socket, userMessage(iov, iov[0].len), flagsOf(file as OpenFile, flags), beside);
}

function besideOf(header: Header, flags: number): Beside {
  const { at, name, nameLength, control, controlLength } = header;
  return { name: 0, nameLength: 0, header: { at, name, nameLength, control, controlLength }, cloexec: (flags & MSG_CMSG_CLOEXEC) !== 0 };
}

function sysRecvmsg(k: Kernel, task: Task, [file, at, flags]: [File, Addr, number]): SyscallResult {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  if ((flags & MSG_CMSG_COMPAT) !== 0) return -EINVAL;
  const header = readHeader(k, task, at);
  if (typeof header === "number") return header;
  if (noErrors(socket, flags)) return -EAGAIN;
  return receive(k, task, socket, userMessage(header.iov, header.total), flagsOf(file as OpenFile, flags), besideOf(header, flags));
}

// ——— several messages ———

interface ManyLocals {
  file: number;
  vector: Addr;
  count: number;
  flags: number;
  done: number;
  /** recvmmsg: no further message after this time, -1 for none. */
  untilNs: number;
}

/** The index-th message of a vector. */
function entry({ vector, done }: ManyLocals): Addr {
  return plus(vector, done * mmsghdrLayout.size);
}

/** Counts a message that was moved; its length goes into msg_len. False when that faults. */
function countMessage(k: Kernel, task: Task, locals: ManyLocals, length: number): boolean {
  if (!putUser32(k, task, plus(entry(locals), 56), length)) return false;
  locals.done++;
  return true;
}

/** The messages so far, or the errno that kept even the first from moving. */
function manyResult({ done }: ManyLocals, failure: number): number {
  return done > 0 ? done : failure;
}

function many(call: typeof sysSendmsg, flagsLater: number) {
  return {
    next: (k: Kernel, task: Task, { locals }: { locals: ManyLocals }): StepResult => {
      if (locals.done === locals.count) return locals.done;
      if (locals.done > 0 && locals.untilNs >= 0 && now(k) >= locals.untilNs) return locals.done;
      const flags = locals.done > 0 ? locals.flags | flagsLater : locals.flags;
      const result = call(k, task, [k.tables.hooks.file(k, locals.file), entry(locals), flags]);
      if (typeof result === "object") return result;
      if (result < 0) return manyResult(locals, Number(result));
      return countMessage(k, task, locals, Number(result)) ? to("next") : manyResult(locals, -EFAULT);
    },
    slept: (k: Kernel, task: Task, { locals, ret }: { locals: ManyLocals; ret: number | bigint }): StepResult => {
      if (ret < 0) return manyResult(locals, Number(ret));
      return countMessage(k, task, locals, Number(ret)) ? to("next") : manyResult(locals, -EFAULT);
    },
  };
}

const sendMany = steps<ManyLocals>("net.sendmmsg", many(sysSendmsg, 0));
const receiveMany = steps<ManyLocals>("net.recvmmsg", many(sysRecvmsg, 0));
const receiveOneThenMore = steps<ManyLocals>("net.recvmmsg_forone", many(sysRecvmsg, MSG_DONTWAIT));

function sysSendmmsg(k: Kernel, _task: Task, [file, vector, vlen, flags]: [File, Addr, number, number]): SyscallResult {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  return enter(sendMany, { file: (file as OpenFile).id, vector, count: Math.min(vlen, IOV_MAX), flags, done: 0, untilNs: -1 });
}

function sysRecvmmsg(
  k: Kernel, task: Task, [file, vector, vlen, flags, timeout]: [File, Addr, number, number, Addr],
): SyscallResult {
  let untilNs = -1;
  if (timeout !== 0) {
    const bytes = copyFromUser(k, task, timeout, timespecLayout.size);
    if (typeof bytes === "number") return bytes;
    const { tv_sec, tv_nsec } = decodeStruct(timespecLayout, bytes);
    if (tv_sec < 0 || tv_nsec < 0 || tv_nsec >= 1_000_000_000) return -EINVAL;
    untilNs = now(k) + Number(tv_sec) * 1_000_000_000 + Number(tv_nsec);
  }
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  const err = (flags & MSG_ERRQUEUE) !== 0 ? 0 : takeError(socket);
  if (err !== 0) return err;
  const table = (flags & MSG_WAITFORONE) !== 0 ? receiveOneThenMore : receiveMany;
  return enter(table, { file: (file as OpenFile).id, vector, count: Math.min(vlen, IOV_MAX), flags: flags & ~MSG_WAITFORONE, done: 0, untilNs });
}

export const socketMsgRows: Rows = {
  sendto: {
    x86_64: 44,
    args: [
      fd("sockfd"), inBuffer("buf", "len"), size("len", "buf"), flags("flags", msgFlags), sockaddrIn("dest_addr"),
      addrlenIn("addrlen", "dest_addr"),
    ],
    run: sysSendto,
  },
  recvfrom: {
    x86_64: 45,
    args: [
      fd("sockfd"), outBuffer("buf", "len"), size("len"), flags("flags", msgFlags), sockaddrOut("src_addr", "addrlen"),
      addrlenInOut("addrlen", "src_addr"),
    ],
    run: sysRecvfrom,
  },
  sendmsg: { x86_64: 46, args: [fd("sockfd"), msghdrIn("msg"), flags("flags", msgFlags)], run: sysSendmsg },
  recvmsg: { x86_64: 47, args: [fd("sockfd"), msghdrOut("msg"), flags("flags", msgFlags)], run: sysRecvmsg },
  sendmmsg: {
    x86_64: 307, args: [fd("sockfd"), mmsghdrsIn("msgvec"), uint("vlen"), flags("flags", msgFlags)], run: sysSendmmsg,
  },
  recvmmsg: {
    x86_64: 299,
    args: [fd("sockfd"), mmsghdrsOut("msgvec"), uint("vlen"), flags("flags", msgFlags), structIn("timeout", structCodec("timespec", timespecLayout))],
    run: sysRecvmmsg,
  },
};

