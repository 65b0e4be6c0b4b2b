/** Random walks: a kernel and a small model of it take the same steps, and the model foretells every result. */
import fc from "fast-check";
import type { CallAnswer, Json, OnFault } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

export type Answer = { [field: string]: Json };

/** A kernel with its model, half-way along. */
export interface Walk<Act> {
  readonly seat: Seat;
  /** Takes a step on both; throws where they differ. */
  step(act: Act): void;
}

export interface Model<Act> {
  name: string;
  act: fc.Arbitrary<Act>;
  begin(): Walk<Act>;
}

const LONGEST_WALK = 160;
/** Steps between two looks at the kernel's invariants. */
const LOOK_EVERY = 40;
const WALKS_PER_ROUND = 20;

/** Walks at least `steps` steps; throws with a short counterexample, its seed and its path. */
export function check<Act>(model: Model<Act>, seed: number, steps: number): void {
  let taken = 0;
  for (let round = 0; taken < steps; round++) {
    fc.assert(fc.property(fc.array(model.act, { maxLength: LONGEST_WALK, size: "max" }), (acts) => {
      const walk = model.begin();
      for (const [at, act] of acts.entries()) {
        walk.step(act);
        taken++;
        if ((at + 1) % LOOK_EVERY === 0) walk.seat.sound();
      }
      walk.seat.sound();
    }), { seed: seed + round, numRuns: WALKS_PER_ROUND });
  }
}

/** Where a walk's calls are made: a small kernel, the steps so far as strace lines, and how to disagree. */
export class Seat {
  readonly m = new CoreMachine({ ramMiB: 16, swapMiB: 0 });
  readonly pid: number;
  private last = "nothing yet";

  constructor(home = "/root/walk") {
    this.m.feed({ type: "makeHome", path: home, uid: 0 });
    this.pid = this.m.feed({ type: "createProcess", comm: "sh", uid: 0, member: "owner", home }).pid ?? 0;
  }

  call(pid: number, name: string, args: Json, onFault: OnFault = "report"): Answer {
    const answer: CallAnswer = this.m.callNow(pid, name, args, onFault);
    this.last = "strace" in answer && answer.strace !== undefined ? answer.strace : `${name}(${JSON.stringify(args)}): ${JSON.stringify(answer)}`;
    return answer as unknown as Answer;
  }

  /** Makes a call and expects its result or its errno's name. */
  expect(pid: number, name: string, args: Json, wanted: Json): Answer {
    const answer = this.call(pid, name, args);
    this.same("result", answer.errno ?? answer.ret ?? (answer.state as string), wanted);
    return answer;
  }

  same(what: string, got: Json | undefined, wanted: Json | undefined): void {
    const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
    if (a !== b) throw new Error(`${what}: the kernel says ${a ?? "nothing"}, the model ${b ?? "nothing"}\n  ${this.last}`);
  }

  sound(): void {
    const broken = this.m.broken();
    if (broken.length > 0) throw new Error(broken.join("; "));
  }
}

export const base64 = (bytes: Uint8Array): { base64: string } => ({ base64: Buffer.from(bytes).toString("base64") });

/** The bytes of an output, as base64. */
export function outBase64(json: Json | undefined): string {
  if (Array.isArray(json)) return Buffer.concat(json.map((part) => Buffer.from(outBase64(part), "base64"))).toString("base64");
  return typeof json === "object" && json !== null && typeof json.base64 === "string" ? json.base64 : "";
}
