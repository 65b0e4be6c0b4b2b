/** What the steps of the net machine do: calls on sockets, pipes and eventfds, by processes that share some of them. */
import type { Json } from "../../../core/input.ts";
import type { Task } from "../../../core/sched/task.ts";
import { TCP_LISTEN } from "../../../core/net/tcp_states.ts";
import { among, often, type Act, type Kind } from "./act.ts";
import { Datagrams, NUMBER_BYTES } from "./datagrams.ts";
import { Edges } from "./edges.ts";
import { Polling } from "./polling.ts";
import { isByteStream, Streams } from "./streams.ts";
import { base64, type About, type Fd, World } from "./world.ts";

const MOST_PROCESSES = 8;
const MOST_FDS = 40;
const PORTS = [2000, 2001, 2002];
const NAMES = ["@a", "@b", "@c", "/tmp/s", "/tmp/t"];
const ADDRESSES = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "0.0.0.0", "127.0.0.2"];
const TYPES = [["AF_INET", "SOCK_STREAM"], ["AF_INET", "SOCK_STREAM"], ["AF_INET", "SOCK_STREAM"], ["AF_INET", "SOCK_DGRAM"], ["AF_UNIX", "SOCK_STREAM"], ["AF_UNIX", "SOCK_DGRAM"], ["AF_UNIX", "SOCK_SEQPACKET"]] as const;

/** Calls that connect a process with itself: call 4 makes the one end, call 6 the other. */
function connection(port: number): { call: string; args: Json }[] {
  const addr = { sin_family: "AF_INET", sin_port: port, sin_addr: "127.0.0.1" };
  return [
    { call: "socket", args: { domain: "AF_INET", type: "SOCK_STREAM" } },
    { call: "setsockopt", args: { sockfd: { ret: 0 }, level: "SOL_SOCKET", optname: "SO_REUSEADDR", optval: 1 } },
    { call: "bind", args: { sockfd: { ret: 0 }, addr } },
    { call: "listen", args: { sockfd: { ret: 0 }, backlog: 1 } },
    { call: "socket", args: { domain: "AF_INET", type: "SOCK_STREAM" } },
    { call: "connect", args: { sockfd: { ret: 4 }, addr } },
    { call: "accept4", args: { sockfd: { ret: 0 }, flags: "0" } },
    { call: "close", args: { fd: { ret: 0 } } },
  ];
}

export class Moves {
  readonly world: World;
  readonly streams: Streams;
  readonly datagrams: Datagrams;
  readonly edges: Edges;
  private readonly polling: Polling;

  constructor(seed: number, keeps = false) {
    this.world = new World(seed, keeps);
    this.streams = new Streams(this.world);
    this.datagrams = new Datagrams(this.world);
    this.edges = new Edges(this.world, this.streams);
    this.polling = new Polling(this.world, this.edges);
    this.world.onKilled = ({ about }) => this.streams.killed(about);
  }

  take(act: Act): void {
    const { world } = this;
    world.budget = act.budget;
    world.mayPurge = PURGING.has(act.kind);
    world.target = 0;
    const free = world.free();
    if (world.tasks().length < 2 || (free.length === 0 && world.tasks().length < MOST_PROCESSES)) return world.createProcess();
    if (AMONG_ALL.has(act.kind)) return this.general(act);
    const wanted = NEEDS[act.kind];
    const able = wanted === undefined ? free : free.filter((one) => world.fds(one).some(wanted));
    const task = among(able.length > 0 ? able : free, act.who);
    if (task === undefined) return this.interrupt(act);
    const fds = world.fds(task);
    if (fds.length === 0 && act.kind !== "pair") return this.socket(task, act);
    this.own(task, fds, act);
  }

