/** A unix socket's queue of messages, what they count against their senders, and the room that opens as they go. */
import type { Kernel } from "../kernel.ts";
import { detachFiles, putFiles } from "./scm.ts";
import { dataReady, underPressure, unixOf, writeSpace, type Socket, type Unix, type UnixMessage } from "./socket.ts";
import { TCP_LISTEN } from "./tcp_states.ts";

/** More messages wait than the backlog admits (unix_recvq_full). */
export function queueFull(unix: Unix): boolean {
  return unix.queue.length > unix.backlog;
}

/** Puts a message into `to`'s queue, counted against `from`. */
export function enqueueMessage(k: Kernel, from: Socket, to: Socket, message: UnixMessage): void {
  unixOf(from).allocated += message.truesize;
  k.state.net.memory += message.truesize;
  unixOf(to).queue.push(message);
  dataReady(k, to);
}

/** Takes the message at `index` out of the queue; its sender has room again. The caller holds its descriptors. */
export function removeMessage(k: Kernel, unix: Unix, message: UnixMessage, index = 0): void {
  if (index === 0) unix.queue.shift();
  else unix.queue.splice(index, 1);
  k.state.net.memory -= message.truesize;
  const sender = k.state.net.sockets.get(message.sender);
  if (sender?.unix == null) return;
  sender.unix.allocated -= message.truesize;
  if (unixWritable(k, sender)) writeSpace(k, sender);
}

/** Drops everything; descriptors under way are closed. Answers the connections that waited to be accepted. */
export function purgeMessages(k: Kernel, unix: Unix): number[] {
  const connections: number[] = [];
  for (let message = unix.queue[0]; message !== undefined; message = unix.queue[0]) {
    removeMessage(k, unix, message);
    if (message.connection !== 0) connections.push(message.connection);
    putFiles(k, detachFiles(k, message));
  }
  return connections;
}

/** At most a quarter of the send buffer is in others' queues (unix_writable), and a message may be allocated: who polls must not spin. */
export function unixWritable(k: Kernel, socket: Socket): boolean {
  return socket.sk !== TCP_LISTEN && unixOf(socket).allocated * 4 <= socket.options.sndbuf && mayAllocate(k, socket);
}

/** Another message may be allocated (sock_alloc_send_pskb). */
export function mayAllocate(k: Kernel, socket: Socket): boolean {
  const { allocated } = unixOf(socket);
  return allocated < socket.options.sndbuf && (allocated === 0 || !underPressure(k));
}
