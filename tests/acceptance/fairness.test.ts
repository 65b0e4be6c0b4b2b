/** One busy session does not make another wait: each gets its turn of the event loop. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Process } from "./client.ts";
import { startServer, type Server } from "./server.ts";

const CALLS = 150;
const ROUNDS = 3;
/** The promise is ten; a test shares its machine with others. */
const MARGIN = 20;

let server: Server;
beforeAll(async () => void (server = await startServer({ preload: ["tests/acceptance/spinner.ts"] })));
afterAll(() => server.end());

/** The 99th percentile of getpid's round trip, milliseconds. */
async function p99(process: Process): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < CALLS; count++) {
    const start = performance.now();
    await process.must("getpid");
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(CALLS * 0.99)]!;
}

/** The best ratio of busy to quiet over some rounds: what the service adds, not what else the machine does. */
async function ratio(load: (signal: { over: boolean }) => Promise<void>): Promise<number> {
  const quietSession = await newSession(server.url);
  const process = await quietSession.process();
  await p99(process); // warm up
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const quiet = await p99(process);
    const signal = { over: false };
    const running = load(signal);
    const busy = await p99(process);
    signal.over = true;
    await running;
    best = Math.min(best, busy / quiet);
  }
  return best;
}

test("a session that sends batch upon batch leaves another's calls alone", async () => {
  const busy = await newSession(server.url);
  const process = await busy.process();
  const bytes = Buffer.from(JSON.stringify({ calls: Array.from({ length: 10_000 }, () => ({ call: "getpid" })) }));
  const headers = { "Content-Type": "application/json" };
  expect(await ratio(async (signal) => {
    while (!signal.over) await busy.ask("POST", `/processes/${process.pid}/syscalls`, { bytes, headers });
  })).toBeLessThan(MARGIN);
});

test("a session whose two kernel threads never rest leaves another's calls alone", async () => {
  const busy = await newSession(server.url, { clock: "real" });
  await busy.insmod("spin");
  const process = await busy.process();
  expect(await ratio(async (signal) => {
    while (!signal.over) await process.must("getpid");
  })).toBeLessThan(MARGIN);
});

test("a virtual clock that is moved far leaves another session's calls alone", async () => {
  const busy = await newSession(server.url, { clock: "virtual" });
  await busy.insmod("spin");
  expect(await ratio(async (signal) => {
    while (!signal.over) await busy.ask("POST", "/clock/advance", { json: { ms: 1_000 } });
  })).toBeLessThan(MARGIN);
});