  /** Acts on all processes alike. */
  private general(act: Act): void {
    const { world } = this;
    const { tasks } = world.k.state.sched;
    switch (act.kind) {
      case "interrupt": return this.interrupt(act);
      case "signal": return void world.feed({ type: "signal", pid: among(world.tasks(), act.who)?.tgid ?? 0, signal: act.flags % 2 === 0 ? 10 : 12, uid: 0 });
      case "kill": if (tasks.size > 0 && world.tasks().length > 3) this.world.feed({ type: "killProcess", pid: among(world.tasks(), act.who)?.tgid ?? 0 }); return;
      case "advance": return void world.feed({ type: "advance", byNs: ADVANCES[act.size % ADVANCES.length] });
      case "restart": return world.restart();
      default: throw new Error(act.kind);
    }
  }

  private interrupt({ who }: Act): void {
    const asleep = [...this.world.k.state.calls.sleeping.keys()];
    const callId = among(asleep, who);
    if (callId !== undefined) this.world.feed({ type: "interruptCall", callId });
  }

  private own(task: Task, fds: Fd[], act: Act): void {
    const { world } = this;
    const { flags, size } = act;
    const sockets = fds.filter(({ socket }) => socket !== null);
    const socket = among(sockets, act.fd);
    const any = among(fds, act.fd) as Fd;
    switch (act.kind) {
      case "socket": return this.socket(task, act);
      case "pair": return this.pair(task, act);
      case "pipe": if (fds.length < MOST_FDS) world.call(task, "pipe2", { flags: "O_NONBLOCK" }); return;
      case "eventfd": if (fds.length < MOST_FDS) world.call(task, "eventfd2", { initval: size % 3, flags: "EFD_NONBLOCK" }); return;
      case "bind": if (socket !== undefined) world.call(task, "bind", { sockfd: socket.fd, addr: address(socket, act) }); return;
      case "listen": if (socket !== undefined) world.call(task, "listen", { sockfd: socket.fd, backlog: flags % 3 }); return;
      case "connect": return this.connect(task, sockets, act);
      case "unconnect": return this.unconnect(task, socket);
      case "accept": return this.accept(task, fds, act);
      case "send": case "write": return this.send(task, often(flags, 7, 3) ? socket : among(sockets.filter(ready), act.fd), any, act);
      case "receive": case "read": case "take": return this.receive(task, often(flags, 7, 3) ? socket : among(sockets.filter(ready), act.fd), any, act);
      case "join": return this.join(task, act);
      case "serve": return this.serve(task, act);
      case "sendto": case "pass": return this.sendmsg(task, fds, act);
      case "shutdown": if (socket !== undefined) world.call(task, "shutdown", { sockfd: socket.fd, how: ["SHUT_RD", "SHUT_WR", "SHUT_WR", "SHUT_RDWR"][flags % 4] }); return;
      case "close": return world.call(task, "close", { fd: any.fd });
      case "dup": if (fds.length < MOST_FDS) world.call(task, "dup", { oldfd: any.fd }); return;
      case "fork": if (world.tasks().length < MOST_PROCESSES) world.call(task, "fork", {}); return;
      case "exit": if (world.tasks().length > 3) world.call(task, "exit_group", { status: 0 }); return;
      case "option": if (socket !== undefined) this.option(task, socket, act); return;
      case "ask": if (socket !== undefined) this.ask(task, socket, act); return;
      case "nonblock": return world.call(task, "fcntl", { fd: any.fd, cmd: "F_SETFL", arg: often(flags, 0, 60) ? "O_NONBLOCK" : "0" });
      case "together": return this.together(task, act);
      case "drain": return this.drain();
      case "round": return this.round(task);
      default: return this.polling.take(task, fds, act);
    }
  }

  private socket(task: Task, { size, flags }: Act): void {
    if (this.world.fds(task).length >= MOST_FDS) return;
    const [domain, type] = TYPES[size % TYPES.length];
    this.world.call(task, "socket", { domain, type: nonblocking(type, flags) });
  }

