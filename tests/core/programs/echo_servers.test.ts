/** A thousand connections at once to kecho, and to user-echo-server beside it in the same kernel. */
import { expect, test } from "vitest";
import type { CallAnswer, Json } from "../../../core/input.ts";
import { seedRng, nextBelow } from "../../../core/lib/rng.ts";
import { bootAgain, copy, expectSame, replay } from "../../helpers/replay.ts";
import { Shell } from "./shell.ts";

const CONNECTIONS = 1_000;
const FIRST_FD = 3;
/** kecho's work queue has so many items under way at once. */
const WORKERS = 256;
/** Calls of one input. */
const AT_ONCE = 100;
const KECHO = 12346;
const USER = 12345;

type Calls = { call: string; args: { [name: string]: Json } }[];

class Clients {
  readonly sh: Shell;
  readonly pid: number;
  readonly port: number;
  constructor(sh: Shell, pid: number, port: number) {
    this.sh = sh;
    this.pid = pid;
    this.port = port;
  }

  /** Calls in parts, with time between them for who serves; all must succeed. */
  make(calls: Calls): CallAnswer[] {
    const { machine } = this.sh;
    const results: CallAnswer[] = [];
    for (let at = 0; at < calls.length; at += AT_ONCE) {
      const callId = `b${machine.calls++}`;
      const part = calls.slice(at, at + AT_ONCE);
      const { ended } = machine.feed({ type: "batch", pid: this.pid, callId, calls: part, onError: "stop" });
      const answer = ended.find((end) => end.callId === callId)?.answer as unknown as { results: (CallAnswer & { ret: number })[] };
      expect(answer?.results.at(-1)).toMatchObject({ errno: null });
      expect(answer.results).toHaveLength(part.length);
      results.push(...answer.results);
      machine.advance(5);
    }
    return results;
  }

  connect(): void {
    const fds = Array.from({ length: CONNECTIONS }, (_one, at) => FIRST_FD + at);
    this.make(fds.flatMap((sockfd): Calls => [
      { call: "socket", args: { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 } },
      { call: "connect", args: { sockfd, addr: { sin_family: "AF_INET", sin_port: this.port, sin_addr: "127.0.0.1" } } },
    ]));
  }

  send(messages: string[]): void {
    this.make(messages.map((base64, at) => ({ call: "sendto", args: { sockfd: FIRST_FD + at, buf: { base64 }, flags: 0 } })));
  }

  /** What has come back on those connections, at most as long as it should be. */
  receive(messages: string[], from: number, count: number): string[] {
    const calls = messages.slice(from, from + count).map((base64, at) => ({
      call: "recvfrom", args: { sockfd: FIRST_FD + from + at, len: Buffer.from(base64, "base64").length, flags: "MSG_DONTWAIT" },
    }));
    return this.make(calls).map((answer) => (answer as unknown as { buf: { base64: string } }).buf.base64);
  }

  close(from: number, count: number): void {
    this.make(Array.from({ length: count }, (_one, at) => ({ call: "close", args: { fd: FIRST_FD + from + at } })));
  }
}

/** One message for each connection, each of its own length and bytes. */
function messages(seed: number): string[] {
  const rng = seedRng(seed);
  return Array.from({ length: CONNECTIONS }, () => {
    const bytes = Buffer.alloc(1 + nextBelow(rng, 1500));
    for (let at = 0; at < bytes.length; at++) bytes[at] = nextBelow(rng, 256);
    return bytes.toString("base64");
  });
}

test("2,000 connections at once, half of them to each server: every echo is right, and the same happens again to the byte", async () => {
  const sh = new Shell({ ramMiB: 128, swapMiB: 0 });
  const { machine } = sh;
  sh.text(`insmod kecho.ko port=${KECHO} backlog=1024`);
  sh.start({ argv: ["user-echo-server"] });
  const kecho = new Clients(sh, await machine.createProcess(), KECHO);
  const user = new Clients(sh, await machine.createProcess(), USER);
  kecho.connect();
  user.connect();
  expect(machine.text("/proc/net/sockstat")).toMatch(new RegExp(`^TCP: inuse ${4 * CONNECTIONS + 2} `, "m"));

  const [sent, other] = [messages(1), messages(2)];
  kecho.send(sent);
  user.send(other);
  machine.advance(1_000);
  expect(user.receive(other, 0, CONNECTIONS)).toEqual(other);
  // Only so many are served at once; as they leave, the next ones are.
  for (let from = 0; from < CONNECTIONS; from += WORKERS) {
    const count = Math.min(WORKERS, CONNECTIONS - from);
    expect(kecho.receive(sent, from, count)).toEqual(sent.slice(from, from + count));
    kecho.close(from, count);
    machine.advance(1_000);
  }
  user.send(sent);
  machine.advance(1_000);
  expect(user.receive(sent, 0, CONNECTIONS)).toEqual(sent);
  user.close(0, CONNECTIONS);
  machine.advance(1_000);
  expect(sh.text("rmmod kecho")).toBe("");
  expect(machine.broken()).toEqual([]);
  // Nobody holds a connection any more, and nobody has bytes of one.
  expect([...machine.kernel.state.net.sockets.values()].filter(({ tcp }) => tcp !== null && tcp.peer !== 0)).toEqual([]);

  const middle = Math.floor(machine.journal.length / 2);
  const again = replay(bootAgain(machine), machine.journal, (k, at) => (at === middle ? copy(k) : k));
  expectSame(again, machine.kernel);
});

