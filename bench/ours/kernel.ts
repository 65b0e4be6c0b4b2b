/** A kernel for measurements, with a process to drive. */
import { boot, handle } from "../../core/index.ts";
import type { CallRequest, CallAnswer, Input, Json, MachineOptions } from "../../core/input.ts";
import type { Kernel } from "../../core/kernel.ts";

export interface Bench {
  k: Kernel;
  pid: number;
}

export function bootKernel(machine: MachineOptions = {}): Kernel {
  return boot({ type: "boot", machine: { clock: "virtual", ...machine }, realtimeNs: "1704067200000000000" }).kernel;
}

export function feed(k: Kernel, input: { type: Input["type"] } & { [field: string]: unknown }): ReturnType<typeof handle> {
  let output = handle(k, { atNs: k.state.time.nowNs, ...input } as Input);
  const { ended } = output;
  while (output.more) {
    output = handle(k, { type: "run", atNs: k.state.time.nowNs });
    ended.push(...output.ended);
  }
  return { ...output, ended };
}

export function newProcess(k: Kernel): number {
  feed(k, { type: "makeHome", path: "/root", uid: 0 });
  const { pid } = feed(k, { type: "createProcess", comm: "bench", uid: 0, member: "bench", home: "/root" });
  if (pid === undefined) throw new Error("no process");
  return pid;
}

export function newBench(machine: MachineOptions = {}): Bench {
  const k = bootKernel(machine);
  return { k, pid: newProcess(k) };
}

let calls = 0;

/** One call as an input of its own; its answer. */
export function call({ k, pid }: Bench, name: string, args: Json = {}): CallAnswer & { [field: string]: Json } {
  const callId = `c${calls++}`;
  const { ended, refusal } = feed(k, { type: "syscall", pid, callId, call: name, args });
  if (refusal !== undefined || ended.length === 0) throw new Error(`${name}: ${JSON.stringify(refusal ?? "asleep")}`);
  return ended[0].answer as CallAnswer & { [field: string]: Json };
}

/** Many calls as one input; throws when one fails. */
export function batch({ k, pid }: Bench, requests: CallRequest[]): void {
  const { ended } = feed(k, { type: "batch", pid, callId: `c${calls++}`, calls: requests, onError: "stop" });
  const [{ answer }] = ended;
  if (!("results" in answer) || (answer.results as CallAnswer[]).length !== requests.length) throw new Error(JSON.stringify(answer).slice(-500));
}