  private pair(task: Task, { size, flags }: Act): void {
    if (this.world.fds(task).length > MOST_FDS - 2) return;
    this.world.call(task, "socketpair", { domain: "AF_UNIX", type: nonblocking(["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"][size % 3], flags) }, ({ sv, errno }) => {
      if (errno === null && often(flags, 8, 50)) for (const fd of sv as number[]) this.world.call(task, "setsockopt", { sockfd: fd, level: "SOL_SOCKET", optname: "SO_SNDBUF", optval: size % 9000 });
    });
  }

  private connect(task: Task, sockets: Fd[], act: Act): void {
    const fresh = sockets.filter(({ socket }) => socket?.state === "unconnected" && socket.sk !== TCP_LISTEN);
    const chosen = among(fresh, act.fd) ?? among(sockets, act.fd);
    if (chosen?.socket == null) return;
    this.world.call(task, "connect", { sockfd: chosen.fd, addr: this.towards(chosen, act) }, undefined, { what: "connect", socket: chosen.socket.id });
  }

  private unconnect(task: Task, socket: Fd | undefined): void {
    // A stream that is disconnected forgets what was on its way; the model knows its peers by number and follows.
    if (socket?.socket != null) this.world.call(task, "connect", { sockfd: socket.fd, addr: { sin_family: "AF_UNSPEC" } });
  }

  private accept(task: Task, fds: Fd[], act: Act): void {
    const chosen = among(fds.filter(listens), act.fd);
    if (chosen?.socket == null || fds.length >= MOST_FDS) return;
    this.world.call(task, "accept4", { sockfd: chosen.fd, flags: often(act.flags, 1, 50) ? "SOCK_NONBLOCK" : "0" }, undefined, { what: "accept", socket: chosen.socket.id });
  }

  private send(task: Task, chosen: Fd | undefined, any: Fd, act: Act): void {
    const { world } = this;
    if (act.kind === "write" && any.socket === null) {
      if (any.file.ops !== "eventpoll") world.call(task, "write", { fd: any.fd, buf: any.file.ops === "eventfd" ? { i64: 1 } : base64(new Uint8Array(1 + (act.size % 5000))) });
      return;
    }
    if (chosen?.socket == null) return;
    const { socket } = chosen;
    const about: About = { what: "send", socket: socket.id };
    const { bytes, done } = isByteStream(socket) ? this.streams.send(socket, act.size, about) : this.datagrams.send(socket, act.size);
    if (socket.udp !== null) world.target = socket.inet?.peerPort ?? 0;
    if (act.kind === "write") world.call(task, "writev", { fd: chosen.fd, iov: halves(bytes, act.flags) }, done, about);
    else {
      const urgent = socket.tcp !== null && often(act.flags, 10, 3);
      if (urgent) this.streams.urgent(socket);
      world.call(task, "sendto", { sockfd: chosen.fd, buf: base64(bytes), flags: `${sendFlags(act.flags)}${urgent ? "|MSG_OOB" : ""}` }, done, about);
    }
  }

  private sendmsg(task: Task, fds: Fd[], act: Act): void {
    const { world } = this;
    const to = act.kind === "sendto";
    const senders = fds.filter(({ socket }) => socket !== null && (to ? socket.type === 2 : socket.unix !== null));
    const chosen = among(senders, act.fd);
    if (chosen?.socket == null) return;
    const { socket } = chosen;
    const about: About = { what: "send", socket: socket.id };
    const { bytes, done } = isByteStream(socket) ? this.streams.send(socket, act.size, about) : this.datagrams.send(socket, act.size);
    const passed = to ? [] : [among(fds, act.other), among(fds, act.other >> 3)].slice(act.flags % 2).map((one) => one?.fd ?? 3);
    const name = address(chosen, act);
    if (to && socket.udp !== null) world.target = (name as { sin_port: number }).sin_port;
    world.call(task, "sendmsg", {
      sockfd: chosen.fd, flags: sendFlags(act.flags),
      msg: {
        ...(to ? { msg_name: name } : {}), msg_iov: halves(bytes, act.flags),
        ...(passed.length === 0 ? {} : { msg_control: [{ level: "SOL_SOCKET", type: "SCM_RIGHTS", fds: passed }] }),
      },
    }, done, about);
  }