/** Single calls of a process that stands by as a client. */
class Client {
  readonly sh: Shell;
  readonly pid: number;
  constructor(sh: Shell, pid: number) {
    this.sh = sh;
    this.pid = pid;
  }

  call(name: string, args: { [name: string]: Json }): { ret: number; errno: string | null; buf?: { text: string } } {
    return this.sh.machine.callNow(this.pid, name, args) as unknown as { ret: number; errno: string | null; buf?: { text: string } };
  }

  connect(): number {
    const { ret: sockfd } = this.call("socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 });
    expect(this.call("connect", { sockfd, addr: { sin_family: "AF_INET", sin_port: USER, sin_addr: "127.0.0.1" } })).toMatchObject({ errno: null });
    return sockfd;
  }

  /** Whether the server answers a word on that connection. */
  echoes(sockfd: number): boolean {
    expect(this.call("sendto", { sockfd, buf: "word", flags: "MSG_NOSIGNAL" })).toMatchObject({ ret: 4 });
    this.sh.machine.advance(10);
    return this.call("recvfrom", { sockfd, len: 4, flags: "MSG_DONTWAIT" }).buf?.text === "word";
  }
}

test.each([["user-echo-server", true], ["user-echo-server.seed", false]] as const)("%s when its descriptors run out", async (program, survives) => {
  const sh = new Shell();
  const callId = sh.start({ script: `ulimit -n 10; ${program}` });
  const client = new Client(sh, await sh.machine.createProcess());
  // 0 to 2, the listener, epoll, and five clients: accept(2) asks for a descriptor before it looks for a connection.
  const fds = Array.from({ length: survives ? 8 : 5 }, () => client.connect());
  sh.machine.advance(10);
  if (!survives) {
    expect(sh.stand(callId)).toMatchObject({ state: "program", exit: 255, stderr: "Fail to accept: Too many open files\n" });
    return;
  }
  expect(fds.map((fd) => client.echoes(fd))).toEqual([true, true, true, true, true, false, false, false]);
  for (const fd of fds.slice(0, 3)) client.call("close", { fd });
  sh.machine.advance(10);
  // Those that waited have been answered meanwhile.
  for (const sockfd of fds.slice(5)) expect(client.call("recvfrom", { sockfd, len: 4, flags: "MSG_DONTWAIT" }).buf?.text).toBe("word");
  expect(fds.slice(3).map((fd) => client.echoes(fd))).toEqual([true, true, true, true, true]);
  expect(sh.stand(callId).state).toBe("sleeping");
});

test.each([["user-echo-server", true], ["user-echo-server.seed", false]] as const)("%s when a client breaks its connection off", async (program, survives) => {
  const sh = new Shell();
  const callId = sh.start({ argv: [program] });
  const client = new Client(sh, await sh.machine.createProcess());
  const [broken, other] = [client.connect(), client.connect()];
  // SO_LINGER of nothing: the connection ends with a reset.
  expect(client.call("setsockopt", { sockfd: broken, level: "SOL_SOCKET", optname: "SO_LINGER", optval: { hex: "0100000000000000" } })).toMatchObject({ ret: 0 });
  client.call("close", { fd: broken });
  sh.machine.advance(10);
  if (survives) {
    expect(client.echoes(other)).toBe(true);
    expect(sh.stand(callId).state).toBe("sleeping");
  } else {
    expect(sh.stand(callId)).toMatchObject({ state: "program", exit: 255, stderr: "Fail to receive: Connection reset by peer\n" });
  }
});

test("a client that takes nothing is left alone, and gets all of it later", async () => {
  const sh = new Shell();
  sh.start({ argv: ["user-echo-server"] });
  const client = new Client(sh, await sh.machine.createProcess());
  const [slow, quick] = [client.connect(), client.connect()];
  const part = "0123456789abcdef".repeat(4096);
  let sent = 0;
  for (let quiet = 0; quiet < 3;) {
    const { ret } = client.call("sendto", { sockfd: slow, buf: part, flags: "MSG_DONTWAIT" });
    sent += Math.max(ret, 0);
    quiet = ret < 0 ? quiet + 1 : 0;
    sh.machine.advance(10);
  }
  expect(sent).toBeGreaterThan(1_000_000);
  expect(client.echoes(quick)).toBe(true);
  let got = "";
  for (let idle = 0; got.length < sent && idle < 100; idle++) {
    const { buf } = client.call("recvfrom", { sockfd: slow, len: 1 << 20, flags: "MSG_DONTWAIT" });
    if (buf !== undefined) got += buf.text;
    sh.machine.advance(10);
  }
  expect(got.length).toBe(sent);
  expect(got).toBe("0123456789abcdef".repeat(Math.ceil(sent / 16)).slice(0, sent));
});
