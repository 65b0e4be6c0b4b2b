/** Who a unix socket is connected to; the record of a dead one stays while somebody is. */
import { ECONNRESET } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { wake } from "../sched/wait_queue.ts";
import { socketOf, stateChange, unixOf, type Socket } from "./socket.ts";
import { TCP_CLOSE } from "./tcp_states.ts";
import { purgeMessages } from "./unix_queue.ts";

/** Connects `socket` to another (0 for none); the old peer's record goes when it was dead and this was its last. */
export function setPeer(k: Kernel, socket: Socket, peer: number): void {
  const unix = unixOf(socket);
  const old = unix.peer;
  unix.peer = peer;
  if (peer !== 0) unixOf(socketOf(k, peer)).peerRefs++;
  if (old !== 0) putPeer(k, socketOf(k, old));
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
    wake(k, unix.peerWait, { nr: Infinity });
    if (other !== null && !unixOf(other).dead && unixOf(other).peer === socket.id) {
      other.err = ECONNRESET;
      stateChange(k, other);
    }
  }
  if (other !== null) other.sk = TCP_CLOSE;
}
