/** Datagrams of the model: each has a number, arrives once, whole and in its sender's order, and is lost only for a reason. */
import type { Socket } from "../../../core/net/socket.ts";
import { udpTruesize } from "../../../core/net/skbuff.ts";
import { bytesOf, Fault, type Answer, type World } from "./world.ts";

interface Datagram {
  id: number;
  from: number;
  size: number;
  state: "sending" | "sent" | "refused" | "received";
  /** Its sender slept, and others may have passed it meanwhile. */
  slept: boolean;
  /** UDP may drop it where there is no room. */
  udp: boolean;
}

/** Bytes of its number, which come first. */
export const NUMBER_BYTES = 4;

export class Datagrams {
  private readonly all = new Map<number, Datagram>();
  /** Numbers in every receiver's queue, as they were after the last step. */
  private before = new Map<number, number[]>();
  /** Sent and received since then: [receiver, number]. */
  private sent: Datagram[] = [];
  private received: [number, number][] = [];
  private readonly sending = new Set<Datagram>();
  private readonly world: World;
  private next = 1;
  drops = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** The bytes of a datagram, and what the answer of its send means. */
  send(socket: Socket, size: number): { bytes: Uint8Array; done: (answer: Answer) => void } {
    const datagram: Datagram = { id: this.next++, from: socket.id, size: Math.max(NUMBER_BYTES, size), state: "sending", slept: false, udp: socket.udp !== null };
    this.all.set(datagram.id, datagram);
    this.sending.add(datagram);
    return {
      bytes: contents(datagram),
      done: (answer) => {
        this.sending.delete(datagram);
        if (answer.errno !== null) {
          if (datagram.state === "received") throw new Fault(`${String(answer.strace)}: refused, and received all the same`);
          datagram.state = "refused";
          this.all.delete(datagram.id);
          return;
        }
        if (Number(answer.ret) !== datagram.size) throw new Fault(`${String(answer.strace)}: a part of a datagram`);
        if (datagram.state === "sending") datagram.state = "sent";
        this.sent.push(datagram);
      },
    };
  }

  /** What the answer of a receive with `room` bytes means. */
  receive(socket: Socket, room: number, peeks: boolean, truncates: boolean): (answer: Answer) => void {
    return (answer) => {
      if (answer.errno !== null || (Number(answer.ret) === 0 && room > 0)) return;
      const bytes = bytesOf(answer.buf ?? answer.iov ?? (answer.msg as { [field: string]: never } | undefined)?.msg_iov);
      const id = bytes.length < NUMBER_BYTES ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
      const datagram = this.all.get(id);
      if (datagram === undefined) throw new Fault(`${String(answer.strace).slice(0, 200)}: nobody sent datagram ${id}`);
      const count = Math.min(room, datagram.size);
      if (Number(answer.ret) !== (truncates ? datagram.size : count)) throw new Fault(`${String(answer.strace).slice(0, 200)}: datagram ${id} has ${datagram.size} bytes`);
      if (Buffer.compare(bytes.subarray(0, count), contents(datagram).subarray(0, count)) !== 0) throw new Fault(`datagram ${id} arrived changed`);
      if (peeks) return;
      if (datagram.state === "received") throw new Fault(`datagram ${id} arrived twice`);
      datagram.state = "received";
      this.received.push([socket.id, id]);
    };
  }

  /** Every queue is what it was, with what was sent behind it, less what was received from its front. */
  check(): void {
    for (const datagram of this.sending) datagram.slept = true;
    const now = new Map<number, number[]>();
    const arrived = new Set(this.received.map(([, id]) => id));
    for (const socket of this.world.k.state.net.sockets.values()) {
      const ids = numbers(socket);
      if (ids === null) continue;
      now.set(socket.id, ids);
      const last = new Map<number, number>();
      for (const id of ids) {
        const datagram = this.all.get(id);
        if (datagram === undefined || datagram.state === "received") throw new Fault(`socket ${socket.id} queues datagram ${id}, which is ${datagram?.state ?? "nobody's"}`);
        if (!datagram.slept && (last.get(datagram.from) ?? 0) > id) throw new Fault(`datagram ${id} stands behind a later one of its sender`);
        last.set(datagram.from, id);
      }
      this.kept(socket, ids, arrived);
    }
    for (const datagram of this.sent) this.whereabouts(datagram, now, arrived);
    for (const [, id] of this.received) this.all.delete(id);
    this.sent = [];
    this.received = [];
    this.before = now;
  }

  /** What was in a socket's queue and was not received is there still, in its order; a connect may have emptied it. */
  private kept(socket: Socket, ids: readonly number[], arrived: ReadonlySet<number>): void {
    const rest = (this.before.get(socket.id) ?? []).filter((id) => !arrived.has(id));
    if (rest.length === 0 || this.world.mayPurge) return;
    if (rest.some((id, at) => ids[at] !== id)) throw new Fault(`socket ${socket.id} had datagrams ${rest.join()} left and has ${ids.join()}`);
  }

  private whereabouts({ id, udp, size }: Datagram, now: Map<number, number[]>, arrived: ReadonlySet<number>): void {
    if (arrived.has(id) || [...now.values()].some((ids) => ids.includes(id))) return;
    this.all.delete(id);
    if (!udp) {
      if (!this.world.mayPurge) throw new Fault(`datagram ${id} was sent and is nowhere`);
      return;
    }
    this.drops++;
    const { sockets } = this.world.k.state.net;
    const target = this.world.target;
    const receiver = target === 0 ? undefined : [...sockets.values()].find(({ udp: other, inet, options }) =>
      other !== null && inet?.portHeld === true && inet.localPort === target && inet.peerPort === 0 && inet.localAddr === 0
      && other.allocated + udpTruesize(size) <= options.rcvbuf);
    if (receiver !== undefined && !this.world.pressed()) throw new Fault(`datagram ${id} for port ${target} was dropped, and socket ${receiver.id} had room`);
  }
}

/** Numbers of the datagrams in a socket's queue; null of one that keeps no datagrams. */
function numbers({ udp, unix, proto }: Socket): number[] | null {
  if (udp !== null) return udp.queue.map(({ bytes }) => number(bytes));
  if (unix === null || proto === "unix_stream") return null;
  return unix.queue.filter(({ connection }) => connection === 0).map(({ bytes }) => number(bytes));
}

const number = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);

function contents({ id, size }: Datagram): Uint8Array {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setInt32(0, id, true);
  for (let at = NUMBER_BYTES; at < size; at++) bytes[at] = (id * 31 + at * 7) & 255;
  return bytes;
}
