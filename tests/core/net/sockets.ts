/** A machine with processes that make socket calls, for the tests of this folder. */
import { expect } from "vitest";
import { CoreMachine } from "../../helpers/core.ts";
import type { CallAnswer, Json, MachineOptions } from "../../../core/input.ts";

type Args = { [name: string]: Json };

/** A returned answer with its outputs. */
export interface Returned {
  ret: number;
  errno: string | null;
  strace: string;
  [output: string]: unknown;
}

export class Sockets extends CoreMachine {
  pid = 0;

  static async boot(machine: MachineOptions = {}): Promise<Sockets> {
    const made = new Sockets(machine);
    made.pid = await made.createProcess();
    return made;
  }

  /** A call that returns at once. */
  do(call: string, args: Args = {}, pid = this.pid): Returned {
    const answer = this.callNow(pid, call, args);
    expect(answer.state, JSON.stringify(answer)).toBe("returned");
    return answer as unknown as Returned;
  }

  /** A call that must succeed; its result. */
  ok(call: string, args: Args = {}, pid = this.pid): number {
    const answer = this.do(call, args, pid);
    expect(answer.errno, answer.strace).toBeNull();
    return answer.ret;
  }

  errno(call: string, args: Args = {}, pid = this.pid): string | null {
    return this.do(call, args, pid).errno;
  }

  /** A call that goes to sleep; its id. */
  sleeps(call: string, args: Args = {}, pid = this.pid): string {
    const answer = this.callNow(pid, call, args);
    expect(answer.state, JSON.stringify(answer)).toBe("sleeping");
    return (answer as { callId: string }).callId;
  }

  /** How a call that slept stands. */
  after(callId: string): Returned & CallAnswer {
    return this.stand(callId) as Returned & CallAnswer;
  }

  /** A listening TCP socket on a port, and its descriptor. */
  listener(port: number, backlog = 5, address = "127.0.0.1"): number {
    const fd = this.ok("socket", { domain: "AF_INET", type: "SOCK_STREAM" });
    this.ok("bind", { sockfd: fd, addr: { sin_family: "AF_INET", sin_port: port, sin_addr: address } });
    this.ok("listen", { sockfd: fd, backlog });
    return fd;
  }

  client(): number {
    return this.ok("socket", { domain: "AF_INET", type: "SOCK_STREAM" });
  }

  to(port: number): Json {
    return { sin_family: "AF_INET", sin_port: port, sin_addr: "127.0.0.1" };
  }

  /** A connection: [client, server, listener]. */
  connection(port = 2000): [number, number, number] {
    const listener = this.listener(port);
    const client = this.client();
    this.ok("connect", { sockfd: client, addr: this.to(port) });
    return [client, this.ok("accept", { sockfd: listener }), listener];
  }

  pair(type = "SOCK_STREAM"): [number, number] {
    return this.do("socketpair", { domain: "AF_UNIX", type }).sv as [number, number];
  }

  tcp(): string[] {
    return this.text("/proc/net/tcp").trimEnd().split("\n").slice(1).map((line) => line.trim());
  }

  fork(pid = this.pid): number {
    return this.ok("fork", {}, pid);
  }
}

export function textOf(buf: unknown): string {
  return Buffer.from((buf as { base64: string }).base64, "base64").toString("latin1");
}
