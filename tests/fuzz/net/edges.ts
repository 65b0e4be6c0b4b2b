/** Epoll beside its memory: what became true since the last step stands on the ready list or was told, and nothing was told twice. */
import { EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLONESHOT, EPOLLWAKEUP, POLLIN, POLLRDNORM } from "../../../core/abi/epoll.ts";
import type { EpollItem } from "../../../core/fs/eventpoll.ts";
import { queued, type Streams } from "./streams.ts";
import { maskOf, wants } from "./polls.ts";
import { Fault, type World } from "./world.ts";

const PRIVATE = (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE) >>> 0;
const READ = POLLIN | POLLRDNORM;

interface Seen {
  mask: number;
  arrived: number;
}

export const fires = ({ events }: EpollItem): boolean => (events & ~PRIVATE) !== 0;

export class Edges {
  /** What was so of every watched file after the last step. */
  private seen = new Map<number, Seen>();
  /** Items that epoll_wait told in this step. */
  readonly told = new Set<number>();
  private readonly world: World;
  private readonly streams: Streams;

  constructor(world: World, streams: Streams) {
    this.world = world;
    this.streams = streams;
  }

  check(): void {
    const { k } = this.world;
    const { epollItems } = k.state.fs;
    const now = new Map<number, Seen>();
    for (const { file } of epollItems.values()) if (!now.has(file)) now.set(file, { mask: maskOf(k, file), arrived: this.arrived(file) });
    const steady = !this.world.pressed();
    for (const item of epollItems.values()) {
      if (item.ready || !fires(item) || this.told.has(item.id)) continue;
      const mask = wants(k, item);
      const exclusive = (item.events & EPOLLEXCLUSIVE) !== 0;
      if (mask !== 0 && (item.events & (EPOLLET | EPOLLEXCLUSIVE)) === 0 && this.wakes(item) && steady) throw new Fault(`level-triggered item ${item.id} has ${mask.toString(16)} to tell and is not on its list`);
      const before = this.seen.get(item.file);
      const after = now.get(item.file);
      if (before === undefined || after === undefined || !steady || exclusive || !this.wakes(item)) continue;
      const risen = after.mask & ~before.mask & (item.events | EPOLLERR | EPOLLHUP);
      if (risen !== 0) throw new Fault(`item ${item.id} lost the edge of ${risen.toString(16)}`);
      if ((mask & READ) !== 0 && after.arrived > before.arrived) throw new Fault(`item ${item.id} lost the arrival of bytes`);
    }
    this.seen = now;
    this.told.clear();
  }

  /** Whether all that its file can come to say wakes: a datagram socket that turns to another peer does not. */
  private wakes({ file }: EpollItem): boolean {
    const { k } = this.world;
    const open = k.state.fs.files.get(file);
    if (open?.ops === "eventpoll") return true;
    const socket = open?.ops === "socket" ? k.state.net.sockets.get(open.private) : undefined;
    return socket === undefined || (socket.proto !== "unix_dgram" && socket.proto !== "unix_seqpacket");
  }

  /** Bytes that have come to a stream's end so far. */
  private arrived(file: number): number {
    const { k } = this.world;
    const open = k.state.fs.files.get(file);
    const socket = open?.ops === "socket" ? k.state.net.sockets.get(open.private) : undefined;
    if (socket === undefined || (socket.proto !== "tcp" && socket.proto !== "unix_stream")) return 0;
    if (socket.options.rcvLowat > 1) return 0;
    const stream = this.streams.in(socket);
    return stream === null ? 0 : stream.received + queued(socket);
  }
}
