/** What Linux's poll would say of a file, and whether anybody sleeps who has no reason to. */
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM } from "../../../core/abi/epoll.ts";
import { SOCK_DGRAM, SOL_SOCKET, SO_OOBINLINE } from "../../../core/abi/socket.ts";
import type { EpollItem } from "../../../core/fs/eventpoll.ts";
import { opsOf } from "../../../core/fs/file.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { protocolOf } from "../../../core/net/proto.ts";
import { underPressure, type Socket } from "../../../core/net/socket.ts";
import {
  RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, TCP_CLOSE, TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "../../../core/net/tcp_states.ts";
import { windowOf } from "../../../core/net/tcp_window.ts";
import { Fault, type Pending, type World } from "./world.ts";

const INLINE = `${SOL_SOCKET}:${SO_OOBINLINE}`;
const READ = POLLIN | POLLRDNORM;
const WRITE = POLLOUT | POLLWRNORM;

/** tcp_poll, udp_poll, unix_poll and unix_dgram_poll, written a second time. */
export function socketMask(k: Kernel, socket: Socket): number {
  const { shutdown, sk, err } = socket;
  const ended = (err !== 0 ? POLLERR : 0) | (shutdown === SHUTDOWN_MASK ? POLLHUP : 0) | ((shutdown & RCV_SHUTDOWN) !== 0 ? READ | POLLRDHUP : 0);
  if (socket.tcp !== null) {
    if (sk === TCP_LISTEN) return socket.tcp.acceptQueue.length > 0 ? READ : 0;
    let mask = ended | (sk === TCP_CLOSE ? POLLHUP : 0);
    if (sk === TCP_SYN_SENT || sk === TCP_SYN_RECV) return mask;
    if (readable(k, socket)) mask |= READ;
    if ((socket.tcp.urgent?.byte ?? -1) >= 0) mask |= POLLPRI;
    if ((shutdown & SEND_SHUTDOWN) !== 0 || writeable(k, socket)) mask |= WRITE;
    return mask;
  }
  if (socket.udp !== null) return ended | WRITE | POLLWRBAND | (socket.udp.queue.length > 0 ? READ : 0);
  const { unix } = socket;
  if (unix === null) return 0;
  let mask = ended | (unix.queue.length > 0 ? READ : 0);
  if (sk === TCP_CLOSE && socket.type !== SOCK_DGRAM) mask |= POLLHUP;
  if (sk === TCP_LISTEN || unix.allocated * 4 > socket.options.sndbuf || (unix.allocated > 0 && underPressure(k))) return mask;
  const peer = socket.proto === "unix_stream" ? null : (k.state.net.sockets.get(unix.peer)?.unix ?? null);
  return peer !== null && peer.peer !== socket.id && peer.queue.length > peer.backlog ? mask : mask | WRITE | POLLWRBAND;
}

/** tcp_epollin_ready: as much as SO_RCVLOWAT asks for, or no room for more. */
function readable(k: Kernel, socket: Socket): boolean {
  const { tcp } = socket;
  if (tcp === null) return false;
  const waiting = tcp.receive.length;
  // A marked byte that is next is skipped, unless it is read in line (SO_OOBINLINE).
  const beside = tcp.urgent !== null && tcp.urgent.at === tcp.taken && socket.options.stored.get(INLINE) !== 1 ? 1 : 0;
  return waiting >= socket.options.rcvLowat + beside || (waiting > 0 && windowOf(k, socket) <= 536);
}

function writeable(k: Kernel, { tcp, options }: Socket): boolean {
  const queued = tcp?.send.length ?? 0;
  const limit = underPressure(k) ? Math.min(4096, options.sndbuf) : options.sndbuf;
  return limit - queued >= queued >> 1;
}

/** What a file says now; nothing changes. */
export function maskOf(k: Kernel, fileId: number, depth = 0): number {
  const file = k.state.fs.files.get(fileId);
  if (file === undefined) return 0;
  if (file.ops === "socket") {
    const socket = k.state.net.sockets.get(file.private);
    return socket === undefined ? 0 : socketMask(k, socket);
  }
  if (file.ops === "eventpoll") {
    if (depth > 5) return 0;
    const { ready } = file.data as { ready: number[] };
    return ready.some((id) => wants(k, k.state.fs.epollItems.get(id), depth) !== 0) ? READ : 0;
  }
  return opsOf(k, file).poll?.(k, null, file).mask ?? 0;
}

/** Bits of its file that an item asks for. */
export function wants(k: Kernel, item: EpollItem | undefined, depth = 0): number {
  return item === undefined ? 0 : (maskOf(k, item.file, depth + 1) & item.events) >>> 0;
}

/** The protocols say what Linux's would. */
export function checkMasks(k: Kernel): void {
  for (const socket of k.state.net.sockets.values()) {
    if (socket.proto === "unix_dgram" || socket.proto === "unix_seqpacket") continue;
    const [said, wanted] = [protocolOf(socket).poll(k, socket), socketMask(k, socket)];
    if (said !== wanted) throw new Fault(`socket ${socket.id} polls as ${said.toString(16)}, and not as ${wanted.toString(16)}`);
  }
}

/** Nobody sleeps on a condition that holds. */
export function checkSleepers(world: World): void {
  for (const pending of world.pending.values()) {
    const why = awake(world, pending);
    if (why !== null) throw new Fault(`lost wake-up: task ${pending.tid} sleeps in ${pending.about.what}, and ${why}`);
  }
}

function awake(world: World, { about, tid }: Pending): string | null {
  const { k } = world;
  const foretold = world.pressed() ? ~(WRITE | POLLWRBAND) : ~0;
  const task = k.state.sched.tasks.get(tid);
  if (task?.state !== "sleeping") return task?.state === "stopped" ? null : `is ${task?.state ?? "gone"}`;
  if (about.what === "other") return null;
  if (about.what === "poll") {
    const one = about.asked.find(({ file, events }) => (maskOf(k, file) & events & foretold) !== 0);
    return one === undefined ? null : `file ${one.file} is ready`;
  }
  if (about.what === "epoll") return (maskOf(k, about.file) & POLLIN) === 0 || world.pressed() ? null : `epoll ${about.file} has something to tell`;
  const socket = k.state.net.sockets.get(about.socket);
  if (socket === undefined) return `socket ${about.socket} is gone`;
  const over = socket.err !== 0 ? "it has an error" : null;
  switch (about.what) {
    case "accept": return (socket.tcp?.acceptQueue.length ?? socket.unix?.queue.length ?? 0) > 0 ? "a connection waits" : socket.sk !== TCP_LISTEN ? "it does not listen" : null;
    case "receive": return over ?? asleepReceive(k, socket);
    case "send": return over ?? asleepSend(k, socket, world.pressed());
    case "connect": return over ?? (socket.tcp !== null && socket.sk !== TCP_SYN_SENT ? "it has connected" : null);
  }
}

function asleepReceive(k: Kernel, socket: Socket): string | null {
  const end = socket.proto === "unix_dgram" || socket.udp !== null ? 0 : socket.shutdown & RCV_SHUTDOWN;
  if (end !== 0) return "its end has come";
  if (socket.tcp !== null) return socket.sk === TCP_CLOSE ? "it is closed" : readable(k, socket) ? "bytes are there" : null;
  return (socket.udp?.queue.length ?? socket.unix?.queue.length ?? 0) > 0 ? "something is there" : null;
}

function asleepSend(k: Kernel, socket: Socket, pressed: boolean): string | null {
  if ((socket.shutdown & SEND_SHUTDOWN) !== 0) return "it is shut";
  if (socket.tcp !== null) {
    if (socket.sk === TCP_SYN_SENT) return null;
    return socket.sk !== TCP_ESTABLISHED && socket.sk !== TCP_CLOSE_WAIT ? "it is not connected" : writeable(k, socket) && !pressed ? "there is room" : null;
  }
  if (socket.proto === "unix_stream") return (socketMask(k, socket) & POLLOUT) !== 0 && !pressed ? "there is room" : null;
  return null;
}
