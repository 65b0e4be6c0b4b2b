/**
 * user-echo-server: the epoll server that kecho is compared with, on port 12345, edge-triggered, with a list of its clients.
 * The report's form (`user-echo-server.seed`) reads once an event, answers 512 bytes whatever came, and ends at every error; what it prints
 * to a pipe is seen when 4096 bytes of it have come together, where the other one's lines are seen at once, as on a terminal.
 */
import { EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, errnoMessage } from "../../abi/errno.ts";
import { EPOLL_CTL_ADD, EPOLLET, EPOLLIN, EPOLLOUT } from "../../abi/epoll.ts";
import { F_SETFL, O_NONBLOCK } from "../../abi/fcntl.ts";
import { decodeSockaddr, encodeSockaddr, formatIpv4, SOCKADDR_IN_SIZE } from "../../abi/sockaddr.ts";
import { AF_INET, INADDR_ANY, MSG_NOSIGNAL, SOCK_STREAM } from "../../abi/socket.ts";
import { nameBytes } from "../../fs/names.ts";
import { getI32, getU32, putU32 } from "../../lib/bytes.ts";
import { NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";

const PORT = 12345;
const BACKLOG = 128;
const EVENTS_MAX = 256;
/** struct epoll_event is packed on x86-64. */
const EVENT_SIZE = 12;
const BUF_SIZE = 512;
const CLOCK_PROCESS_CPUTIME_ID = 2;
/** User time of one node of the list that is walked, ns. */
const NODE_NS = 2;
const FAILED = 255;
/** What accept(2) answers when nobody can be taken in before somebody leaves. */
const WITHOUT_ROOM = [EMFILE, ENFILE, ENOBUFS, ENOMEM];

interface ServerLocals {
  listener: number;
  epoll: number;
  /** Descriptors of the round's events, and which is under way. */
  ready: number[];
  index: number;
  /** In the order in which they came. */
  clients: number[];
  client: number;
  /** What clients have not got back yet, by their descriptors. */
  pending: { [fd: number]: string };
  /** A client had to be left waiting for want of a descriptor. */
  full: boolean;
  /** CPU time at the round's begin, ns. */
  beganNs: number;
}

const walk = (p: Proc, nodes: number): void => { p.work(nodes * NODE_NS); };

/** perror and exit(-1). */
function fatal(p: Proc, what: string): StepResult {
  p.err(`${what}: ${errnoMessage(-p.ret)}\n`);
  return to("failed");
}

function event(events: number, fd: number): Uint8Array {
  const bytes = new Uint8Array(EVENT_SIZE);
  putU32(bytes, 0, events);
  putU32(bytes, 4, fd);
  return bytes;
}

/** A sockaddr_in that a call left, as "127.0.0.1:35206". */
function from(bytes: Uint8Array): string {
  const address = decodeSockaddr(bytes);
  return address?.family === AF_INET ? `${formatIpv4(address.addr)}:${address.port}` : "?";
}

/** The call is made as of the step of that name, which the program need not come to first. */
function as(p: Proc, step: string, result: StepResult): StepResult {
  p.frame.step = step;
  return result;
}

const waitForEvents = (p: Proc, { epoll }: ServerLocals): StepResult => p.sys("epoll_wait", epoll, { room: EVENTS_MAX * EVENT_SIZE }, EVENTS_MAX, -1);
const receive = (p: Proc, { client }: ServerLocals): StepResult => p.sys("recvfrom", client, { room: BUF_SIZE }, BUF_SIZE, 0, 0, 0);
const now = (p: Proc): StepResult => p.sys("clock_gettime", CLOCK_PROCESS_CPUTIME_ID, { room: 16 });

/** A struct timespec of a clock that began with the process, ns. */
function timeOf(p: Proc): number {
  const bytes = p.took(16);
  return getU32(bytes, 0) * 1e9 + getU32(bytes, 8);
}

/** `%.6f` of seconds. */
const seconds = (ns: number): string => {
  const us = Math.round(ns / 1000);
  return `${Math.floor(us / 1e6)}.${String(us % 1e6).padStart(6, "0")}`;
};

function server(name: string, { careful }: { careful: boolean }): void {
  const send = (p: Proc, { client, pending }: ServerLocals): StepResult =>
    p.sys("sendto", client, nameBytes(pending[client]), pending[client].length, careful ? MSG_NOSIGNAL : 0, 0, 0);
  /** The round's next event, or its end. */
  const next = (p: Proc, l: ServerLocals): StepResult => {
    if (l.index >= l.ready.length) return as(p, "end", now(p));
    l.client = l.ready[l.index++];
    if (l.client === l.listener) return to("accept");
    return l.client in l.pending ? as(p, "send", send(p, l)) : as(p, "receive", receive(p, l));
  };
  // A client that takes nothing is left alone until it has room.
  const interest = EPOLLIN | EPOLLET | (careful ? EPOLLOUT : 0);
  tool<ServerLocals>(name, "bin", () => ({ listener: -1, epoll: -1, ready: [], index: 0, clients: [], client: -1, pending: {}, full: false, beganNs: 0 }), {
    socket: (p) => {
      if (careful) p.setLineBuffered();
      return p.sys("socket", AF_INET, SOCK_STREAM, 0);
    },
    created: (p, l) => {
      if (p.ret < 0) return fatal(p, "Fail to create socket");
      l.listener = p.ret;
      p.out(`Main listener (fd=${p.ret}) was created.\n`);
      return NEXT;
    },
    nonblocking: (p, { listener }) => p.sys("fcntl", listener, F_SETFL, O_NONBLOCK),
    bind: (p, { listener }) => (p.ret < 0 ? fatal(p, "Fail to set nonblocking") : p.sys("bind", listener, encodeSockaddr({ family: AF_INET, port: PORT, addr: INADDR_ANY }), SOCKADDR_IN_SIZE)),
    bound: (p) => {
      if (p.ret < 0) return fatal(p, "Fail to bind");
      p.out("Listener was binded to 0.0.0.0\n");
      return NEXT;
    },
    listen: (p, { listener }) => p.sys("listen", listener, BACKLOG),
    create: (p) => (p.ret < 0 ? fatal(p, "Fail to listen") : p.sys("epoll_create", EVENTS_MAX)),
    add: (p, l) => {
      if (p.ret < 0) return fatal(p, "Fail to create epoll");
      l.epoll = p.ret;
      return p.sys("epoll_ctl", l.epoll, EPOLL_CTL_ADD, l.listener, event(EPOLLIN | EPOLLET, l.listener));
    },
    added: (p, { epoll }) => {
      if (p.ret < 0) return fatal(p, "Fail to control epoll");
      p.out(`Listener (fd=${epoll}) was added to epoll.\n`);
      return NEXT;
    },

    wait: waitForEvents,
    woken: (p, l) => {
      if (p.ret === -EINTR && careful) return to("wait");
      if (p.ret < 0) return fatal(p, "Fail to wait epoll");
      p.out(`epoll event count: ${p.ret}\n`);
      const bytes = p.took(p.ret * EVENT_SIZE);
      l.ready = Array.from({ length: p.ret }, (_one, at) => getI32(bytes, at * EVENT_SIZE + 4));
      l.index = 0;
      return as(p, "begin", now(p));
    },
    begin: now,
    began: (p, l) => {
      l.beganNs = timeOf(p);
      return next(p, l);
    },
    next,

    accept: (p, { listener }) => {
      const length = new Uint8Array(4);
      putU32(length, 0, SOCKADDR_IN_SIZE);
      return p.sys("accept", listener, { room: SOCKADDR_IN_SIZE }, length);
    },
    accepted: (p, l) => {
      if (p.ret === -EAGAIN) return to("next");
      if (careful && WITHOUT_ROOM.includes(-p.ret)) return to("full");
      if (careful && (p.ret === -ECONNABORTED || p.ret === -EINTR)) return to("accept");
      if (p.ret < 0) return fatal(p, "Fail to accept");
      l.client = p.ret;
      p.out(`Connection from ${from(p.took(SOCKADDR_IN_SIZE))}, socket assigned: ${p.ret}\n`);
      return p.sys("fcntl", p.ret, F_SETFL, O_NONBLOCK);
    },
    watch: (p, { epoll, client }) =>
      (p.ret < 0 ? fatal(p, "Fail to set nonblocking") : p.sys("epoll_ctl", epoll, EPOLL_CTL_ADD, client, event(interest, client))),
    watched: (p, l) => {
      if (p.ret < 0) return fatal(p, "Fail to control epoll");
      l.clients.push(l.client);
      // The list is walked to its end to append, and once more to count.
      walk(p, careful ? 1 : 2 * l.clients.length);
      p.out(`Add new client (fd=${l.client}) and size of client_list is ${l.clients.length}\n`);
      return to("accept");
    },
    full: (p, l) => {
      l.full = true;
      p.err(`Fail to accept: ${errnoMessage(-p.ret)}\n`);
      return to("next");
    },

    receive,
    received: (p, l) => {
      if (p.ret === -EAGAIN && careful) return next(p, l);
      // An error of one connection is the end of that one.
      if (p.ret === 0 || (p.ret < 0 && careful)) return to("close");
      if (p.ret < 0) return fatal(p, "Fail to receive");
      const text = p.text(p.ret);
      p.out(`Client #${l.client} :> ${text}${careful ? "\n" : ""}`);
      l.pending[l.client] = careful ? text : text.padEnd(BUF_SIZE, "\0");
      return as(p, "send", send(p, l));
    },
    send,
    sent: (p, l) => {
      const { client, pending } = l;
      if (p.ret < 0 && careful) return p.ret === -EAGAIN ? next(p, l) : to("close");
      if (p.ret < 0) return fatal(p, "Fail to send");
      const rest = pending[client].slice(p.ret);
      if (careful && rest !== "") {
        pending[client] = rest;
        return as(p, "send", send(p, l));
      }
      delete pending[client];
      return careful ? as(p, "receive", receive(p, l)) : next(p, l);
    },

    close: (p, { client }) => p.sys("close", client),
    closed: (p, l) => {
      if (p.ret < 0) return fatal(p, "Fail to close");
      walk(p, l.clients.length);
      l.clients = l.clients.filter((fd) => fd !== l.client);
      delete l.pending[l.client];
      p.out(`After fd=${l.client} is closed, current numbers clients = ${l.clients.length}\n`);
      if (!l.full) return to("next");
      l.full = false;
      return to("accept");
    },

    end: now,
    told: (p, l) => {
      p.out(`Statistics: ${l.ready.length} event(s) handled at: ${seconds(timeOf(p) - l.beganNs)} second(s)\n`);
      return as(p, "wait", waitForEvents(p, l));
    },
    failed: () => FAILED,
  });
}

server("user-echo-server", { careful: true });
server("user-echo-server.seed", { careful: false });
