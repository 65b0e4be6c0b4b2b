/** A kernel in this process for tests of the core: every input is kept, so that it can be replayed. */
import { boot, handle, view } from "../../core/index.ts";
import type { CallAnswer, Input, Json, MachineOptions, OnFault, Output } from "../../core/input.ts";
import { invariants } from "../../core/invariants.ts";
import type { Kernel } from "../../core/kernel.ts";
import { callRecord, processView } from "../../core/read.ts";
import type { Machine } from "./trace/player.ts";

export type Unstamped = Input extends infer One ? (One extends { atNs: number } ? Omit<One, "atNs"> & { atNs?: number } : never) : never;

/** One call of `handle`: what was fed, and what came back. */
export interface Fed {
  input: Input;
  budget: number | undefined;
  output: Output;
}

export class CoreMachine implements Machine {
  kernel: Kernel;
  readonly journal: Fed[] = [];
  readonly boot: { type: "boot"; machine: MachineOptions; realtimeNs: string };
  calls = 0;
  budget: number | undefined;

  constructor(machine: MachineOptions = {}) {
    this.boot = { type: "boot", machine: { clock: "virtual", ...machine }, realtimeNs: "1704067200000000000" };
    this.kernel = boot(this.boot).kernel;
  }

  /** Feeds an input, at the present kernel time unless it names another, and runs on until the kernel is quiet; the outputs joined. */
  feed(input: Unstamped): Output {
    const stamped = { atNs: this.kernel.state.time.nowNs, ...input } as Input;
    let output = this.put(stamped);
    const joined = { ...output, ended: [...output.ended], events: [...output.events] };
    while (output.more) {
      const { deferred } = output;
      output = this.settle(joined);
      // The clock has arrived: now the input itself.
      if (deferred === true) output = this.join(joined, this.put(stamped));
    }
    delete joined.deferred;
    return { ...joined, nowNs: output.nowNs, more: false };
  }

  /** Feeds `run` until nothing is left to do. */
  private settle(joined: Output): Output {
    for (;;) {
      const output = this.join(joined, this.put({ type: "run", atNs: this.kernel.state.time.nowNs }));
      if (!output.more) return output;
    }
  }

  private join(joined: Output, output: Output): Output {
    joined.ended.push(...output.ended);
    joined.events.push(...output.events);
    if (output.pid !== undefined) joined.pid = output.pid;
    if (output.answer !== undefined) joined.answer = output.answer;
    if (output.refusal !== undefined) joined.refusal = output.refusal;
    return output;
  }

  private put(input: Input): Output {
    const { budget } = this;
    const output = handle(this.kernel, input, budget);
    this.journal.push({ input, budget, output });
    return output;
  }

  createProcess(uid = 0): Promise<number> {
    const home = uid === 0 ? "/root" : `/home/${uid}`;
    this.feed({ type: "makeHome", path: home, uid });
    const output = this.feed({ type: "createProcess", comm: "sh", uid, member: "owner", home });
    if (output.pid === undefined) throw new Error(JSON.stringify(output));
    return Promise.resolve(output.pid);
  }

  /** Makes a call and answers at once, asleep or not. */
  callNow(pid: number, call: string | number, args: Json = {}, onFault: OnFault = "signal"): CallAnswer {
    const callId = `c${this.calls++}`;
    const output = this.feed({ type: "syscall", pid, callId, call, args, onFault });
    if (output.refusal !== undefined) throw new Error(`${String(call)}(${JSON.stringify(args)}): ${JSON.stringify(output.refusal)}`);
    return output.ended.find((end) => end.callId === callId)?.answer ?? this.stand(callId);
  }

  call(pid: number, call: string, args: { [name: string]: Json }): Promise<CallAnswer> {
    return Promise.resolve(this.callNow(pid, call, args, "report"));
  }

  stand(callId: string): CallAnswer {
    const record = callRecord(this.kernel, callId);
    if (record === null) throw new Error(`nobody knows call ${callId}`);
    return record.answer;
  }

  advance(ms: number): Output {
    return this.feed({ type: "advance", byNs: ms * 1_000_000 });
  }

  wait(_pid: number, callId: string, ms: number): Promise<CallAnswer> {
    for (let waited = 0; waited < ms; waited += 10) {
      const answer = this.stand(callId);
      if (answer.state !== "sleeping") return Promise.resolve(answer);
      this.advance(10);
    }
    return Promise.resolve(this.stand(callId));
  }

  signalCount(pid: number, signal: string): Promise<number> {
    return Promise.resolve(processView(this.kernel, pid)?.signals[signal] ?? 0);
  }

  maps(pid: number): Promise<string> {
    return Promise.resolve(this.text(`/proc/${pid}/maps`));
  }

  /** A file of the kernel as root sees it. */
  text(path: string, uid = 0): string {
    const seen = view(this.kernel, { uid }, path);
    if (!("bytes" in seen)) throw new Error(`${path}: ${JSON.stringify(seen)}`);
    return new TextDecoder().decode(seen.bytes);
  }

  /** What is wrong inside the kernel; empty when nothing is. */
  broken(): string[] {
    return invariants(this.kernel);
  }
}
