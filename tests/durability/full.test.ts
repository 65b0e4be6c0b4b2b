/** A full disk is an answer like another: nothing that was answered is lost, and with room the service goes on. */
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { newSession, refusal, Refused, type Problem } from "../acceptance/client.ts";
import { newDatabase, startServer, type Server } from "../acceptance/server.ts";

const database = newDatabase();
const start = (): Promise<Server> => startServer({ database, preload: ["tests/durability/small_disk.ts"] });

let server: Server;
beforeEach(async () => void (server = await start()));
afterEach(() => server.end());

async function toggle(says: string): Promise<void> {
  const before = server.output().split(says).length;
  process.kill(server.pid, "SIGUSR2");
  while (server.output().split(says).length === before) await pause(5);
}

test("507 while the disk is full, everything answered afterwards", async () => {
  const session = await newSession(server.url);
  const writer = await session.process();
  const fd = await writer.must("openat", { pathname: "/tmp/log", flags: "O_WRONLY|O_CREAT|O_APPEND", mode: "0644" });
  let kept = "";
  let count = 0;
  const write = async (): Promise<Problem | null> => {
    const record = `${String(count++).padStart(6, "0")} ${"x".repeat(4000)}\n`;
    try {
      const { ret } = await writer.call("write", { fd, buf: record });
      expect(ret).toBe(record.length);
      kept += record;
      return null;
    } catch (error) {
      if (error instanceof Refused) return error.problem;
      throw error;
    }
  };
  for (let before = 0; before < 20; before++) expect(await write()).toBeNull();

  await toggle("the disk is full");
  let problem: Problem | null = null;
  while (problem === null) problem = await write();
  expect(problem).toMatchObject({ status: 507, type: "/problems/full" });
  for (let more = 0; more < 5; more++) expect(await write()).toMatchObject({ status: 507 });
  // What can be read without keeping anything is still there, and shows nothing that was refused.
  expect((await session.cat("/tmp/log")).toString()).toBe(kept);
  const fill = async (): Promise<void> => {
    for (;;) await newSession(server.url);
  };
  expect(await refusal(fill())).toMatchObject({ status: 507, type: "/problems/full" });

  await toggle("the disk has room");
  for (let after = 0; after < 20; after++) expect(await write()).toBeNull();
  expect((await session.cat("/tmp/log")).toString()).toBe(kept);

  await server.end("SIGKILL");
  server = await start();
  session.url = server.url;
  expect((await session.cat("/tmp/log")).toString()).toBe(kept);
  expect(await write()).toBeNull();
});
