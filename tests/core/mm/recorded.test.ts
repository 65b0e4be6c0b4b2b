/**
 * Random walks over mappings, forks and advice as a real Linux 6.1 answered them: what /proc/PID/maps shows after each, and what
 * loads and stores meet.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CoreMachine } from "../../helpers/core.ts";
import { play } from "../../helpers/trace/player.ts";
import { parseScenarios } from "../../helpers/trace/scenario.ts";

const FOLDER = join(import.meta.dirname, "recorded");

for (const file of readdirSync(FOLDER).sort()) {
  describe(file.replace(".jsonl", ""), () => {
    for (const scenario of parseScenarios(readFileSync(join(FOLDER, file), "utf8"))) {
      test(scenario.name, async () => {
        const machine = new CoreMachine();
        expect((await play(machine, scenario)).failure).toBeNull();
        expect(machine.broken()).toEqual([]);
      });
    }
  });
}
