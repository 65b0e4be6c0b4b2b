/** Feeds random inputs to a kernel and holds it to what must be true: no exception, sound state, the same bytes in a replay. */
import { createHash } from "node:crypto";
import { boot, handle, moduleCatalogue, restore, snapshot, syscallCatalogue, view } from "../../core/index.ts";
import type { CallAnswer, CallRequest, Input, Json, Output } from "../../core/input.ts";
import { invariants } from "../../core/invariants.ts";
import type { Kernel } from "../../core/kernel.ts";
import type { SyscallView } from "../../core/read.ts";
import type { Task } from "../../core/sched/task.ts";
import { Chance } from "./chance.ts";
import { drivenTasks, idle, kernelFiles, regions } from "./exists.ts";
import { PLAUSIBLE } from "./plausible.ts";
import { argument, path, type Setting } from "./values.ts";

export interface Fed {
  input: Input;
  budget: number;
  /** Of the output, so that a long journal stays small. */
  hash: string;
}

export interface FuzzOptions {
  seed: number;
  steps: number;
  /** Steps between two looks at the invariants. */
  every?: number;
  /** Steps between two replays. */
  replayEvery?: number;
  progress?: (line: string) => void;
}

export interface Report {
  steps: number;
  calls: number;
  succeeded: number;
  refused: number;
  reboots: number;
  /** Calls by name. */
  called: Map<string, number>;
  succeededBy: Map<string, number>;
  never: string[];
}

/** What a fuzz run found, with everything that is needed to see it again. */
export class Found extends Error {
  readonly step: number;
  /** The kernel's bytes at the last replay, and what was fed since. */
  readonly start: Uint8Array;
  readonly journal: Fed[];

  constructor(message: string, step: number, start: Uint8Array, journal: Fed[], cause?: unknown) {
    super(message, { cause });
    this.step = step;
    this.start = start;
    this.journal = journal;
  }
}

const BUDGETS = [200_000, 200_000, 1000, 17, 1];
const MOST_PROCESSES = 24;

export function hashOutput(output: Output): string {
  return createHash("sha1").update(JSON.stringify(output)).digest("base64").slice(0, 12);
}

type Unstamped = Input extends infer One ? (One extends { atNs: number } ? Omit<One, "atNs"> & { atNs?: number } : never) : never;

/** How far the clock is moved, ns; and while a program computes. */
const ADVANCES = [1, 1000, 1_000_000, 20_000_000, 1_000_000_000];
const BUSY_ADVANCES = [1, 1000, 1_000_000];

export class Fuzz {
  readonly c: Chance;
  k: Kernel;
  readonly options: Required<FuzzOptions>;
  readonly rows: SyscallView[];
  /** Every row once, in some order; filled again when it is empty. */
  deck: SyscallView[] = [];
  step = 0;
  calls = 0;
  succeeded = 0;
  refused = 0;
  reboots = 0;
  names: string[] = [];
  nextCall = 0;
  readonly called = new Map<string, number>();
  readonly succeededBy = new Map<string, number>();
  start: Uint8Array;
  journal: Fed[] = [];

  constructor(options: FuzzOptions) {
    this.options = { every: 500, replayEvery: 4_000, progress: () => undefined, ...options };
    this.c = new Chance(options.seed);
    this.rows = syscallCatalogue();
    this.k = this.boot();
    this.start = snapshot(this.k);
  }

  run(): Report {
    const { steps, every, replayEvery, progress } = this.options;
    for (; this.step < steps; this.step++) {
      this.one();
      if (this.step % every === every - 1) this.check();
      if (this.step % replayEvery === replayEvery - 1) this.replay();
      if (this.step % 50_000 === 49_999) progress(this.line());
    }
    this.check();
    this.replay();
    const never = this.rows.map(({ name }) => name).filter((name) => !this.called.has(name));
    const { step, calls, succeeded, refused, reboots, called, succeededBy } = this;
    return { steps: step, calls, succeeded, refused, reboots, called, succeededBy, never };
  }

  /** A program is at work: one that never ends makes a second of kernel time a matter of seconds. */
  computes(): boolean {
    for (const { kind, state } of this.k.state.sched.tasks.values()) if (kind === "program" && state === "runnable") return true;
    return false;
  }

  line(): string {
    const { tasks } = this.k.state.sched;
    return `step ${this.step + 1}: ${this.calls} calls, ${Math.round((100 * this.succeeded) / this.calls)} % succeeded, ${tasks.size} tasks, snapshot ${Math.round(this.start.length / 1024)} KiB`;
  }

  fail(message: string, cause?: unknown): never {
    throw new Found(message, this.step, this.start, this.journal, cause);
  }

  /** Feeds an input in slices of some size, until the kernel is quiet. */
  feed(input: Unstamped): Output {
    const stamped = { atNs: this.k.state.time.nowNs, ...input } as Input;
    const ended: Output["ended"] = [];
    let output = this.put(stamped);
    const first = output;
    for (let slices = 0; output.more; slices++) {
      if (slices > 200_000) this.fail(`${JSON.stringify(input)} never comes to an end`);
      ended.push(...output.ended);
      output = this.put({ type: "run", atNs: this.k.state.time.nowNs });
    }
    return { ...first, ...output, ended: [...ended, ...output.ended], ...(first.refusal === undefined ? {} : { refusal: first.refusal }) };
  }

