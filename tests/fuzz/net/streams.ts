/** Byte streams of the model: which bytes went in, how many came out, and that none was lost, doubled or changed on the way. */
import type { Socket } from "../../../core/net/socket.ts";
import { TCP_CLOSE } from "../../../core/net/tcp_states.ts";
import { bytesOf, Fault, type About, type Answer, type World } from "./world.ts";

interface Stream {
  /** Socket ids. */
  from: number;
  to: number;
  sent: number;
  received: number;
  /** Two wrote or two read at once: how their bytes lie is not foretold. */
  mixed: boolean;
  /** A process was killed in the middle: its count was told to nobody. */
  lost: boolean;
  /** Calls under way that send and receive. */
  senders: Set<object>;
  receivers: Set<object>;
}

/** The byte at an offset of a stream. */
function byteAt({ from, to }: Stream, at: number): number {
  return (Math.imul(from * 31 + to * 7 + at, 167) + (at >> 8) * 29) & 255;
}

const peerId = (socket: Socket): number => socket.tcp?.peer ?? socket.unix?.peer ?? 0;

export const isByteStream = ({ proto }: Socket): boolean => proto === "tcp" || proto === "unix_stream";

export class Streams {
  readonly all = new Map<string, Stream>();
  private readonly world: World;
  /** Sender or receiver of a stream by the call that is under way. */
  private readonly under = new Map<About, Stream>();

  constructor(world: World) {
    this.world = world;
  }

  private stream(from: number, to: number): Stream | null {
    if (from === 0 || to === 0) return null;
    const key = `${from}>${to}`;
    let stream = this.all.get(key);
    if (stream === undefined) {
      stream = { from, to, sent: 0, received: 0, mixed: false, lost: false, senders: new Set(), receivers: new Set() };
      this.all.set(key, stream);
    }
    return stream;
  }

  /** The stream that a socket writes; null without a peer. */
  out(socket: Socket): Stream | null {
    return this.stream(socket.id, peerId(socket));
  }

  in(socket: Socket): Stream | null {
    return this.stream(peerId(socket), socket.id);
  }

  /** The bytes that a send of `count` should carry, and what its answer means. */
  send(socket: Socket, count: number, about: About): { bytes: Uint8Array; done: (answer: Answer) => void } {
    const stream = this.out(socket);
    const bytes = new Uint8Array(count);
    if (stream === null) return { bytes, done: (answer) => this.sentLate(socket, answer) };
    if (stream.senders.size > 0) stream.mixed = true;
    for (let at = 0; at < count; at++) bytes[at] = byteAt(stream, stream.sent + at);
    stream.senders.add(about);
    this.under.set(about, stream);
    return {
      bytes,
      done: (answer) => {
        stream.senders.delete(about);
        this.under.delete(about);
        const ret = Number(answer.ret);
        if (ret > count) throw new Fault(`${String(answer.strace)}: sent more than was given`);
        if (ret > 0) stream.sent += ret;
      },
    };
  }

  /** A send that began before there was a peer. */
  private sentLate(socket: Socket, answer: Answer): void {
    const stream = this.out(socket);
    if (stream === null || Number(answer.ret) <= 0) return;
    stream.mixed = true;
    stream.sent += Number(answer.ret);
  }

  /** What the answer of a receive means. */
  receive(socket: Socket, about: About, peeks: boolean, drops: boolean): (answer: Answer) => void {
    const early = this.in(socket);
    const before = early?.received;
    if (early !== null && !peeks) {
      if (early.receivers.size > 0) early.mixed = true;
      early.receivers.add(about);
      this.under.set(about, early);
    }
    return (answer) => {
      const stream = early ?? this.in(socket);
      stream?.receivers.delete(about);
      this.under.delete(about);
      const ret = Number(answer.ret);
      if (ret <= 0) return;
      if (stream === null) throw new Fault(`${String(answer.strace)}: bytes from nobody`);
      const bytes = bytesOf(answer.buf ?? answer.iov ?? (answer.msg as { [field: string]: never } | undefined)?.msg_iov);
      if (!stream.mixed && !drops && !(peeks && (stream.receivers.size > 0 || before !== stream.received))) {
        for (let at = 0; at < ret; at++) {
          if (bytes[at] !== byteAt(stream, stream.received + at)) throw new Fault(`${stream.from}>${stream.to}: byte ${stream.received + at} arrived changed: ${String(answer.strace).slice(0, 200)}`);
        }
      }
      if (!peeks) stream.received += ret;
    };
  }

  /** The stream carries urgent bytes, which readers may skip: the kernel's own counts are held against each other, not these. */
  urgent(socket: Socket): void {
    const stream = this.out(socket);
    if (stream !== null) stream.lost = stream.mixed = true;
  }

  killed(about: About): void {
    const stream = this.under.get(about);
    this.under.delete(about);
    if (stream === undefined) return;
    stream.senders.delete(about);
    stream.receivers.delete(about);
    stream.lost = true;
    stream.mixed = true;
  }

  /** Bytes in = bytes out + bytes under way, of every stream whose both ends live. */
  check(): void {
    const { sockets } = this.world.k.state.net;
    const moved = new Map<About, number>();
    for (const pending of this.world.pending.values()) moved.set(pending.about, this.world.moved(pending));
    for (const [key, stream] of this.all) {
      // A socket that is connected to itself again begins again; between two others the number of the accepted end is a new one.
      if (stream.from === stream.to && sockets.get(stream.from)?.tcp?.written === 0) stream.sent = stream.received = 0;
      if (stream.lost) continue;
      const [from, to] = [sockets.get(stream.from), sockets.get(stream.to)];
      let { sent, received } = stream;
      for (const one of stream.senders) sent += moved.get(one as About) ?? 0;
      for (const one of stream.receivers) received += moved.get(one as About) ?? 0;
      const here = to === undefined || peerId(to) !== stream.from ? 0 : queued(to);
      if (received + here > sent) throw new Fault(`${key}: ${sent} bytes were sent, and ${received} received with ${here} to come`);
      if (from === undefined && to === undefined && stream.senders.size + stream.receivers.size === 0) this.all.delete(key);
      if (from === undefined || to === undefined || !alive(from, to)) continue;
      const under = here + (from.tcp?.send.length ?? 0);
      if (sent !== received + under) throw new Fault(`${key}: ${sent} bytes were sent, ${received} received, and ${under} are under way`);
    }
  }
}

/** Bytes that a socket could read. */
export function queued(socket: Socket): number {
  if (socket.tcp !== null) return socket.tcp.receive.length;
  let count = 0;
  for (const { bytes, consumed } of socket.unix?.queue ?? []) count += bytes.length - consumed;
  return count;
}

function alive(from: Socket, to: Socket): boolean {
  if (peerId(to) !== from.id || peerId(from) !== to.id) return false;
  return from.tcp !== null ? from.sk !== TCP_CLOSE && to.sk !== TCP_CLOSE && (to.held || to.tcp?.parent !== 0) : from.unix?.dead === false && to.unix?.dead === false;
}
