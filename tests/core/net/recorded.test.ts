/** Random socket calls as a Linux host answered them (6.18; where 6.1 differs, either answer counts), played on the core. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CoreMachine } from "../../helpers/core.ts";
import { play } from "../../helpers/trace/player.ts";
import { parseScenarios } from "../../helpers/trace/scenario.ts";

for (const scenario of parseScenarios(readFileSync(join(import.meta.dirname, "recorded/sockets.jsonl"), "utf8"))) {
  test(scenario.name, async () => {
    const machine = new CoreMachine();
    expect((await play(machine, scenario)).failure).toBeNull();
    expect(machine.broken()).toEqual([]);
  });
}
