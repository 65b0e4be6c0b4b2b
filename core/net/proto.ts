/** Protocols: the operations behind a socket, by the name that its record carries (struct proto_ops). */
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import type { WaitQueue } from "../sched/wait_queue.ts";
import type { Addr } from "../fs/file.ts";
import type { Message } from "./message.ts";
import type { Socket } from "./socket.ts";

/**
 * None of these sleeps: -EAGAIN of `accept`, `sendmsg` and `recvmsg` says "not now", -EINPROGRESS of `connect` says
 * "under way", and wait.ts decides whether to wait. All others of -4095 … -1 are errnos of the call.
 */
export interface Protocol {
  /** `addr` are the bytes of a sockaddr as the caller gave them. */
  bind(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number;
  connect(k: Kernel, task: Task, socket: Socket, addr: Uint8Array, nonblock: boolean): number;
  /** Where a connect that answered -EAGAIN waits; the socket's own queue when absent. */
  connectWait?(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): WaitQueue;
  listen(k: Kernel, task: Task, socket: Socket, backlog: number): number;
  /** The id of the accepted socket, which nobody holds yet. */
  accept(k: Kernel, task: Task, socket: Socket): number;
  /** The bytes of the own or the peer's address, or an errno. */
  getname(k: Kernel, socket: Socket, peer: boolean): Uint8Array | number;
  /** Moves what can be moved, counted in `msg.copied`; with -EAGAIN `msg.wait` is the queue to wait on. */
  sendmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number;
  /** What a send is refused for before what lies beside its bytes is looked at; 0 or an errno. */
  beforeSend?(k: Kernel, socket: Socket, msg: Message): number;
  recvmsg(k: Kernel, task: Task, socket: Socket, msg: Message, flags: number): number;
  /** `how`: RCV_SHUTDOWN and SEND_SHUTDOWN bits. */
  shutdown(k: Kernel, socket: Socket, how: number): number;
  /** POLL bits that hold now. */
  poll(k: Kernel, socket: Socket): number;
  /** FIONREAD, TIOCOUTQ …; ENOTTY for what it does not know. Numbers go to the user's int at `arg`. */
  ioctl(k: Kernel, task: Task, socket: Socket, request: number, arg: Addr): number;
  /** Nobody holds the socket any more. Answers true when SO_LINGER makes the closer wait. */
  release(k: Kernel, task: Task | null, socket: Socket): boolean;
}

const protocols = new Map<string, Protocol>();

/** Registers a protocol under the name that sockets carry. */
export function protocol(name: string, operations: Protocol): void {
  assert(!protocols.has(name), `two protocols named ${name}`);
  protocols.set(name, operations);
}

export function protocolOf(socket: Socket): Protocol {
  return must(protocols, socket.proto);
}
