/** The kill test for as long as one likes: `npm run kill -- [seed] [rounds]`. A seed tells a failed round again. */
import { filling } from "./filling.ts";
import { moving } from "./moving.ts";
import { storm } from "./storm.ts";
import { streaming } from "./streaming.ts";
import { dice, World } from "./world.ts";

const seed = Number(process.argv[2] ?? Date.now() % 1_000_000);
const rounds = Number(process.argv[3] ?? 20);

for (let round = 0; round < rounds; round++) {
  const roll = dice(seed + round);
  const world = await World.start();
  try {
    const stormed = await storm(world, roll, { workers: 100 + roll(900), answers: 300 + roll(3000) });
    const moved = await moving(world, roll, { bytes: 50_000 + roll(400_000), perTrip: 1 + roll(100), kills: 1 + roll(5) });
    const streamed = await streaming(world, roll, { calls: 20 + roll(200), kills: 1 + roll(4) });
    const filled = await filling(roll, { workers: 2 + roll(12), writes: 5 + roll(40) });
    console.log(`seed ${seed + round}: ${JSON.stringify({ ...stormed, ...moved, ...streamed, ...filled })}`);
  } catch (error) {
    console.log(`seed ${seed + round} fails; run it again with: npm run kill -- ${seed + round} 1\n${world.server.output().slice(-4000)}`);
    throw error;
  } finally {
    await world.end();
  }
}
