/** npm run properties -- <seed> [steps]: long random walks beside the models; the same seed walks the same way again. */
import { clocks } from "./clocks.ts";
import { files } from "./files.ts";
import { mappings } from "./mappings.ts";
import { memory } from "./memory.ts";
import { pipes } from "./pipes.ts";
import { processes } from "./processes.ts";
import { check, type Model } from "./walk.ts";

const MODELS: { [name: string]: (seed: number, steps: number) => unknown } = { files: walks(files), mappings: walks(mappings), pipes: walks(pipes), processes: walks(processes), clocks, memory };

function walks<Act>(model: Model<Act>): (seed: number, steps: number) => void {
  return (seed, steps) => check(model, seed, steps);
}

function main(): number {
  const [seedText, stepsText = "100000", ...names] = process.argv.slice(2);
  const [seed, steps] = [Number(seedText), Number(stepsText)];
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || steps < 1 || names.some((name) => !Object.hasOwn(MODELS, name))) {
    console.error(`usage: npm run properties -- <seed> [steps=100000] [${Object.keys(MODELS).join(" | ")} ...]`);
    return 2;
  }
  let failed = 0;
  for (const name of names.length > 0 ? names : Object.keys(MODELS)) {
    try {
      MODELS[name](seed, steps);
      console.log(`${name}: ${steps} steps as foretold`);
    } catch (error) {
      failed++;
      console.error(`${name}, seed ${seed}: ${String(error)}\n${error instanceof Error ? String(error.cause) : ""}`);
    }
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = main();
