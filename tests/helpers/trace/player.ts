/** Plays a recorded scenario on a machine and tells the first step that differs, as two strace lines. */
import type { CallAnswer, Json } from "../../../core/input.ts";
import { difference } from "./compare.ts";
import type { Scenario, Step, Value } from "./scenario.ts";
import { Symbols } from "./symbols.ts";
import { translate } from "./translate.ts";

/** What a scenario is played on, fresh for each: a kernel of the core, or a session of a server. */
export interface Machine {
  createProcess(): Promise<number>;
  /** Starts a call; answers once it has ended or the kernel is quiet. A fault of `load` and `store` is only told of. */
  call(pid: number, call: string, args: { [name: string]: Json }): Promise<CallAnswer>;
  /** Lets kernel time go on by `ms`, at most until the process's call has ended; how the call stands then. */
  wait(pid: number, callId: string, ms: number): Promise<CallAnswer>;
  /** Deliveries to counted handlers. */
  signalCount(pid: number, signal: string): Promise<number>;
  /** /proc/PID/maps */
  maps(pid: number): Promise<string>;
}

export interface Outcome {
  name: string;
  /** null when every step was as recorded. */
  failure: string | null;
  steps: number;
}

/** How long the recorder waited before it called a call blocked, ms. */
const BLOCKED_MS = 120;
/** No recorded call that ends takes longer by itself. */
const PATIENCE_MS = 5_000;

export async function play(machine: Machine, scenario: Scenario): Promise<Outcome> {
  const player = new Player(machine);
  await player.begin();
  for (const [at, step] of scenario.steps.entries()) {
    const failure = await player.step(step, at).catch((error: unknown) => `${String(error)}`);
    if (failure !== null) {
      return { name: scenario.name, steps: at, failure: `step ${at}: ${failure}\n  expected ${expectedLine(step)}\n  got      ${player.last}` };
    }
  }
  return { name: scenario.name, failure: null, steps: scenario.steps.length };
}

/** A step as strace would show it. */
function expectedLine({ as, call, args, ret, errno, blocked }: Step): string {
  const list = Object.entries(args).map(([name, value]) => `${name}=${show(value)}`).join(", ");
  return `${as} ${call}(${list}) = ${blocked === true ? "<blocked>" : `${show(ret)}${errno === null ? "" : ` ${errno}`}`}`;
}

function show(value: Value): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner));
}

class Player {
  readonly symbols = new Symbols();
  readonly pids = new Map<string, number>();
  /** Calls that were recorded as blocked: step index → pid and call. */
  readonly pending = new Map<number, { pid: number; callId: string }>();
  readonly machine: Machine;
  last = "(nothing)";

  constructor(machine: Machine) {
    this.machine = machine;
  }

  async begin(): Promise<void> {
    const pid = await this.machine.createProcess();
    this.pids.set("p0", pid);
    this.symbols.bind("$pid0", pid);
    const directory = "/root/trace";
    await this.must(pid, "umask", { mask: 0 });
    await this.must(pid, "mkdir", { pathname: directory, mode: 0o755 });
    await this.must(pid, "chdir", { path: directory });
    await this.must(pid, "umask", { mask: 0o22 });
    await this.must(pid, "rt_sigaction", { signum: "SIGPIPE", act: { sa_handler: "SIG_IGN" } });
  }

  async must(pid: number, call: string, args: { [name: string]: Json }): Promise<void> {
    const answer = await this.machine.call(pid, call, args);
    if (answer.state !== "returned" || !("ret" in answer) || answer.errno !== null) throw new Error(`${call}: ${JSON.stringify(answer)}`);
  }

  pidOf(name: string): number {
    const pid = this.pids.get(name);
    if (pid === undefined) throw new Error(`no process ${name}`);
    return pid;
  }

