/** The kernel of a walk: its processes, their descriptors, the calls that sleep, and everything that was fed to it. */
import { boot, handle, restore, snapshot } from "../../../core/index.ts";
import type { CallAnswer, Input, Json, Output } from "../../../core/input.ts";
import { fileOf, type OpenFile } from "../../../core/fs/file.ts";
import type { Kernel } from "../../../core/kernel.ts";
import type { Message } from "../../../core/net/message.ts";
import { underPressure, type Socket } from "../../../core/net/socket.ts";
import type { Task } from "../../../core/sched/task.ts";
import { drivenTasks, idle } from "../exists.ts";
import { hashOutput, type Fed } from "../run.ts";

type Unstamped = Input extends infer One ? (One extends { atNs: number } ? Omit<One, "atNs"> & { atNs?: number } : never) : never;

export type Answer = { [field: string]: Json };

/** What a call is about, for those who ask why it sleeps. */
export type About =
  | { what: "receive" | "send" | "accept" | "connect"; socket: number }
  | { what: "poll"; asked: { file: number; events: number }[] }
  | { what: "epoll"; file: number }
  | { what: "other" };

export interface Pending {
  callId: string;
  tid: number;
  about: About;
  done: (answer: Answer) => void;
}

export interface Fd {
  fd: number;
  file: OpenFile;
  socket: Socket | null;
}

/** Something that must not be. */
export class Fault extends Error {}

export class World {
  k: Kernel;
  readonly pending = new Map<string, Pending>();
  readonly journal: Fed[] = [];
  readonly start: Uint8Array;
  budget = 200_000;
  /** This step may have emptied queues of datagrams: a socket was closed, or turned to another peer. */
  mayPurge = false;
  /** The UDP port that this step's datagram went to; 0 for none. */
  target = 0;
  private calls = 0;
  private wasPressed = false;
  /** System calls that were made, and those that succeeded. */
  made = 0;
  succeeded = 0;
  /** Told of calls that a kill ended. */
  onKilled: (pending: Pending) => void = () => undefined;

  /** Whether the journal is kept, to be played again. */
  private readonly keeps: boolean;

  constructor(seed: number, keeps: boolean) {
    this.keeps = keeps;
    const cpus = 1 + (seed % 3);
    this.k = boot({ type: "boot", machine: { clock: "virtual", ramMiB: 16, swapMiB: 0, cpus, seed }, realtimeNs: "1704067200000000000" }).kernel;
    this.start = snapshot(this.k);
    this.feed({ type: "makeHome", path: "/root", uid: 0 });
  }

  tasks(): Task[] {
    return drivenTasks(this.k);
  }

  free(): Task[] {
    return this.tasks().filter(idle);
  }

  fds(task: Task): Fd[] {
    const found: Fd[] = [];
    for (const [fd, entry] of this.k.state.fs.fdTables.get(task.files)?.fds ?? []) {
      if (entry === 0 || fd < 3) continue;
      const file = fileOf(this.k, Math.abs(entry));
      found.push({ fd, file, socket: file.ops === "socket" ? (this.k.state.net.sockets.get(file.private) ?? null) : null });
    }
    return found;
  }

  /** Feeds an input in slices until the kernel is quiet; answers of calls go to those who made them, in the order of their ends. */
  feed(input: Unstamped): Output {
    let output = this.put({ atNs: this.k.state.time.nowNs, ...input } as Input);
    const first = output;
    const ended = [...output.ended];
    for (let slices = 0; output.more; slices++) {
      if (slices > 200_000) throw new Fault(`${JSON.stringify(input).slice(0, 200)} never comes to an end`);
      output = this.put({ type: "run", atNs: this.k.state.time.nowNs });
      ended.push(...output.ended);
    }
    for (const { callId, answer } of ended) this.end(callId, answer);
    return { ...first, ...output, ended, ...(first.pid === undefined ? {} : { pid: first.pid }) };
  }

  private end(callId: string, answer: CallAnswer): void {
    const pending = this.pending.get(callId);
    if (pending === undefined) return;
    this.pending.delete(callId);
    if (answer.state === "ended") this.onKilled(pending);
    else {
      if ("errno" in answer && answer.errno === null) this.succeeded++;
      pending.done(answer as unknown as Answer);
    }
  }

  private put(input: Input): Output {
    const fed: Fed | null = this.keeps ? { input: structuredClone(input), budget: this.budget, hash: "" } : null;
    const output = handle(this.k, input, this.budget);
    if (fed !== null) {
      fed.hash = hashOutput(output);
      this.journal.push(fed);
    }
    if (output.refusal !== undefined) throw new Fault(`refused: ${JSON.stringify(output.refusal)} ${JSON.stringify(input).slice(0, 300)}`);
    return output;
  }

  /** Makes a call; `done` hears its answer, now or when it wakes. */
  call(task: Task, call: string, args: Json, done: (answer: Answer) => void = () => undefined, about: About = { what: "other" }): void {
    const callId = `n${this.calls++}`;
    this.made++;
    this.pending.set(callId, { callId, tid: task.tid, about, done });
    this.feed({ type: "syscall", pid: task.tid, callId, call, args, onFault: "report" });
  }

  batch(task: Task, calls: { call: string; args: Json }[], done: (answers: Answer[]) => void = () => undefined): void {
    const callId = `n${this.calls++}`;
    this.made += calls.length;
    this.pending.set(callId, { callId, tid: task.tid, about: { what: "other" }, done: (answer) => done((answer.results ?? []) as Answer[]) });
    this.feed({ type: "batch", pid: task.tid, callId, calls, onError: "continue" });
  }

  createProcess(): void {
    const { pid } = this.feed({ type: "createProcess", comm: "net", uid: 0, member: "owner", home: "/root" });
    const task = this.k.state.sched.tasks.get(pid ?? 0);
    if (task === undefined) throw new Fault("no process can be made");
    // Signals that interrupt, that restart, and that do nothing.
    for (const [signum, handler, flags] of [["SIGUSR1", "count", "0"], ["SIGUSR2", "count", "SA_RESTART"], ["SIGPIPE", "SIG_IGN", "0"]] as const) {
      this.call(task, "rt_sigaction", { signum, act: { sa_handler: handler, sa_flags: flags, sa_mask: [] } });
    }
  }

  /**
   * Sockets once got little, for all together held much. That this ends wakes nobody: a writer with bytes on their way waits
   * until they are read.
   */
  pressed(): boolean {
    this.wasPressed ||= underPressure(this.k);
    return this.wasPressed;
  }

  restart(): void {
    this.k = restore(snapshot(this.k));
  }

  /** How many bytes a sleeping transfer has moved. */
  moved({ tid }: Pending): number {
    for (const { code, locals } of this.k.state.sched.tasks.get(tid)?.frames ?? []) {
      if (code === "net.send" || code === "net.receive") return (locals as { msg: Message }).msg.copied;
      if (code === "net.sendmsg" || code === "net.recvmsg") return (locals as { transfer: { msg: Message } }).transfer.msg.copied;
    }
    return 0;
  }
}

/** The bytes of an output. */
export function bytesOf(json: Json | undefined): Uint8Array {
  if (Array.isArray(json)) return Buffer.concat(json.map(bytesOf));
  return typeof json === "object" && json !== null && typeof json.base64 === "string" ? Buffer.from(json.base64, "base64") : new Uint8Array(0);
}

export const base64 = (bytes: Uint8Array): Json => ({ base64: Buffer.from(bytes).toString("base64") });
