/**
 * What Linux 6.1 answered one process, root's or a user's, to thousands of calls with odd arguments: policies, affinities, clocks, timers,
 * signals, waiting, capabilities, prctl, limits, ids, futexes. A line is `[number, registers, memory, result, errno]`; the memory lies at
 * 0x10000000, in hexadecimal, zeros behind it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CallAnswer } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

type Line = [nr: number, registers: (number | string)[], memory: string, result: number | string, errno: number];

const MEMORY = 0x1000_0000;
const USED = 4096;

function linesOf(file: string): Line[] {
  return readFileSync(join(import.meta.dirname, file), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Line);
}

function told(answer: CallAnswer): string {
  if (answer.state !== "returned" || !("ret" in answer)) return answer.state;
  return `${String(answer.ret)} ${answer.errnoNumber ?? 0}`;
}

/** What was answered otherwise than recorded. */
async function play(lines: readonly Line[], uid: number): Promise<string[]> {
  const m = new CoreMachine({ ramMiB: 64, cpus: 1 });
  const pid = await m.createProcess(uid);
  m.callNow(pid, "mmap", [MEMORY, USED, 3, 0x32, -1, 0]);
  const wrong: string[] = [];
  for (const [nr, registers, memory, result, errno] of lines) {
    const bytes = new Uint8Array(USED);
    bytes.set(Buffer.from(memory, "hex"));
    m.callNow(pid, "store", { addr: MEMORY, buf: { base64: Buffer.from(bytes).toString("base64") } });
    const found = told(m.callNow(pid, nr, registers));
    if (found !== `${result} ${errno}`) wrong.push(`${JSON.stringify([nr, registers, memory])}: ${found}, recorded ${result} ${errno}`);
  }
  return [...wrong.slice(0, 20), ...m.broken()];
}

test("root's calls are answered as recorded", async () => {
  expect(await play(linesOf("matrix-6.1.jsonl"), 0)).toEqual([]);
});

test("so are those of a user, where privileges count", async () => {
  expect(await play(linesOf("matrix-user-6.1.jsonl"), 1000)).toEqual([]);
});
