/** Followers that come back after every kill with the id of the last event they saw: each event reaches them once, in order. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Session } from "../acceptance/client.ts";
import { follow } from "./follow.ts";
import type { Dice, World } from "./world.ts";

export interface StreamingReport {
  events: number;
  /** How often a stream was opened. */
  openings: number;
}

interface Told {
  id: string;
  event: string;
  data: { text?: string; pid?: number; what?: string; sequence?: number };
}

/** What a client has seen of one stream that it opens again and again. */
class Reader {
  readonly told: Told[] = [];
  openings = 0;
  #over = false;
  #close: () => void = () => {};
  readonly #reading: Promise<void>;

  constructor(session: Session, path: string) {
    this.#reading = this.#read(session, path);
  }

  async #read(session: Session, path: string): Promise<void> {
    while (!this.#over) {
      const last = this.told.at(-1)?.id;
      const stream = follow(session, path, last === undefined ? {} : { "Last-Event-ID": last });
      this.#close = stream.close;
      // It may have been told to end before there was anything to close.
      if (this.#over as boolean) stream.close();
      this.openings++;
      this.told.push(...eventsOf(await stream.text().catch(() => "")));
      if (!this.#over) await pause(10);
    }
  }

  async end(): Promise<void> {
    this.#over = true;
    this.#close();
    await this.#reading;
  }
}

/** Whole events; one that broke off did not arrive. */
function eventsOf(text: string): Told[] {
  const blocks = text.split("\n\n").slice(0, -1).filter((block) => block.startsWith("id:"));
  return blocks.map((block) => {
    const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)])) as Record<"id" | "event" | "data", string>;
    return { id: fields.id, event: fields.event, data: JSON.parse(fields.data) as Told["data"] };
  });
}

/** `calls` calls and as many new processes, with `kills` kills on the way, before the eyes of two followers. */
export async function streaming(world: World, roll: Dice, { calls = 60, kills = 2 } = {}): Promise<StreamingReport> {
  const session = await world.session({ clock: roll(2) === 0 ? "virtual" : "real" });
  const process = await session.process();
  const [trace, events] = [new Reader(session, `/trace?follow=1&pid=${process.pid}`), new Reader(session, "/events")];
  while (trace.openings === 0 || events.openings === 0) await pause(5);
  await pause(50); // both are open: what comes now is theirs

  const killAt = new Set(Array.from({ length: kills }, (_, kill) => Math.floor(((kill + 1) * calls) / (kills + 1))));
  const pids: number[] = [];
  for (let made = 0; made < calls; made++) {
    if (killAt.has(made)) void world.restart();
    const { pid } = await world.insist(() => session.json<{ pid: number }>("POST", "/processes", { json: { comm: `c${made}` }, key: `process ${made}` }));
    pids.push(pid);
    await world.insist(() => session.json("POST", `/processes/${process.pid}/syscalls/lseek`, { json: { fd: 999, offset: made }, key: `call ${made}` }));
  }
  const whole = (): boolean => trace.told.length >= calls && events.told.filter(({ data }) => data.what === "created").length >= calls;
  for (let looks = 0; looks < 50 && !whole(); looks++) {
    // A reader takes what it has when its stream ends.
    await pause(100);
    if (looks === 1) await world.restart("SIGTERM");
  }
  await Promise.all([trace.end(), events.end()]);

  assert.deepEqual(trace.told.map(({ event, data }) => `${event} ${/, (\d+), SEEK_SET/.exec(data.text ?? "")?.[1]}`), Array.from({ length: calls }, (_, at) => `call ${at}`));
  const kept = (await session.ask("GET", `/trace?pid=${process.pid}`)).text.trimEnd().split("\n");
  assert.deepEqual(trace.told.map(({ data }) => data.text), kept, "the stream showed other calls than the restart kept");
  assert.deepEqual(events.told.filter(({ data }) => data.what === "created").map(({ data }) => data.pid), pids);
  assert.equal(events.told.filter(({ event }) => event === "gap").length, 0);
  await session.ask("DELETE", "");
  return { events: trace.told.length + events.told.length, openings: trace.openings + events.openings };
}
