/** The recorded scenarios again, through the whole service: real HTTP, sessions, journal and commits. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestService } from "../helpers/service.ts";
import { HttpMachine } from "../helpers/trace/http.ts";
import { play } from "../helpers/trace/player.ts";
import { parseScenarios } from "../helpers/trace/scenario.ts";

const FOLDER = join(import.meta.dirname, "../traces");

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl")).sort()) {
  describe(file.replace(".jsonl", ""), () => {
    for (const scenario of parseScenarios(readFileSync(join(FOLDER, file), "utf8"))) {
      test(scenario.name, async () => {
        const machine = await HttpMachine.open({ url: service.url });
        try {
          expect((await play(machine, scenario)).failure).toBeNull();
        } finally {
          await machine.close();
        }
      });
    }
  });
}
