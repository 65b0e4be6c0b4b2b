/** /proc/net beside the state: every row is a socket's, and the totals are their sums. */
import { view } from "../../../core/index.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { TCP_CLOSE, TCP_FIN_WAIT2, TCP_LISTEN } from "../../../core/net/tcp_states.ts";
import { Fault } from "./world.ts";

function rows(k: Kernel, path: string): string[] {
  const seen = view(k, { uid: 0 }, path);
  if (!("bytes" in seen)) throw new Fault(`${path}: ${JSON.stringify(seen)}`);
  return new TextDecoder().decode(seen.bytes).trimEnd().split("\n");
}

function same(what: string, told: unknown, counted: unknown): void {
  const [a, b] = [JSON.stringify(told), JSON.stringify(counted)];
  if (a !== b) throw new Fault(`${what} tells ${a}, counted are ${b}`);
}

export function checkFiles(k: Kernel): void {
  const { net } = k.state;
  const sockets = [...net.sockets.values()];
  // A connection of which nobody holds an end any more waits for the other's FIN as a small record (FIN_WAIT2).
  const small = sockets.filter(({ tcp, sk, held }) => tcp !== null && !held && tcp.parent === 0 && sk === TCP_FIN_WAIT2);
  const tcp = sockets.filter((socket) => socket.tcp !== null && !small.includes(socket));
  const queues = (text: string): number[] => (text.split(":")).map((part) => parseInt(part, 16));
  const told = rows(k, "/proc/net/tcp").slice(1).map((line) => line.trim().split(/\s+/));
  same("/proc/net/tcp: connections", told.length, tcp.filter(({ sk, inet }) => inet?.portHeld === true && (sk === TCP_LISTEN || inet.peerPort !== 0)).length + small.length + net.timeWaits.size);
  const sums = told.reduce(([tx, rx], row) => [tx + queues(row[4])[0], rx + queues(row[4])[1]], [0, 0]);
  const shown = tcp.filter(({ inet, sk }) => inet?.portHeld === true && (sk === TCP_LISTEN || inet.peerPort !== 0));
  same("/proc/net/tcp: queues", sums, [
    shown.reduce((sum, socket) => sum + (socket.tcp?.send.length ?? 0), 0),
    shown.reduce((sum, { sk, tcp: own }) => sum + (sk === TCP_LISTEN ? own?.acceptQueue.length ?? 0 : (own?.receive.length ?? 0) + Number(own?.finUnread)), 0),
  ]);
  const udp = sockets.filter((socket) => socket.udp !== null && socket.inet?.portHeld === true);
  const datagrams = rows(k, "/proc/net/udp").slice(1).map((line) => queues(line.trim().split(/\s+/)[4])[1]).sort();
  same("/proc/net/udp: queues", datagrams, udp.map((socket) => socket.udp?.allocated ?? 0).sort());
  same("/proc/net/unix: sockets", rows(k, "/proc/net/unix").length - 1, sockets.filter(({ unix }) => unix?.dead === false).length);
  const stat = rows(k, "/proc/net/sockstat").map((line) => line.match(/\d+/g)?.map(Number));
  same("/proc/net/sockstat: used", stat[0], [sockets.filter(({ held }) => held).length]);
  same("/proc/net/sockstat: TCP inuse, orphan, tw, alloc", stat[1]?.slice(0, 4), [
    tcp.filter(({ sk }) => sk !== TCP_CLOSE).length, tcp.filter(({ held, tcp: own }) => !held && own?.parent === 0).length,
    net.timeWaits.size + small.length, tcp.length,
  ]);
  same("/proc/net/sockstat: UDP inuse", stat[2]?.[0], udp.length);
  for (const { id, tcp: own, sk } of sockets) if (own !== null && sk === TCP_CLOSE && own.send.length > 0) throw new Fault(`socket ${id} is closed and has bytes to send`);
}
