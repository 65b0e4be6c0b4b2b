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