  async step(step: Step, at: number): Promise<string | null> {
    const pid = this.pidOf(step.as);
    switch (step.call) {
      case "$sigcount": {
        const count = await this.machine.signalCount(pid, step.args.sig as string);
        this.last = `${count} deliveries`;
        return count === Number(step.ret) ? null : "another count of signals";
      }
      case "$maps": return this.maps(pid, step);
      case "$still_blocked": {
        const { callId } = this.blockedCall(step.args.of as number);
        const answer = await this.machine.wait(pid, callId, BLOCKED_MS);
        this.last = JSON.stringify(answer);
        return (answer.state === "sleeping") === (Number(step.ret) === 1) ? null : "blocked or not";
      }
      case "$return": {
        const { callId } = this.blockedCall(step.args.of as number);
        return this.judge(step, await this.machine.wait(pid, callId, PATIENCE_MS));
      }
      default: return this.makeCall(step, pid, at);
    }
  }

  blockedCall(at: number): { pid: number; callId: string } {
    const pending = this.pending.get(at);
    if (pending === undefined) throw new Error(`step ${at} is no blocked call`);
    return pending;
  }

  async makeCall(step: Step, pid: number, at: number): Promise<string | null> {
    const { call, args } = translate(this.symbols, step);
    let answer = await this.machine.call(pid, call, args);
    if (answer.state === "sleeping" && answer.callId !== undefined) {
      const { callId } = answer;
      answer = await this.machine.wait(pid, callId, step.blocked === true ? BLOCKED_MS : PATIENCE_MS);
      if (step.blocked === true) {
        this.last = JSON.stringify(answer);
        if (answer.state !== "sleeping") return "the call is not blocked";
        this.pending.set(at, { pid, callId });
        return null;
      }
    } else if (step.blocked === true) {
      this.last = JSON.stringify(answer);
      return "the call is not blocked";
    }
    return this.judge(step, answer);
  }

  judge(step: Step, answer: CallAnswer): string | null {
    this.last = "strace" in answer && typeof answer.strace === "string" ? answer.strace : JSON.stringify(answer);
    const told = this.differenceOrAlt(step, answer);
    if (told !== null) return told;
    if (answer.state !== "returned" || !("ret" in answer)) return null;
    if (step.child !== undefined) this.pids.set(step.child, Number(answer.ret));
    if (Array.isArray(step.bind)) {
      const fds = (answer.pipefd ?? answer.sv) as number[];
      step.bind.forEach((name, index) => this.symbols.bind(name, fds[index]));
    }
    return null;
  }

  differenceOrAlt(step: Step, answer: CallAnswer): string | null {
    const inodes = new Map(this.symbols.inodes);
    const told = difference(this.symbols, step, answer);
    if (told === null || step.alt === undefined) return told;
    this.symbols.inodes.clear();
    for (const [name, ino] of inodes) this.symbols.inodes.set(name, ino);
    return difference(this.symbols, { ...step, ...step.alt }, answer);
  }

  async maps(pid: number, step: Step): Promise<string | null> {
    const base = this.symbols.integer(step.args.addr);
    const end = base + this.symbols.integer(step.args.length);
    const lines: Value[] = [];
    for (const line of (await this.machine.maps(pid)).split("\n")) {
      const [, from, to, perms, offset, dev, , path] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+) *(.*)$/.exec(line) ?? [];
      if (from === undefined) continue;
      const start = BigInt(`0x${from}`);
      const stop = BigInt(`0x${to}`);
      if (stop <= base || start >= end) continue;
      const clipped = start < base ? base : start;
      const name = path.slice(path.lastIndexOf("/") + 1);
      lines.push([
        Number(clipped - base), Number((stop > end ? end : stop) - base), perms,
        dev === "00:00" && path === "" ? 0 : Number(BigInt(`0x${offset}`) + (clipped - start)), name,
      ]);
    }
    this.last = show(lines);
    const accepted = [step.maps, step.alt?.maps].filter((maps) => maps !== undefined).map((maps) => show(maps));
    return accepted.includes(show(lines)) ? null : "another map";
  }
}
