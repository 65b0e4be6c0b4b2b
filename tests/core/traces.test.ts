/** Recorded scenarios of Linux, played on the core: one test each. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CoreMachine } from "../helpers/core.ts";
import { nextU32, seedRng, type RngState } from "../../core/lib/rng.ts";
import { NORMALISED } from "../helpers/trace/compare.ts";
import { play } from "../helpers/trace/player.ts";
import { parseScenarios, type Scenario, type Step } from "../helpers/trace/scenario.ts";

/** One field of one step changed so that Linux cannot have answered it. */
function falsified(scenario: Scenario, rng: RngState): { scenario: Scenario; at: number; field: string } {
  for (;;) {
    const at = nextU32(rng) % scenario.steps.length;
    const step = scenario.steps[at];
    if (step.alt !== undefined || step.blocked === true || step.call === "exit" || step.call.startsWith("$")) continue;
    const changed: Step = { ...step };
    let field = "errno";
    if (typeof step.data_b64 === "string" && step.data_b64 !== "" && nextU32(rng) % 2 === 0) {
      field = "data_b64";
      changed.data_b64 = Buffer.from(Buffer.from(step.data_b64, "base64").map((byte) => byte ^ 1)).toString("base64");
    } else if (step.errno !== null) changed.errno = step.errno === "EINVAL" ? "EBADF" : "EINVAL";
    else if (typeof step.ret === "number" && nextU32(rng) % 2 === 0 && !NORMALISED.has(step.call)) {
      field = "ret";
      changed.ret = step.ret + 1;
    } else {
      changed.errno = "EIO";
      changed.ret = -1;
    }
    return { scenario: { ...scenario, steps: scenario.steps.with(at, changed) }, at, field };
  }
}

const FOLDER = join(import.meta.dirname, "../traces");

/** Scenarios that the kernel does not play yet. One that passes must leave this list. */
const NOT_YET = new Set<string>([]);

const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl")).sort();

for (const file of FILES) {
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

test("a falsified answer is found at its step, in every scenario", async () => {
  const rng = seedRng(1);
  for (const file of FILES) {
    for (const scenario of parseScenarios(readFileSync(join(FOLDER, file), "utf8"))) {
      const wrong = falsified(scenario, rng);
      const { failure, steps } = await play(new CoreMachine(), wrong.scenario);
      expect(failure, `${scenario.name}, step ${wrong.at}, ${wrong.field}`).not.toBeNull();
      expect(steps, `${scenario.name}, ${wrong.field}: ${String(failure)}`).toBe(wrong.at);
    }
  }
});

test("what the player does not know fails", async () => {
  const failureOf = async (step: Partial<Step>): Promise<string | null> =>
    (await play(new CoreMachine(), { name: "x", area: "files", steps: [{ as: "p0", call: "getpid", args: {}, ret: "$pid0", errno: null, ...step }] })).failure;
  expect(await failureOf({})).toBeNull();
  expect(await failureOf({ call: "no_such_call" })).toMatch(/no system call is named no_such_call/);
  expect(await failureOf({ call: "dup", args: { nonsense: 1 } })).toMatch(/no argument for nonsense/);
  expect(await failureOf({ surprise: [1] })).toMatch(/the output surprise/);
  expect(await failureOf({ call: "$surprise" })).toMatch(/\$surprise/);
  expect(await failureOf({ as: "p7" })).toMatch(/no process p7/);
});
