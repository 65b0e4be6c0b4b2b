/** The same inputs give the same bytes and answers: replayed, restored in between, forked, cut into slices. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { snapshot, view } from "../../core/index.ts";
import type { Kernel } from "../../core/kernel.ts";
import { nextU32, seedRng } from "../../core/lib/rng.ts";
import { CoreMachine } from "../helpers/core.ts";
import { bootAgain, copy, expectSame, replay } from "../helpers/replay.ts";
import { play } from "../helpers/trace/player.ts";
import { parseScenarios } from "../helpers/trace/scenario.ts";

const FOLDER = join(import.meta.dirname, "../traces");
const scenarios = readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl")).sort()
  .flatMap((name) => parseScenarios(readFileSync(join(FOLDER, name), "utf8")));

/** A kernel on which the whole scenario was played, as far as it goes. */
async function played(scenario: (typeof scenarios)[number], budget?: number): Promise<CoreMachine> {
  const machine = new CoreMachine({ ramMiB: 16, swapMiB: 8 });
  machine.budget = budget;
  await play(machine, scenario);
  return machine;
}

describe("every recorded scenario", () => {
  test("gives the same outputs and bytes when its inputs are fed again", async () => {
    for (const scenario of scenarios) {
      const machine = await played(scenario);
      expectSame(replay(bootAgain(machine), machine.journal), machine.kernel);
    }
  });

  test("goes on as before when the kernel is replaced by its snapshot at any input", async () => {
    const rng = seedRng(20240101);
    for (const scenario of scenarios) {
      const machine = await played(scenario, 1 + (nextU32(rng) % 40));
      const again = replay(bootAgain(machine), machine.journal, (k) => (nextU32(rng) % 16 === 0 ? copy(k) : k));
      expectSame(again, machine.kernel);
    }
  });

  test("is answered alike by a fork, and the original does not notice", async () => {
    const rng = seedRng(7);
    for (const scenario of scenarios) {
      const machine = await played(scenario);
      const at = nextU32(rng) % machine.journal.length;
      const original = replay(bootAgain(machine), machine.journal.slice(0, at));
      const fork = copy(original);
      const rest = machine.journal.slice(at);
      const forked = replay(fork, rest);
      expectSame(replay(original, rest), machine.kernel);
      expectSame(forked, machine.kernel);
    }
  });

  test("leaves the same bytes behind in slices of 1, of 100 and of a million steps", async () => {
    for (const scenario of scenarios) {
      const whole = await played(scenario);
      for (const budget of [1, 100, 1_000_000]) expectSame((await played(scenario, budget)).kernel, whole.kernel);
    }
  });

  test("leaves a kernel that looking at does not change", async () => {
    for (const scenario of scenarios.filter(({ name }) => ["epoll-nested", "fork-shared-map", "tcp-basic"].includes(name))) {
      const { kernel } = await played(scenario);
      const before = snapshot(kernel);
      const seen = lookAtAll(kernel, "/", 0);
      expect(seen).toBeGreaterThan(100);
      expect(Buffer.from(snapshot(kernel)).equals(before)).toBe(true);
    }
  });
});

/** Views a tree of the kernel's files, and answers how many they were. */
function lookAtAll(k: Kernel, path: string, depth: number): number {
  const seen = view(k, { uid: 0 }, path);
  if (!("entries" in seen) || depth > 6) return 1;
  return seen.entries.reduce((count: number, { name }) => count + lookAtAll(k, path === "/" ? `/${name}` : `${path}/${name}`, depth + 1), 1);
}
