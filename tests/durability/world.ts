/** A server that is killed and started again on its file, and a client that goes on: what was not answered is asked again. */
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Answer, type Call, newSession, type Process, Refused, type Session } from "../acceptance/client.ts";
import { newDatabase, startServer, type Server, type ServerOptions } from "../acceptance/server.ts";

/** Whole numbers from 0 to below n, from a seed (mulberry32). */
export type Dice = (n: number) => number;
export function dice(seed: number): Dice {
  let a = seed >>> 0;
  return (n) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

export class World {
  readonly database: string;
  server: Server;
  /** Sessions that follow the server to its next address. */
  readonly sessions: Session[] = [];
  #next: Promise<void> = Promise.resolve();

  private constructor(database: string, server: Server) {
    this.database = database;
    this.server = server;
  }

  /** `options` are the first server's; those that follow it have none. */
  static async start(options: ServerOptions = {}): Promise<World> {
    const database = newDatabase();
    return new World(database, await startServer({ ...options, database }));
  }

  async session(machine?: Record<string, unknown>): Promise<Session> {
    const session = await newSession(this.server.url, machine);
    this.sessions.push(session);
    return session;
  }

  /** Ends the server, by kill -9 unless told otherwise, and starts another on the same file. */
  restart(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    this.#next = (async () => {
      await this.server.end(signal);
      this.server = await startServer({ database: this.database });
      for (const session of this.sessions) session.url = this.server.url;
    })();
    return this.#next;
  }

  /** Asks until it is answered, whatever happens to the server meanwhile; `ask` must be safe to repeat. */
  async insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      const next = this.#next;
      try {
        return await ask();
      } catch (error) {
        if (error instanceof Refused && !RETRIABLE.has(error.problem.status)) throw error;
        if (this.#next === next) await pause(20);
        await this.#next;
      }
    }
  }

  /** A batch under a key, to its end. */
  async insistBatch(process: Process, calls: Call[], key: string): Promise<Answer[]> {
    const post = (): Promise<Answer> =>
      process.session.json("POST", `/processes/${process.pid}/syscalls`, { json: { calls, onError: "stop" }, key, wait: 5 });
    let answer = await this.insist(post);
    while (answer.state === "sleeping") answer = await this.insist(post);
    const bad = answer.results?.find((result) => result.errno !== null);
    if (bad !== undefined || answer.results?.length !== calls.length) throw new Error(`batch ${key}: ${bad?.strace ?? JSON.stringify(answer)}`);
    return answer.results;
  }

  async end(): Promise<void> {
    await this.server.end();
    rmSync(dirname(this.database), { recursive: true, force: true });
  }
}

/** A server that is going away says 503; so does one whose disk refused. */
const RETRIABLE = new Set([503]);
