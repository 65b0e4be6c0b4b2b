/** A walk as strace lines, for those who read it. */
import type { CallAnswer } from "../../../core/input.ts";
import type { Act } from "./act.ts";
import { Moves } from "./moves.ts";

/** What the processes of a walk did, a line each, and the acts that are no calls. */
export function traced(seed: number, acts: readonly Act[]): string[] {
  const moves = new Moves(1 + (seed % 1000));
  const lines: string[] = [];
  const { world } = moves;
  const put = world.feed.bind(world);
  world.feed = (input) => {
    const output = put(input);
    if (input.type === "syscall" || input.type === "batch") {
      const own = output.ended.some(({ callId }) => callId === input.callId);
      lines.push(`[${input.pid}] ${input.type === "syscall" ? `${input.call}(${JSON.stringify(input.args).slice(0, 160)})` : "batch"}${own ? "" : " sleeps"}`);
    } else lines.push(JSON.stringify(input).slice(0, 160));
    for (const { pid, answer } of output.ended) {
      const results: CallAnswer[] = "results" in answer && Array.isArray(answer.results) ? (answer.results as CallAnswer[]) : [answer];
      for (const one of results) lines.push(`    [${pid}] ${"strace" in one && one.strace !== undefined ? one.strace.slice(0, 200) : JSON.stringify(one).slice(0, 200)}`);
    }
    return output;
  };
  try {
    for (const act of acts) moves.take(act);
  } catch (error) {
    lines.push(String(error).slice(0, 300));
  }
  return lines;
}
