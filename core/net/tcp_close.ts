/** How TCP connections end: FIN and RST, TIME_WAIT, orphans (tcp_input.c, tcp_minisocks.c, tcp_timer.c). */
import { ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { now } from "../time/clock.ts";
import { armTimer, cancelTimer, timerCallback } from "../time/timer.ts";
import { clear } from "./byte_queue.ts";
import { loopbackXmit } from "./loopback.ts";
import { endListening, leavePort, portUsers, takeOff } from "./tcp_port.ts";
import { inetOf, stateChange, tcpOf, type Socket } from "./socket.ts";
import { TIMEWAITS_MAX, TIMEWAIT_NS } from "./state.ts";
import { finTimeout } from "./sysctl.ts";
import {
  RCV_SHUTDOWN, SHUTDOWN_MASK, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
  TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "./tcp_states.ts";

/** tcp_orphan_retries: an orphan whose bytes nobody takes gives up after about this. */
const ORPHAN_NS = 102_400_000_000;

/** The other end of a connection while it can be reached; null when a segment to it would be answered by a RST. */
export function peerOf(k: Kernel, socket: Socket): Socket | null {
  const { peer } = tcpOf(socket);
  const other = peer === 0 ? undefined : k.state.net.sockets.get(peer);
  return other === undefined || other.sk === TCP_CLOSE || tcpOf(other).peer !== socket.id ? null : other;
}

/** Forgets unread and unsent bytes, and their share of the memory. */
export function purge(k: Kernel, socket: Socket): void {
  const { send, receive } = tcpOf(socket);
  k.state.net.memory -= send.length + receive.length;
  clear(send);
  clear(receive);
}

function purgeSend(k: Kernel, socket: Socket): void {
  const { send } = tcpOf(socket);
  k.state.net.memory -= send.length;
  clear(send);
}

export function stopTimer(k: Kernel, socket: Socket): void {
  const tcp = tcpOf(socket);
  if (tcp.timer !== 0) cancelTimer(k, tcp.timer);
  tcp.timer = 0;
}

/** Arms the socket's one timer for `afterNs` from now. */
export function startTimer(k: Kernel, socket: Socket, callback: string, afterNs: number): void {
  stopTimer(k, socket);
  const tcp = tcpOf(socket);
  tcp.expiresNs = now(k) + afterNs;
  tcp.timer = armTimer(k, { expiresNs: tcp.expiresNs, callback, arg: socket.id });
}

/** The connection is over (tcp_done): CLOSED, both halves shut, its port free unless bound; an orphan's record goes. */
export function tcpDone(k: Kernel, socket: Socket): void {
  stopTimer(k, socket);
  purgeSend(k, socket);
  tcpOf(socket).finQueued = false;
  socket.sk = TCP_CLOSE;
  if (!inetOf(socket).portLocked) leavePort(k, socket);
  socket.shutdown = SHUTDOWN_MASK;
  stateChange(k, socket);
  if (!socket.held && tcpOf(socket).parent === 0) destroy(k, socket);
}

/** Takes the record of a closed socket out of the table. */
export function destroy(k: Kernel, socket: Socket): void {
  stopTimer(k, socket);
  purge(k, socket);
  leavePort(k, socket);
  k.state.net.synBursts.delete(socket.id);
  k.state.net.sockets.delete(socket.id);
}

/** A RST came: everything is dropped, and the next call is told why (tcp_reset). */
export function resetArrived(k: Kernel, socket: Socket): void {
  if (socket.sk === TCP_CLOSE) return;
  const { mib } = k.state.net;
  mib.tcpOutRsts++;
  if (socket.sk === TCP_SYN_SENT) mib.tcpAttemptFails++;
  else if (socket.sk === TCP_ESTABLISHED || socket.sk === TCP_CLOSE_WAIT) mib.tcpEstabResets++;
  socket.err = socket.sk === TCP_SYN_SENT ? ECONNREFUSED : socket.sk === TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
  tcpDone(k, socket);
}

/** Sends a RST to the other end. */
export function sendReset(k: Kernel, socket: Socket): void {
  loopbackXmit(k, 1);
  const peer = peerOf(k, socket);
  if (peer !== null && peer !== socket) resetArrived(k, peer);
}

/** States in which an abort tells the other end (tcp_need_reset). */
export function needsReset({ sk }: Socket): boolean {
  return sk === TCP_ESTABLISHED || sk === TCP_CLOSE_WAIT || sk === TCP_FIN_WAIT1 || sk === TCP_FIN_WAIT2 || sk === TCP_SYN_RECV;
}

/** Moves the state on as this side closes; true when a FIN is to be sent (tcp_close_state). */
function closeState(socket: Socket): boolean {
  switch (socket.sk) {
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV:
      socket.sk = TCP_FIN_WAIT1;
      return true;
    case TCP_CLOSE_WAIT:
      socket.sk = TCP_LAST_ACK;
      return true;
    default:
      return false;
  }
}

/** Closes the sending half: a FIN follows the bytes that still wait. */
export function closeSending(k: Kernel, socket: Socket): void {
  if (!closeState(socket)) return;
  tcpOf(socket).finQueued = true;
  flushFin(k, socket);
}

/** Sends the FIN once nothing waits before it; on the loopback its acknowledgement comes back at once. */
export function flushFin(k: Kernel, socket: Socket): void {
  const tcp = tcpOf(socket);
  if (!tcp.finQueued || tcp.send.length > 0) return;
  tcp.finQueued = false;
  loopbackXmit(k, 1);
  const peer = peerOf(k, socket);
  if (peer === null) return resetArrived(k, socket);
  finArrived(k, peer);
  finAcknowledged(k, socket);
}

function finAcknowledged(k: Kernel, socket: Socket): void {
  switch (socket.sk) {
    case TCP_FIN_WAIT1:
      socket.sk = TCP_FIN_WAIT2;
      stateChange(k, socket);
      if (!socket.held) orphaned(k, socket);
      return;
    case TCP_CLOSING:
      return timeWait(k, socket);
    case TCP_LAST_ACK:
      return tcpDone(k, socket);
  }
}

/** The other end will send nothing more (tcp_fin). */
function finArrived(k: Kernel, socket: Socket): void {
  socket.shutdown |= RCV_SHUTDOWN;
  tcpOf(socket).done = true;
  tcpOf(socket).finUnread = true;
  switch (socket.sk) {
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV:
      socket.sk = TCP_CLOSE_WAIT;
      break;
    case TCP_FIN_WAIT1:
      socket.sk = TCP_CLOSING;
      break;
    case TCP_FIN_WAIT2:
      return timeWait(k, socket);
  }
  stateChange(k, socket);
}

/** The connection waits out its time as a small record that holds the port; the socket itself is closed. */
function timeWait(k: Kernel, socket: Socket): void {
  const { net } = k.state;
  const inet = inetOf(socket);
  if (net.timeWaits.size < TIMEWAITS_MAX) {
    const id = net.nextTimeWait++;
    const expiresNs = now(k) + TIMEWAIT_NS;
    net.timeWaits.set(id, {
      id, localAddr: inet.localAddr, localPort: inet.localPort, peerAddr: inet.peerAddr, peerPort: inet.peerPort,
      reuseAddr: socket.options.reuseAddr, reusePort: socket.options.reusePort,
      timer: armTimer(k, { expiresNs, callback: "tcp.timewait", arg: id }), expiresNs,
    });
    portUsers(k, inet.localPort).timeWaits.push(id);
  }
  tcpDone(k, socket);
}

timerCallback("tcp.timewait", endTimeWait);

/** A connection has waited long enough, or is dropped: its port is free (inet_twsk_deschedule_put). */
export function endTimeWait(k: Kernel, id: number): void {
  const { localPort, timer } = must(k.state.net.timeWaits, id);
  cancelTimer(k, timer);
  k.state.net.timeWaits.delete(id);
  takeOff(k, localPort, "timeWaits", id);
}

/** Nobody holds the socket: it lives on only as long as its peer may need it. */
export function orphaned(k: Kernel, socket: Socket): void {
  if (socket.sk === TCP_CLOSE) return destroy(k, socket);
  if (socket.sk === TCP_FIN_WAIT2) {
    const { linger2 } = socket.options;
    if (linger2 < 0) {
      sendReset(k, socket);
      return tcpDone(k, socket);
    }
    return startTimer(k, socket, "tcp.orphan", (linger2 > 0 ? Math.min(linger2, 60) : finTimeout(k)) * 1e9);
  }
  startTimer(k, socket, "tcp.orphan", ORPHAN_NS);
}

timerCallback("tcp.orphan", (k, id) => {
  const socket = must(k.state.net.sockets, id);
  tcpOf(socket).timer = 0;
  // FIN_WAIT2 ends silently: what the peer sends later is answered by a RST. Bytes that nobody took are given up.
  if (socket.sk !== TCP_FIN_WAIT2) socket.err = ETIMEDOUT;
  tcpDone(k, socket);
});

/** Everything back to a fresh socket; the other end is reset when it was connected (tcp_disconnect). */
export function disconnect(k: Kernel, socket: Socket): void {
  const inet = inetOf(socket);
  const tcp = tcpOf(socket);
  const old = socket.sk;
  if (old === TCP_LISTEN) {
    stopListening(k, socket);
    endListening(k, socket);
  } else if (needsReset(socket)) {
    sendReset(k, socket);
    socket.err = ECONNRESET;
  } else if (old === TCP_SYN_SENT) socket.err = ECONNRESET;
  stopTimer(k, socket);
  purge(k, socket);
  socket.sk = TCP_CLOSE;
  if (old !== TCP_CLOSE && !inet.portLocked) leavePort(k, socket);
  if (!inet.addrLocked) inet.localAddr = 0;
  inet.peerPort = 0;
  tcp.peer = 0;
  tcp.finQueued = false;
  tcp.done = false;
  tcp.finUnread = false;
  tcp.written = 0;
  tcp.taken = 0;
  tcp.urgentOut = null;
  tcp.urgent = null;
  socket.shutdown = 0;
  stateChange(k, socket);
}

/** Connections that nobody accepted are reset (inet_csk_listen_stop). */
export function stopListening(k: Kernel, socket: Socket): void {
  const queue = tcpOf(socket).acceptQueue;
  tcpOf(socket).acceptQueue = [];
  for (const id of queue) {
    const child = must(k.state.net.sockets, id);
    tcpOf(child).parent = 0;
    if (child.sk !== TCP_CLOSE) sendReset(k, child);
    child.sk = TCP_CLOSE;
    destroy(k, child);
  }
}

/** The last holder closes the socket (tcp_close); true when it should linger until the bytes are taken. */
export function tcpRelease(k: Kernel, socket: Socket): boolean {
  socket.held = false;
  socket.file = 0;
  const { receive } = tcpOf(socket);
  const unread = receive.length > 0;
  k.state.net.memory -= receive.length;
  clear(receive);
  socket.shutdown = SHUTDOWN_MASK;
  if (socket.sk === TCP_LISTEN) {
    stopListening(k, socket);
    endListening(k, socket);
  } else if (socket.sk === TCP_SYN_SENT) socket.sk = TCP_CLOSE;
  else if (socket.sk !== TCP_CLOSE && (unread || socket.options.linger === 0)) {
    sendReset(k, socket);
    socket.sk = TCP_CLOSE;
  } else closeSending(k, socket);
  // closeSending may have ended the connection, and with it the record.
  if (!k.state.net.sockets.has(socket.id)) return false;
  orphaned(k, socket);
  return socket.options.linger > 0 && tcpOf(socket).send.length > 0;
}

