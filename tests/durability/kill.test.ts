/** Answered means kept: the server is killed, stopped, started twice, and loses nothing that it told anybody. */
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { spawnServer } from "../acceptance/server.ts";
import { follow } from "./follow.ts";
import { moving } from "./moving.ts";
import { storm } from "./storm.ts";
import { streaming } from "./streaming.ts";
import { dice, World } from "./world.ts";

let world: World;
afterEach(() => world.end());

for (const [end, taken] of [["before:2", 0], ["after:2", 1]] as const) {
  test(`ended ${end.split(":")[0]} a commit whose calls nobody was told of, the server has all of it or nothing`, async () => {
    world = await World.start({ preload: ["tests/durability/sudden_end.ts"], env: { SUDDEN_END: end } });
    const report = await storm(world, dice(3), { workers: 100, answers: 200, commit: true });
    expect(Math.min(report.taken, 1)).toBe(taken);
  });
}

test("killed among a thousand calls, the server keeps what it answered, and a repeated key acts once", async () => {
  world = await World.start();
  const report = await storm(world, dice(1), { workers: 1000, answers: 1500 });
  expect(report.unanswered).toBeGreaterThan(100);
  expect(report.answered).toBeGreaterThan(100);
  expect(report.views).toBeGreaterThan(0);
  expect(report.streamed).toBeGreaterThan(0);
});

test("killed in the middle of a transfer, the file arrives whole", async () => {
  world = await World.start();
  const { kills, views } = await moving(world, dice(2), { bytes: 200_000, perTrip: 20, kills: 3 });
  expect(kills).toBeGreaterThan(0);
  expect(views).toBeGreaterThan(0);
});

test("killed before the eyes of followers, they come back and have seen each event once", async () => {
  world = await World.start();
  const { events, openings } = await streaming(world, dice(4), { calls: 40, kills: 2 });
  expect(events).toBeGreaterThanOrEqual(80);
  expect(openings).toBeGreaterThan(4);
});

test("SIGTERM ends the server within ten seconds, held calls and streams notwithstanding, and they sleep on afterwards", async () => {
  world = await World.start();
  const session = await world.session();
  const reader = await session.process();
  const { pipefd } = await reader.call("pipe2");
  const child = session.at(await reader.must("fork"));
  const told = await reader.call("read", { fd: pipefd![0], count: 4 }, { wait: 0 });
  const held = child.call("read", { fd: pipefd![0], count: 4 }, { wait: 240 }).catch(() => null);
  const stream = follow(session, "/events");
  while ((await child.view()).call === null);
  const start = performance.now();
  const code = await world.server.end("SIGTERM");
  expect(performance.now() - start).toBeLessThan(10_000);
  expect(code).toBe(0);
  await held;
  await stream.text();
  await world.restart();
  expect(await session.callState(told.callId)).toMatchObject({ state: "sleeping", callId: told.callId });
  await child.signal("SIGKILL");
  expect((await session.callState(told.callId)).state).toBe("sleeping");
  await reader.signal("SIGKILL");
  expect(await session.callState(told.callId)).toMatchObject({ state: "ended", signaled: "SIGKILL" });
});

test("a second server on the same file says so in one sentence and exits; the first goes on", async () => {
  world = await World.start();
  const session = await world.session();
  const process = await session.process();
  const { child, output } = spawnServer(world.database);
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code).not.toBe(0);
  expect(output().trim().split("\n")).toHaveLength(1);
  expect(output()).toContain(world.database);
  expect(await process.must("getpid")).toBe(process.pid);
});
