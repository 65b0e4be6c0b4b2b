/** Who a unix socket is connected to; the record of a dead one stays while somebody is. */
import { ECONNRESET } from "../abi/errno.ts";
import { POLLOUT, POLLWRBAND, POLLWRNORM } from "../abi/epoll.ts";
import type { Kernel } from "../kernel.ts";
import { wake } from "../sched/wait_queue.ts";
import { socketOf, stateChange, unixOf, type Socket, type Unix } from "./socket.ts";
import { TCP_CLOSE } from "./tcp_states.ts";
import { purgeMessages } from "./unix_queue.ts";

/** Connects `socket` to another (0 for none); the old peer's record goes when it was dead and this was its last. */
export function setPeer(k: Kernel, socket: Socket, peer: number): void {
  const unix = unixOf(socket);
  const old = unix.peer;
  if (old !== 0 && old !== peer) leavePeerWake(k, socket, unixOf(socketOf(k, old)));
  unix.peer = peer;
  if (peer !== 0) unixOf(socketOf(k, peer)).peerRefs++;
  if (old !== 0) putPeer(k, socketOf(k, old));
}

/** There is room in this queue, or its end has come: senders that wait for it, and pollers of those it had turned away. */
export function wakePeers(k: Kernel, unix: Unix, key: number): void {
  for (const id of unix.peerWake.splice(0)) wake(k, socketOf(k, id).writeWait, { nr: Infinity, key });
  wake(k, unix.peerWait, { nr: Infinity, key });
}

/** A socket that turns to another peer waits for the old one's queue no longer (unix_dgram_peer_wake_disconnect_wakeup). */
function leavePeerWake(k: Kernel, socket: Socket, { peerWake }: Unix): void {
  const at = peerWake.indexOf(socket.id);
  if (at < 0) return;
  peerWake.splice(at, 1);
  if (!unixOf(socket).dead) wake(k, socket.writeWait, { nr: Infinity, key: POLLOUT | POLLWRNORM | POLLWRBAND });
}

function putPeer(k: Kernel, peer: Socket): void {
  const unix = unixOf(peer);
  if (--unix.peerRefs === 0 && unix.dead) k.state.net.sockets.delete(peer.id);
}

/** A datagram socket left `other`: what it had received is lost, and `other` is told if it was connected back (unix_dgram_disconnected). */
export function dgramDisconnected(k: Kernel, socket: Socket, other: Socket | null): void {
  const unix = unixOf(socket);
  if (unix.queue.length > 0) {
    purgeMessages(k, unix);
    wakePeers(k, unix, 0);
    if (other !== null && !unixOf(other).dead && unixOf(other).peer === socket.id) {
      other.err = ECONNRESET;
      stateChange(k, other);
    }
  }
  if (other !== null) other.sk = TCP_CLOSE;
}
