/** npm run fuzz:net -- <seed> [steps]: sockets and epoll beside a model; the same seed walks the same way again. */
import { shrink } from "./net/shrink.ts";
import { actsOf, walk, type Count } from "./net/walk.ts";
import { traced } from "./net/traced.ts";

const WALK = 1000;
const REPLAY_EVERY = 8;
const SHRINK_MS = 60_000;
const MOST_LINES = 80;

function main(): number {
  const [seedText, stepsText = "1000000"] = process.argv.slice(2);
  const [seed, steps] = [Number(seedText), Number(stepsText)];
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || steps < 1) {
    console.error("usage: npm run fuzz:net -- <seed> [steps=1000000]");
    return 2;
  }
  const count: Count = { steps: 0, calls: 0, succeeded: 0, drops: 0 };
  for (let at = 0; count.steps < steps; at++) {
    const acts = actsOf(seed, at, Math.min(WALK, steps - count.steps));
    const replay = at % REPLAY_EVERY === 0;
    const failure = walk(seed + at, acts, replay, count);
    if (failure !== null) {
      console.error(`seed ${seed}, walk ${at}, step ${failure.at}: ${failure.message}`);
      const short = shrink(seed + at, acts, failure, replay, SHRINK_MS, () => performance.now());
      console.error(`${short.acts.length} steps suffice: ${short.failure.message}`);
      for (const line of traced(seed + at, short.acts).slice(-MOST_LINES)) console.error(`  ${line}`);
      return 1;
    }
    if (at % 100 === 99) console.log(`${count.steps} steps, ${count.calls} calls, ${Math.round((100 * count.succeeded) / count.calls)} % succeeded`);
  }
  console.log(`${count.steps} steps, ${count.calls} calls, ${((100 * count.succeeded) / count.calls).toFixed(1)} % succeeded, ${count.drops} datagrams dropped: as foretold`);
  return 0;
}

process.exitCode = main();