  private receive(task: Task, chosen: Fd | undefined, any: Fd, act: Act): void {
    const { world } = this;
    if (act.kind === "read" && any.socket === null) {
      if (any.file.ops !== "eventpoll") world.call(task, "read", { fd: any.fd, count: any.file.ops === "eventfd" ? 8 : 1 + (act.size % 5000) });
      return;
    }
    if (chosen?.socket == null) return;
    const { socket } = chosen;
    const stream = isByteStream(socket);
    const count = stream ? act.size : Math.max(NUMBER_BYTES, act.size);
    const plain = act.kind !== "receive";
    const peeks = !plain && often(act.flags, 1, 10);
    const all = !plain && !peeks && stream && often(act.flags, 2, 10);
    const cuts = !plain && !all && often(act.flags, 3, 5) && socket.proto !== "unix_stream";
    const flags = [peeks ? "MSG_PEEK" : "", all ? "MSG_WAITALL" : "", cuts ? "MSG_TRUNC" : "", often(act.flags, 4, 60) ? "MSG_DONTWAIT" : ""].filter((one) => one !== "").join("|") || "0";
    const about: About = { what: "receive", socket: socket.id };
    // A peek for many bytes waits until a part of them is there.
    if (socket.tcp?.urgent != null && often(act.flags, 11, 40)) return world.call(task, "recvfrom", { sockfd: chosen.fd, len: 1, flags: "MSG_OOB" });
    const done = stream ? this.streams.receive(socket, about, peeks, cuts) : this.datagrams.receive(socket, count, peeks, cuts);
    if (act.kind === "read") world.call(task, "read", { fd: chosen.fd, count }, done, about);
    else if (act.kind === "take") {
      world.call(task, "recvmsg", { sockfd: chosen.fd, msg: { msg_iov: [{ iov_len: count >> 1 }, { iov_len: count - (count >> 1) }], ...(world.fds(task).length < MOST_FDS ? { msg_controllen: 64 } : {}) } }, done, about);
    } else world.call(task, "recvfrom", { sockfd: chosen.fd, len: count, flags }, done, about);
  }

  private option(task: Task, { fd, socket }: Fd, { size, flags }: Act): void {
    const sol = (optname: string, optval: Json): void => this.world.call(task, "setsockopt", { sockfd: fd, level: "SOL_SOCKET", optname, optval });
    switch (flags % 10) {
      case 9: return sol("SO_OOBINLINE", size % 2);
      case 0: return sol("SO_REUSEADDR", size % 2);
      case 1: return sol("SO_REUSEPORT", size % 2);
      case 2: return sol("SO_LINGER", { l_onoff: size % 3 === 0 ? 0 : 1, l_linger: size % 2 });
      case 3: return sol("SO_SNDBUF", size % 10_000);
      case 4: return sol("SO_RCVBUF", size % 10_000);
      case 5: return sol("SO_RCVLOWAT", size % 200);
      case 6: return sol("SO_RCVTIMEO", { tv_sec: size % 2, tv_usec: 1000 });
      case 7: return sol("SO_SNDTIMEO", { tv_sec: size % 2, tv_usec: 1000 });
      default: return socket?.unix == null ? sol("SO_KEEPALIVE", size % 2) : sol("SO_PASSCRED", size % 2);
    }
  }

