/**
 * Raw system calls as a real Linux (6.18, x86-64, tmpfs) answered them: calls against every kind of descriptor and path, pairs of paths
 * under rename and link, System V ipc, locks, leases, pipes, and random walks over all of them. Left out are the answers that 6.1 gives otherwise.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseRaw, playRaw } from "../helpers/raw.ts";

const FOLDER = join(import.meta.dirname, "raw");

for (const file of readdirSync(FOLDER).sort()) {
  describe(file.replace(".jsonl", ""), () => {
    for (const scenario of parseRaw(readFileSync(join(FOLDER, file), "utf8"))) {
      test(scenario.name, async () => expect(await playRaw(scenario)).toBeNull());
    }
  });
}

test("an answer that is not Linux's is found", async () => {
  const steps = [{ p: "p0", call: "getpid", a: [], ret: 7_000_000 }];
  expect(await playRaw({ name: "false", steps, syms: [["p0", 1]] })).toMatch(/^step 0: getpid\(\) = \d+, Linux 7000000$/);
});
