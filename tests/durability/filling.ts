/** A disk that fills up while many write, and a kill while it is full: what was answered is there, and nothing else. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Refused } from "../acceptance/client.ts";
import { World, type Dice } from "./world.ts";

const SMALL_DISK = { preload: ["tests/durability/small_disk.ts"] };

export interface FillingReport {
  kept: number;
  refused: number;
}

/** The server says so once it has done it. */
async function toggle(world: World, says: string): Promise<void> {
  const before = world.server.output().split(says).length;
  process.kill(world.server.pid, "SIGUSR2");
  while (world.server.output().split(says).length === before) await pause(5);
}

export async function filling(roll: Dice, { workers = 8, writes = 20 } = {}): Promise<FillingReport> {
  const world = await World.start(SMALL_DISK);
  try {
    return await fill(world, roll, workers, writes);
  } catch (error) {
    console.error(world.server.output().slice(-2000));
    throw error;
  } finally {
    await world.end();
  }
}

async function fill(world: World, roll: Dice, workers: number, writes: number): Promise<FillingReport> {
  const virtual = Array.from({ length: workers }, () => roll(2) === 0);
  const sessions = await Promise.all(virtual.map((stands) => world.session({ clock: stands ? "virtual" : "real" })));
  const kept = sessions.map(() => "");
  let refused = 0;
  const work = async (): Promise<void> => {
    await Promise.all(sessions.map(async (session, at) => {
      const writer = await session.process();
      const fd = await writer.must("openat", { pathname: "/tmp/log", flags: "O_WRONLY|O_CREAT|O_APPEND", mode: "0644" });
      for (let count = 0; count < writes; count++) {
        const record = `${at} ${count} ${"x".repeat(roll(3_000))}\n`;
        assert.equal(await writer.must("write", { fd, buf: record }), record.length);
        kept[at] += record;
      }
    }));
  };
  /** @param full a look moves a real clock, and that cannot be kept then */
  const same = async (full = false): Promise<void> => {
    for (const [at, session] of sessions.entries()) {
      if (!full || virtual[at]) assert.equal((await session.cat("/tmp/log")).toString(), kept[at], "the file is not what was answered");
      else await session.cat("/tmp/log").catch((error: unknown) => assert(error instanceof Refused && error.problem.status === 507));
    }
  };
  await work();

  const pids = await Promise.all(sessions.map((session) => session.process()));
  const fds = await Promise.all(pids.map((process) => process.must("openat", { pathname: "/tmp/log", flags: "O_WRONLY|O_APPEND" })));
  await toggle(world, "the disk is full");
  await Promise.all(pids.map(async (process, at) => {
    for (let count = 0, wrong = 0; wrong < 5 && count < 500; count++) {
      const record = `full ${count} ${"y".repeat(2_000)}\n`;
      try {
        await process.call("write", { fd: fds[at], buf: record });
        kept[at] += record;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        assert.equal(error.problem.status, 507, JSON.stringify(error.problem));
        wrong++;
        refused++;
      }
    }
  }));
  assert(refused > 0, "the disk was never full");
  await same(true);
  // Killed while it is full; the next server finds room, and all that was answered.
  await world.restart();
  await same();
  await work();
  await same();
  return { kept: kept.reduce((sum, text) => sum + text.length, 0), refused };
}
