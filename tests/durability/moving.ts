/** The first lab's transfer with the server killed again and again on the way; the file arrives whole. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { type Call, noise, type Process } from "../acceptance/client.ts";
import { connect, accept, openDevice, type Side } from "../acceptance/transfer.ts";
import { follow } from "./follow.ts";
import type { Dice, World } from "./world.ts";

const CHUNK = 512;

export interface MovingReport {
  kills: number;
  bytes: number;
  /** Looks at the file on its way. */
  views: number;
}

/** Moves `bytes` bytes in trips of `perTrip` chunks, with about `kills` kills while it goes on. */
export async function moving(world: World, roll: Dice, { bytes = 200_000, perTrip = 40, kills = 3 } = {}): Promise<MovingReport> {
  const session = await world.session({ clock: roll(2) === 0 ? "virtual" : "real" });
  for (const name of ["ksocket", "master_device", "slave_device"]) await session.insmod(name);
  const master = await openDevice(await session.process({ comm: "master" }), "master");
  const slave = await openDevice(await session.process({ comm: "slave" }), "slave");
  assert.equal((await connect(slave)).ret, 0);
  assert.equal((await accept(master)).ret, 0);
  const file = noise(bytes, 1 + roll(1000));
  await session.put("/tmp/in", file);

  let moved = false;
  let killed = 0;
  const killer = (async () => {
    while (killed < kills && !moved) {
      await pause(50 + roll(400));
      if (moved) return;
      await world.restart();
      killed++;
    }
  })();
  // Whatever is seen of the arriving file stays true: it is a beginning of what arrives, and never shrinks.
  let views = 0;
  const watch = (async () => {
    for (let seen = 0; !moved; await pause(5)) {
      const view = await session.cat("/tmp/out").catch(() => null);
      if (view === null) continue;
      assert(view.length >= seen, `a view had ${seen} bytes, and a later one ${view.length}`);
      assert(file.subarray(0, view.length).equals(view), "a view showed what was not sent");
      seen = view.length;
      views++;
    }
  })();
  const stream = follow(session, "/events");
  await Promise.all([send(world, master, bytes, perTrip), receive(world, slave, bytes, perTrip)]).finally(() => (moved = true));
  await killer;
  await watch;
  stream.close();
  assert(file.equals(await session.cat("/tmp/out")), "the file that arrived differs");
  await session.ask("DELETE", "");
  return { kills: killed, bytes, views };
}

async function prepare(world: World, process: Process, pathname: string, flags: string, key: string): Promise<{ fd: number; buf: unknown }> {
  const [opened, buffer] = await world.insistBatch(process, [
    { call: "openat", args: { pathname, flags, mode: "0644" } },
    { call: "mmap", args: { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" } },
  ], key);
  return { fd: opened!.ret, buf: { addr: buffer!.ret } };
}

function pairs(count: number, from: number, to: number, buf: unknown, length: (pair: number) => number): Call[] {
  return Array.from({ length: count }, (_, pair): Call[] => [
    { call: "read", args: { fd: from, buf, count: length(pair) } },
    { call: "write", args: { fd: to, buf, count: { ret: 2 * pair } } },
  ]).flat();
}

async function send(world: World, { process, device }: Side, bytes: number, perTrip: number): Promise<void> {
  const { fd, buf } = await prepare(world, process, "/tmp/in", "O_RDONLY", "master prepares");
  for (let done = 0, trip = 0; done < bytes; trip++) {
    const count = Math.min(perTrip, Math.ceil((bytes - done) / CHUNK));
    const results = await world.insistBatch(process, pairs(count, fd, device, buf, () => CHUNK), `master ${trip}`);
    done += results.reduce((sum, { ret }, at) => (at % 2 === 1 ? sum + ret : sum), 0);
  }
}

async function receive(world: World, { process, device }: Side, bytes: number, perTrip: number): Promise<void> {
  const { fd, buf } = await prepare(world, process, "/tmp/out", "O_RDWR|O_CREAT|O_TRUNC", "slave prepares");
  for (let done = 0, trip = 0; done < bytes; trip++) {
    const left = bytes - done;
    const count = Math.min(perTrip, Math.ceil(left / CHUNK));
    const results = await world.insistBatch(process, pairs(count, device, fd, buf, (pair) => Math.min(CHUNK, left - pair * CHUNK)), `slave ${trip}`);
    done += results.reduce((sum, { ret }, at) => (at % 2 === 1 ? sum + ret : sum), 0);
  }
}

