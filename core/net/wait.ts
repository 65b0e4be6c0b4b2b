/** Waiting on sockets: protocols say "not now", and the tables here sleep and ask again, with timeouts and signals. */
import { EAGAIN, EALREADY, EINPROGRESS, EINTR, EINVAL, ENOTCONN, ERESTARTSYS } from "../abi/errno.ts";
import { MSG_DONTWAIT } from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { enter, steps, type SyscallResult, type StepResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { sleepOn } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import type { Message } from "./message.ts";
import { protocolOf } from "./proto.ts";
import { dropControl } from "./scm.ts";
import type { Socket } from "./socket.ts";
import { RCV_SHUTDOWN } from "./tcp_states.ts";

/** A send or receive that has begun to wait. */
export interface Transfer {
  socket: number;
  msg: Message;
  flags: number;
  /** When SO_SNDTIMEO or SO_RCVTIMEO ends it; -1 for never. */
  untilNs: number;
}

/** A timed wait that a signal ends is EINTR; one without a limit may be restarted (sock_intr_errno). */
function interruption(untilNs: number): number {
  return untilNs < 0 ? -ERESTARTSYS : -EINTR;
}

export function deadline(k: Kernel, timeoNs: number): number {
  return timeoNs === 0 ? -1 : now(k) + timeoNs;
}

/** Sleeps for a transfer that found nothing, or ends it because its time is up. */
function waitMore(k: Kernel, { msg, untilNs }: Transfer): StepResult {
  if (untilNs >= 0 && now(k) >= untilNs) return msg.copied > 0 ? msg.copied : -EAGAIN;
  return sleepOn(msg.wait, { untilNs, wchan: msg.wchan, interrupted: msg.copied > 0 ? msg.copied : interruption(untilNs) });
}

/** The socket of a call that slept; null when kernel code released it meanwhile (a descriptor's is held by the call). */
function stillThere(k: Kernel, id: number): Socket | null {
  const socket = k.state.net.sockets.get(id);
  return socket?.held === true ? socket : null;
}

/** One attempt of a send that may wait: a number, or a sleep. The transfer is the frame's own. */
export function sendOrSleep(k: Kernel, task: Task, transfer: Transfer): StepResult {
  const socket = stillThere(k, transfer.socket);
  if (socket === null) return transfer.msg.copied > 0 ? transfer.msg.copied : -ENOTCONN;
  const sent = protocolOf(socket).sendmsg(k, task, socket, transfer.msg, transfer.flags);
  return sent === -EAGAIN ? waitMore(k, transfer) : sent;
}

/** One attempt of a receive that may wait. */
export function receiveOrSleep(k: Kernel, task: Task, transfer: Transfer): StepResult {
  const socket = stillThere(k, transfer.socket);
  if (socket === null) return transfer.msg.copied > 0 ? transfer.msg.copied : -ENOTCONN;
  const got = protocolOf(socket).recvmsg(k, task, socket, transfer.msg, transfer.flags);
  return got === -EAGAIN ? waitMore(k, transfer) : got;
}

/** A transfer that has not begun: its deadline is counted from now. */
export function newTransfer(k: Kernel, socket: number, msg: Message, flags: number, timeoNs: number): Transfer {
  return { socket, msg, flags, untilNs: (flags & MSG_DONTWAIT) !== 0 ? 0 : deadline(k, timeoNs) };
}

/** sendmsg(2) of a socket: the bytes sent, or an errno; waits for room unless MSG_DONTWAIT. The message is given away. */
export function sendMessage(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): SyscallResult {
  const sent = protocolOf(socket).sendmsg(k, task, socket, msg, flags);
  if (sent !== -EAGAIN) return sent;
  if ((flags & MSG_DONTWAIT) !== 0) return msg.copied > 0 ? msg.copied : -EAGAIN;
  return enter(sendWait, newTransfer(k, socket.id, msg, flags, socket.options.sndTimeoNs));
}

/** Locals: a Transfer whose first attempt found no room. Answers the bytes sent. */
const sendWait = steps<Transfer>("net.send", {
  send: (k, task, { locals }) => sendOrSleep(k, task, locals),
});

/**
 * recvmsg(2) of a socket without what is written beside the bytes: as many as came, 0 at the end, or an errno. Descriptors that
 * came with them are the caller's when it is a number; those of a receive that slept are closed.
 */
export function receiveMessage(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): SyscallResult {
  const got = protocolOf(socket).recvmsg(k, task, socket, msg, flags);
  if (got !== -EAGAIN) return got;
  if ((flags & MSG_DONTWAIT) !== 0) return msg.copied > 0 ? msg.copied : -EAGAIN;
  return enter(receiveWait, newTransfer(k, socket.id, msg, flags, socket.options.rcvTimeoNs));
}

/** Locals: a Transfer whose first attempt found nothing. Answers the bytes received. */
const receiveWait = steps<Transfer>("net.receive", {
  receive: (k, task, { locals }) => receiveOrSleep(k, task, locals),
}, { undo: { receive: (k, _task, { locals }) => dropControl(k, locals.msg) } });

interface ConnectWait {
  socket: number;
  addr: Uint8Array;
  untilNs: number;
}

/** connect(2): 0 or an errno; EINPROGRESS, and EALREADY after that, when `nonblock`. */
export function connectSocket(k: Kernel, task: Task, socket: Socket, addr: Uint8Array, nonblock: boolean): SyscallResult {
  const again = socket.state === "connecting";
  const result = protocolOf(socket).connect(k, task, socket, addr, nonblock);
  if (nonblock || (result !== -EINPROGRESS && result !== -EAGAIN)) return result;
  return enter(again ? connectAgain : connectWait, { socket: socket.id, addr, untilNs: deadline(k, socket.options.sndTimeoNs) });
}

function connectStep(k: Kernel, task: Task, { socket: id, addr, untilNs }: ConnectWait, late: number): StepResult {
  const socket = stillThere(k, id);
  if (socket === null) return -ENOTCONN;
  const result = protocolOf(socket).connect(k, task, socket, addr, false);
  if (result !== -EINPROGRESS && result !== -EAGAIN) return result;
  if (untilNs >= 0 && now(k) >= untilNs) return result === -EAGAIN ? -EAGAIN : late;
  const queue = (result === -EAGAIN ? protocolOf(socket).connectWait?.(k, task, socket, addr) : undefined) ?? socket.writeWait;
  const wchan = result === -EAGAIN ? "unix_wait_for_peer" : "inet_wait_for_connect";
  return sleepOn(queue, { untilNs, wchan, interrupted: interruption(untilNs) });
}

const connectWait = steps<ConnectWait>("net.connect", {
  connect: (k, task, { locals }) => connectStep(k, task, locals, -EINPROGRESS),
});

/** connect(2) on a socket whose first connect did not wait. */
const connectAgain = steps<ConnectWait>("net.connect_again", {
  connect: (k, task, { locals }) => connectStep(k, task, locals, -EALREADY),
});

/** Looks for a connection to accept: a socket id, an errno, or a sleep. `untilNs`: -1 for no limit. */
export function acceptOrSleep(k: Kernel, task: Task, listener: number, untilNs: number): StepResult {
  const socket = stillThere(k, listener);
  if (socket === null) return -EINVAL;
  const id = protocolOf(socket).accept(k, task, socket);
  if (id !== -EAGAIN) return id;
  if (untilNs >= 0 && now(k) >= untilNs) return -EAGAIN;
  // A shut listener accepts what it has; only those who would wait are told.
  if ((socket.shutdown & RCV_SHUTDOWN) !== 0 && socket.unix !== null) return -EINVAL;
  return sleepOn(socket.readWait, { untilNs, exclusive: true, wchan: "inet_csk_accept", interrupted: interruption(untilNs) });
}