  private ask(task: Task, { fd }: Fd, { flags }: Act): void {
    const { world } = this;
    switch (flags % 5) {
      case 0: return world.call(task, "getsockopt", { sockfd: fd, level: "SOL_SOCKET", optname: "SO_ERROR" });
      case 1: return world.call(task, "ioctl", { fd, request: "FIONREAD", arg: { out: 4 } });
      case 2: return world.call(task, "ioctl", { fd, request: "TIOCOUTQ", arg: { out: 4 } });
      case 3: return world.call(task, "getsockname", { sockfd: fd });
      default: return world.call(task, "getpeername", { sockfd: fd });
    }
  }

  /** What one process does without a pause: a wake-up, and the end of the one that it woke. */
  private together(task: Task, act: Act): void {
    const { world } = this;
    const victim = among([...world.pending.values()], act.other);
    if (victim === undefined || victim.tid === task.tid || world.tasks().length < 3) return;
    const { about } = victim;
    const target = world.k.state.sched.tasks.get(victim.tid)?.tgid ?? 0;
    if (target === task.tgid) return;
    const socket = about.what === "accept" ? world.k.state.net.sockets.get(about.socket) : undefined;
    const strike = { call: "kill", args: { pid: target, sig: act.flags % 3 === 0 ? "SIGUSR1" : "SIGKILL" } };
    if (socket?.tcp == null || socket.inet === null) return world.batch(task, [strike]);
    const fresh = Math.max(2, ...world.fds(task).map(({ fd }) => fd)) + 1;
    world.batch(task, [
      { call: "socket", args: { domain: "AF_INET", type: "SOCK_STREAM|SOCK_NONBLOCK" } },
      { call: "dup2", args: { oldfd: { ret: 0 }, newfd: fresh } },
      { call: "connect", args: { sockfd: { ret: 0 }, addr: { sin_family: "AF_INET", sin_port: socket.inet.localPort, sin_addr: "127.0.0.1" } } },
      strike,
    ]);
  }

  /** Everybody reads all there is: what then still waits to be sent has nobody to push it. */
  private drain(): void {
    const { world } = this;
    for (let round = 0; round < 60; round++) {
      let moved = 0;
      for (const task of world.free()) {
        const read = new Set<number>();
        for (const one of world.fds(task)) {
          if (one.socket === null || read.has(one.socket.id) || one.socket.sk === TCP_LISTEN || !isByteStream(one.socket)) continue;
          read.add(one.socket.id);
          const about: About = { what: "receive", socket: one.socket.id };
          const done = this.streams.receive(one.socket, about, false, false);
          world.call(task, "recvfrom", { sockfd: one.fd, len: 300_000, flags: "MSG_DONTWAIT" }, (answer) => {
            done(answer);
            moved += Math.max(0, Number(answer.ret));
          }, about);
        }
      }
      if (moved === 0) return;
    }
  }

  /** A connection whose two ends the process keeps. */
  private join(task: Task, { size, flags }: Act): void {
    const { world } = this;
    if (world.fds(task).length > MOST_FDS - 3) return;
    world.batch(task, [
      ...connection(2011),
      ...(often(flags, 8, 70) ? [
        { call: "setsockopt", args: { sockfd: { ret: 4 }, level: "SOL_SOCKET", optname: "SO_SNDBUF", optval: size % 5000 } },
        { call: "setsockopt", args: { sockfd: { ret: 6 }, level: "SOL_SOCKET", optname: "SO_RCVBUF", optval: flags % 5000 } },
      ] : []),
    ]);
  }

  /** A listener of some kind, with a short queue. */
  private serve(task: Task, act: Act): void {
    const { world } = this;
    if (world.fds(task).length > MOST_FDS - 1) return;
    const [domain, type] = ([["AF_INET", "SOCK_STREAM"], ["AF_INET", "SOCK_STREAM"], ["AF_UNIX", "SOCK_STREAM"], ["AF_UNIX", "SOCK_SEQPACKET"]] as const)[act.size % 4];
    const addr: Json = domain === "AF_INET" ? { sin_family: domain, sin_port: 0, sin_addr: "127.0.0.1" } : { sun_family: domain, sun_path: `@l${act.other % 7}` };
    world.batch(task, [
      { call: "socket", args: { domain, type: nonblocking(type, act.flags) } },
      { call: "bind", args: { sockfd: { ret: 0 }, addr } },
      { call: "listen", args: { sockfd: { ret: 0 }, backlog: act.flags % 3 } },
    ]);
  }

