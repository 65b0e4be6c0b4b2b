/** npm run trace -- <file.jsonl> …: plays recorded scenarios against a running server; see tests/traces for the format. */
import { readFileSync } from "node:fs";
import { HttpMachine, type Server } from "../tests/helpers/trace/http.ts";
import { play } from "../tests/helpers/trace/player.ts";
import { parseScenarios, type Scenario } from "../tests/helpers/trace/scenario.ts";

const server: Server = {
  url: process.env.SYSLAB_URL ?? "http://127.0.0.1:3000",
  ...(process.env.SYSLAB_ADMIN_TOKEN === undefined ? {} : { adminToken: process.env.SYSLAB_ADMIN_TOKEN }),
};

/** Plays one scenario in a session of its own; what differed, or null. */
async function playOver(scenario: Scenario): Promise<string | null> {
  const machine = await HttpMachine.open(server);
  try {
    return (await play(machine, scenario)).failure;
  } finally {
    await machine.close();
  }
}

async function main(files: string[]): Promise<number> {
  if (files.length === 0) {
    console.error("usage: npm run trace -- <file.jsonl> …   (SYSLAB_URL, SYSLAB_ADMIN_TOKEN)");
    return 2;
  }
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    for (const scenario of parseScenarios(readFileSync(file, "utf8"))) {
      const failure = await playOver(scenario).catch((error: unknown) => (error instanceof Error ? `${error.message} ${String(error.cause ?? "")}` : String(error)));
      if (failure === null) passed++;
      else failed++;
      console.log(failure === null ? `✓ ${scenario.name}` : `✗ ${scenario.name}: ${failure}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
