/** A listening server of its own for a test: started as its users start it, on a free port, with a database that goes away. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "../..");

export interface Server {
  url: string;
  pid: number;
  /** Path of the database file. */
  database: string;
  /** What it has said on stdout and stderr. */
  output(): string;
  /** Resolves when the process is gone. */
  gone: Promise<unknown>;
  /** Ends the process and waits for it; SIGTERM unless another signal is named. Answers its exit code, null when a signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface ServerOptions {
  /** A new one in a directory of its own unless given; one that is given is not removed. */
  database?: string;
  env?: Record<string, string>;
  /** Modules of the tests that the server loads before its own, as paths from the root. */
  preload?: string[];
}

/** Path of a database in a new directory. */
export function newDatabase(): string {
  return join(mkdtempSync(join(tmpdir(), "syslab-client-")), "syslab.db");
}

/** Starts `api/server.ts`; its stdout and stderr come together. */
export function spawnServer(database: string, { env, preload = [] }: ServerOptions = {}): { child: ChildProcess; output(): string } {
  const imports = ["tsx", ...preload.map((path) => `./${path}`)].flatMap((module) => ["--import", module]);
  const child = spawn(process.execPath, ["--enable-source-maps", ...imports, "api/server.ts"], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], HOST: "127.0.0.1", PORT: "0", DATABASE_URL: `file:${database}`, ...env },
  });
  let output = "";
  const collect = (chunk: string): void => void (output += chunk);
  child.stdout?.setEncoding("utf8").on("data", collect);
  child.stderr?.setEncoding("utf8").on("data", collect);
  return { child, output: () => output };
}

/** A server that answers /readyz. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const { database } = options;
  const file = database ?? newDatabase();
  const { child, output } = spawnServer(file, options);
  const gone = once(child, "exit");
  const url = await listening(child, output);
  return {
    url,
    gone,
    pid: child.pid!,
    database: file,
    output,
    async end(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await gone;
      }
      if (database === undefined) rmSync(resolve(file, ".."), { recursive: true, force: true });
      return child.exitCode;
    },
  };
}

/** The address that a starting server names first in its output. */
async function listening(child: ChildProcess, output: () => string): Promise<string> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the server did not start:\n${output()}`);
    const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(output())?.[1] ?? /"port":(\d+)/.exec(output())?.[1];
    if (port !== undefined) {
      const url = `http://127.0.0.1:${port}`;
      const ready = await fetch(`${url}/readyz`).catch(() => null);
      if (ready?.ok) return url;
    }
    await new Promise((wake) => setTimeout(wake, 20));
  }
}