  /** The address of somebody who listens and whom the socket could reach, or any. */
  private towards({ socket, fd, file }: Fd, act: Act): Json {
    const listeners = [...this.world.k.state.net.sockets.values()].filter(({ sk, family, type }) => sk === TCP_LISTEN && family === socket?.family && type === socket.type);
    const found = often(act.flags, 9, 75) ? among(listeners, act.other) : undefined;
    if (found?.inet != null) return { sin_family: "AF_INET", sin_port: found.inet.localPort, sin_addr: "127.0.0.1" };
    const name = found?.unix?.name ?? null;
    return name === null ? address({ socket, fd, file }, act) : { sun_family: "AF_UNIX", sun_path: name.replace("\0", "@") };
  }

  /** A connection from its first to its last packet, with bytes both ways. */
  private round(task: Task): void {
    const { world } = this;
    const base = Math.max(2, ...world.fds(task).map(({ fd }) => fd)) + 1;
    if (base > MOST_FDS) return;
    world.batch(task, [
      ...connection(2010),
      { call: "shutdown", args: { sockfd: { ret: 4 }, how: "SHUT_WR" } },
      { call: "close", args: { fd: { ret: 6 } } },
      { call: "close", args: { fd: { ret: 4 } } },
    ]);
  }
}

const ADVANCES = [1000, 1_000_000, 20_000_000, 1_100_000_000, 1_100_000_000, 5_000_000_000, 65_000_000_000, 130_000_000_000];

/** Acts that need no process of their own. */
const AMONG_ALL: ReadonlySet<Kind> = new Set(["interrupt", "signal", "kill", "advance", "restart"]);
/** Acts that close sockets or turn them to others. */
const PURGING: ReadonlySet<Kind> = new Set(["close", "kill", "exit", "connect", "unconnect", "together", "round", "join", "take", "receive", "read", "drain", "signal", "interrupt", "pass", "send", "sendto", "write"]);

/** Sockets that bytes may cross. */
function ready({ socket }: Fd): boolean {
  return socket !== null && ((socket.state === "connected" && socket.unix === null) || socket.udp !== null || (socket.unix?.peer ?? 0) !== 0);
}

const listens = ({ socket }: Fd): boolean => socket?.sk === TCP_LISTEN;
const watches = ({ file }: Fd): boolean => file.ops === "eventpoll";

/** What a process must have for an act to mean something. */
const NEEDS: { [kind in Kind]?: (fd: Fd) => boolean } = {
  send: ready, write: ready, receive: ready, read: ready, take: ready, pass: ready, shutdown: ready, accept: listens, wait: watches, twice: watches,
};

function nonblocking(type: string, flags: number): string {
  return often(flags, 5, 50) ? `${type}|SOCK_NONBLOCK` : type;
}

function sendFlags(flags: number): string {
  return often(flags, 6, 25) ? "MSG_NOSIGNAL|MSG_DONTWAIT" : "MSG_NOSIGNAL";
}

function address({ socket }: Fd, { other, flags }: Act): Json {
  if (socket?.family === 1) return { sun_family: "AF_UNIX", sun_path: NAMES[other % NAMES.length] };
  return { sin_family: "AF_INET", sin_port: PORTS[other % PORTS.length], sin_addr: ADDRESSES[flags % ADDRESSES.length] };
}

function halves(bytes: Uint8Array, flags: number): Json {
  const cut = flags % (bytes.length + 1);
  return [base64(bytes.subarray(0, cut)), base64(bytes.subarray(cut))];
}
