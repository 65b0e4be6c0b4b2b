/** Recorded scenarios of Linux, played on the core: one test each. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CoreMachine } from "../helpers/core.ts";
import { play } from "../helpers/trace/player.ts";
import { parseScenarios } from "../helpers/trace/scenario.ts";

const FOLDER = join(import.meta.dirname, "../traces");

/** Scenarios that the kernel does not play yet. One that passes must leave this list. */
const NOT_YET = new Set<string>([]);

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl")).sort()) {
  describe(file.replace(".jsonl", ""), () => {
    for (const scenario of parseScenarios(readFileSync(join(FOLDER, file), "utf8"))) {
      test(scenario.name, async () => {
        const machine = new CoreMachine();
        const { failure } = await play(machine, scenario);
        if (NOT_YET.has(scenario.name)) return expect(failure, "it passes: take it off the list").not.toBeNull();
        expect(failure).toBeNull();
        expect(machine.broken()).toEqual([]);
      });
    }
  });
}
