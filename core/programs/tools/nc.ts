/** nc of busybox: stdin goes over a TCP connection, what comes back to stdout; with -l it waits for one connection itself. */
import { errnoMessage } from "../../abi/errno.ts";
import { POLLIN } from "../../abi/epoll.ts";
import { encodeSockaddr, formatIpv4, parseIpv4, SOCKADDR_IN_SIZE } from "../../abi/sockaddr.ts";
import { AF_INET, INADDR_ANY, INADDR_LOOPBACK, SHUT_WR, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET } from "../../abi/socket.ts";
import { nameBytes } from "../../fs/names.ts";
import { getU16, putU16, putU32 } from "../../lib/bytes.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";

const STDIN = 0;
const PART = 1024;
const POLLFD = 8;

interface NcLocals {
  addr: number;
  port: number;
  listens: boolean;
  /** Seconds that the last bytes are waited for once stdin has ended; -1 for ever. */
  seconds: number;
  listener: number;
  net: number;
  /** stdin has ended. */
  ended: boolean;
  stdinReady: boolean;
  /** What stdin gave and the connection has not taken, one character a byte. */
  rest: string;
}

function begin(p: Proc, args: string[]): NcLocals | number {
  const { has, rest, problem } = getopt(args, "lp:w:nv");
  if (problem !== "") return p.fail(problem);
  const listens = "l" in has;
  const [host, word = has.p] = listens && has.p === undefined ? ["0.0.0.0", rest[0]] : listens ? ["0.0.0.0", has.p] : rest;
  const seconds = has.w === undefined ? -1 : Number(has.w);
  if (host === undefined || word === undefined || Number.isNaN(seconds)) {
    p.err("Usage: nc [-l] [-p PORT] [-w SEC] [HOST] [PORT]\n");
    return 1;
  }
  const addr = host === "localhost" ? INADDR_LOOPBACK : parseIpv4(host);
  if (addr === undefined) return p.fail(`bad address '${host}'`);
  if (!/^\d{1,5}$/.test(word) || Number(word) > 65_535) return p.fail(`bad port '${word}'`);
  return { addr, port: Number(word), listens, seconds, listener: -1, net: -1, ended: false, stdinReady: false, rest: "" };
}

/** The connection, and stdin until it has ended. */
function pollSet({ net, ended }: NcLocals): Uint8Array {
  const fds = ended ? [net] : [net, STDIN];
  const bytes = new Uint8Array(fds.length * POLLFD);
  fds.forEach((fd, at) => {
    putU32(bytes, at * POLLFD, fd);
    putU16(bytes, at * POLLFD + 4, POLLIN);
  });
  return bytes;
}

const one = (): Uint8Array => {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, 1);
  return bytes;
};

tool<NcLocals>("nc", "bin", begin, {
  socket: (p) => p.sys("socket", AF_INET, SOCK_STREAM, 0),
  made: (p, l) => {
    if (p.ret < 0) return p.fail(`socket: ${errnoMessage(-p.ret)}`);
    l.net = p.ret;
    return l.listens ? NEXT : to("connect");
  },
  reuse: (p, { net }) => p.sys("setsockopt", net, SOL_SOCKET, SO_REUSEADDR, one(), 4),
  bind: (p, { net, port }) => p.sys("bind", net, encodeSockaddr({ family: AF_INET, port, addr: INADDR_ANY }), SOCKADDR_IN_SIZE),
  listen: (p, { net }) => (p.ret < 0 ? p.fail(`bind: ${errnoMessage(-p.ret)}`) : p.sys("listen", net, 1)),
  accept: (p, { net }) => (p.ret < 0 ? p.fail(`listen: ${errnoMessage(-p.ret)}`) : p.sys("accept", net, 0, 0)),
  accepted: (p, l) => {
    if (p.ret < 0) return p.fail(`accept: ${errnoMessage(-p.ret)}`);
    l.listener = l.net;
    l.net = p.ret;
    return p.sys("close", l.listener);
  },
  serve: () => to("poll"),

  connect: (p, { net, addr, port }) => p.sys("connect", net, encodeSockaddr({ family: AF_INET, port, addr }), SOCKADDR_IN_SIZE),
  connected: (p, { addr }) => (p.ret < 0 ? p.fail(`can't connect to remote host (${formatIpv4(addr)}): ${errnoMessage(-p.ret)}`) : NEXT),

  poll: (p, l) => p.sys("poll", pollSet(l), l.ended ? 1 : 2, l.ended && l.seconds >= 0 ? l.seconds * 1000 : -1),
  ready: (p, l) => {
    if (p.ret === 0) return 0;
    if (p.ret < 0) return to("poll");
    const set = p.laid(2 * POLLFD);
    l.stdinReady = !l.ended && getU16(set, POLLFD + 6) !== 0;
    return getU16(set, 6) === 0 ? to("stdin") : NEXT;
  },
  receive: (p, { net }) => p.sys("recvfrom", net, { room: PART }, PART, 0, 0, 0),
  show: (p) => (p.ret <= 0 ? 0 : p.write(1, p.text(p.ret))),
  stdin: (p, { stdinReady }) => (stdinReady ? p.sys("read", STDIN, { room: PART }, PART) : to("poll")),
  taken: (p, l) => {
    l.rest = p.ret > 0 ? p.text(p.ret) : "";
    return l.rest === "" ? to("end") : NEXT;
  },
  send: (p, { net, rest }) => p.sys("sendto", net, nameBytes(rest), rest.length, 0, 0, 0),
  sent: (p, l) => {
    if (p.ret < 0) return p.fail(`write: ${errnoMessage(-p.ret)}`);
    l.rest = l.rest.slice(p.ret);
    return to(l.rest === "" ? "poll" : "send");
  },
  end: (p, l) => {
    l.ended = true;
    return p.sys("shutdown", l.net, SHUT_WR);
  },
  shut: () => to("poll"),
});