  put(input: Input): Output {
    const budget = this.c.pick(BUDGETS);
    const fed: Fed = { input: structuredClone(input), budget, hash: "" };
    this.journal.push(fed);
    try {
      const output = handle(this.k, input, budget);
      fed.hash = hashOutput(output);
      return output;
    } catch (error) {
      return this.fail(`the core threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, error);
    }
  }

  check(): void {
    const wrong = invariants(this.k);
    if (wrong.length > 0) this.fail(`after step ${this.step}: ${wrong.slice(0, 10).join("; ")}`);
  }

  /** The journal since the last replay, fed to the kernel of then. */
  replay(): void {
    const again = restore(this.start);
    for (const [at, { input, budget, hash }] of this.journal.entries()) {
      const output = handle(again, structuredClone(input), budget);
      if (hashOutput(output) !== hash) this.fail(`input ${at} of ${this.journal.length} answers otherwise in a replay: ${JSON.stringify(input)}`);
    }
    const bytes = snapshot(this.k);
    if (!Buffer.from(snapshot(again)).equals(bytes)) this.fail("a replay ends with other bytes");
    this.start = bytes;
    this.journal = [];
  }

  one(): void {
    if (this.step % 300 === 0) this.names = kernelFiles(this.k);
    const tasks = drivenTasks(this.k);
    const free = tasks.filter(idle);
    if (free.length === 0 || (tasks.length < 4 && this.c.often(20))) {
      if (tasks.length >= MOST_PROCESSES) this.thin(tasks);
      else this.createProcess();
      return;
    }
    const act = this.c.weighted([
      [880, "call"], [40, "batch"], [20, "advance"], [15, "view"], [12, "signal"], [15, "interrupt"], [6, "create"], [5, "kill"], [8, "program"],
      [6, "store"], [1, "resume"], [1, "refused"],
    ] as const);
    switch (act) {
      case "call": return this.call(this.c.pick(free));
      case "batch": return this.batch(this.c.pick(free));
      case "advance": return void this.feed({ type: "advance", byNs: this.c.pick(this.computes() ? BUSY_ADVANCES : ADVANCES) });
      case "view": return this.view(this.c.pick(free));
      case "signal": return void this.feed({ type: "signal", pid: this.c.pick(tasks).tgid, signal: this.c.pick([0, 10, 10, 12, 18, 19, 15, 9]), uid: this.c.pick([0, 0, 1000]) });
      case "interrupt": return this.interrupt();
      case "create": return tasks.length < MOST_PROCESSES ? this.createProcess() : this.thin(tasks);
      case "kill": return tasks.length > 6 ? void this.feed({ type: "killProcess", pid: this.c.pick(tasks).tgid }) : undefined;
      case "program": return this.program();
      case "store": return this.store(this.c.pick(free));
      case "resume": return void this.feed({ type: "resume", awayNs: this.c.below(1_000_000_000) });
      case "refused": return void this.feed({ type: "syscall", pid: 99_999, callId: this.callId(), call: "getpid" });
    }
  }

  callId(): string {
    return `f${this.nextCall++}`;
  }

  createProcess(): void {
    const uid = this.c.pick([0, 0, 0, 1000]);
    const home = uid === 0 ? "/root" : `/home/${uid}`;
    this.feed({ type: "makeHome", path: home, uid });
    const { pid } = this.feed({ type: "createProcess", comm: "fuzz", uid, member: "owner", home });
    // Root has unmounted the tree or unlinked /dev/null: nothing can begin here any more.
    if (pid === undefined) this.reboot();
  }

  reboot(): void {
    this.check();
    this.replay();
    this.reboots++;
    this.k = this.boot();
    this.start = snapshot(this.k);
    this.names = kernelFiles(this.k);
  }

  boot(): Kernel {
    const seed = 1 + this.reboots;
    return boot({ type: "boot", machine: { clock: "virtual", ramMiB: 16, swapMiB: 8, cpus: this.c.pick([1, 2, 4]), seed }, realtimeNs: "1704067200000000000" }).kernel;
  }

  /** Too many processes: half of them go. */
  thin(tasks: Task[]): void {
    for (const { tgid } of this.c.shuffle(tasks).slice(0, Math.ceil(tasks.length / 2))) this.feed({ type: "killProcess", pid: tgid });
  }

  setting(task: Task): Setting {
    return { c: this.c, k: this.k, task, names: this.names };
  }

  /** Some call: one that programs make, or any of the table. */
  request(task: Task): CallRequest {
    const setting = this.setting(task);
    if (this.c.often(62)) return this.c.weighted(PLAUSIBLE)(setting);
    if (this.c.often(1)) return { call: this.c.pick<string | number>([451, 999, "bpf", "kexec_file_load"]), args: [1, 2, 3] };
    if (this.deck.length === 0) this.deck = this.c.shuffle(this.rows);
    const row = this.deck.pop() as SyscallView;
    if (this.c.often(4)) return { call: row.number, args: Array.from({ length: this.c.below(7) }, () => this.c.pick<Json>([0, 1, 3, -1, 4096, "0x7ffff000", "0xffffffffffffffff"])) };
    const args: { [name: string]: Json } = {};
    for (const arg of row.args) {
      const value = argument(setting, arg);
      if (value !== undefined) args[arg.name] = value;
    }
    return { call: row.name, args };
  }

  nameOf(call: string | number): string {
    return typeof call === "string" ? call : (this.rows.find(({ number }) => number === call)?.name ?? String(call));
  }

  count(call: string | number, answer: CallAnswer | undefined): void {
    const name = this.nameOf(call);
    this.calls++;
    this.called.set(name, (this.called.get(name) ?? 0) + 1);
    const good = answer !== undefined && (answer.state !== "returned" || ("errno" in answer && answer.errno === null && answer.signal === undefined));
    if (!good) return;
    this.succeeded++;
    this.succeededBy.set(name, (this.succeededBy.get(name) ?? 0) + 1);
  }

  call(task: Task): void {
    const request = this.request(task);
    const callId = this.callId();
    const output = this.feed({
      type: "syscall", pid: task.tid, callId, ...request, ...(this.c.often(10) ? { onFault: this.c.pick(["signal", "report"] as const) } : { onFault: "report" as const }),
    });
    if (output.refusal !== undefined) this.refused++;
    else this.count(request.call, output.ended.find((end) => end.callId === callId)?.answer ?? output.answer);
  }

  batch(task: Task): void {
    const calls = Array.from({ length: this.c.below(12) }, (_, at) => {
      const request = this.request(task);
      if (at > 0 && this.c.often(10) && !Array.isArray(request.args) && request.args !== undefined) {
        const [name] = Object.keys(request.args as object);
        if (name !== undefined) (request.args as { [name: string]: Json })[name] = { ret: this.c.below(at + 1) };
      }
      return request;
    });
    const callId = this.callId();
    const output = this.feed({ type: "batch", pid: task.tid, callId, calls, onError: this.c.pick(["stop", "continue"] as const) });
    if (output.refusal !== undefined) {
      this.refused++;
      return;
    }
    const answer = output.ended.find((end) => end.callId === callId)?.answer;
    const results = answer !== undefined && "results" in answer ? ((answer.results ?? []) as CallAnswer[]) : [];
    for (const [at, result] of results.entries()) this.count(calls[at].call, result);
  }

  view(task: Task): void {
    const before = snapshot(this.k);
    const where = path(this.setting(task));
    const seen = [typeof where === "string" ? where : "/", "/proc", `/proc/${task.tgid}/status`, `/proc/${task.tgid}/maps`, `/proc/${task.tgid}/fd`, "/proc/meminfo", "/proc/net/tcp", "/sys/module"];
    for (const one of seen) {
      try {
        view(this.k, { uid: this.c.pick([0, 1000, 65534]) }, one);
      } catch (error) {
        this.fail(`view of ${one} threw: ${error instanceof Error ? (error.stack ?? "") : String(error)}`, error);
      }
    }
    if (!Buffer.from(snapshot(this.k)).equals(before)) this.fail(`looking at ${seen[0]} changed the kernel`);
  }

  interrupt(): void {
    const sleeping = [...this.k.state.calls.sleeping.keys()];
    if (sleeping.length > 0) this.feed({ type: "interruptCall", callId: this.c.pick(sleeping) });
  }

  program(): void {
    const { c } = this;
    const modules = moduleCatalogue().map(({ name }) => name);
    const uid = c.pick([0, 0, 0, 1000]);
    const where = c.pick(["/tmp/one", "/tmp/two", "/tmp/dir", "/root/a", "/proc/mp3/status", "/dev/null", "/nowhere/x"]);
    const [program, args] = c.weighted<[string, Json]>([
      [4, ["insmod", { name: modules.length === 0 ? "none" : c.pick(modules), variant: c.pick(["corrected", "corrected", "seed"]) }]],
      [3, ["rmmod", { name: modules.length === 0 ? "none" : c.pick(modules) }]],
      [2, ["writeFile", { path: where, base64: c.pick(["", "UiAxMg==", "YWJj"]) }]],
      [1, ["mkdir", { path: where }]],
      [1, ["remove", { path: where }]],
    ]);
    this.feed({ type: "program", callId: this.callId(), program, args, uid, member: "owner", home: uid === 0 ? "/root" : "/" });
  }

  store(task: Task): void {
    const all = regions(this.k, task);
    const address = all.length === 0 ? 4096 : this.c.pick(all).start + this.c.below(8192);
    this.feed({ type: "store", pid: task.tid, callId: this.callId(), address: `0x${address.toString(16)}`, base64: "AAECAwQFBgc=", onFault: this.c.pick(["signal", "report", "report"] as const) });
  }
}
