/** Servers in processes of their own: the service on a fresh database, and express. */
import { spawn, type ChildProcess } from "node:child_process";
import { createReadStream, mkdtempSync, openSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "..");

export interface RunningServer {
  url: string;
  stop(): Promise<void>;
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    child.once("exit", () => done());
    child.kill("SIGTERM");
  });
}

/** The first line of `lines` that has a port. */
async function portIn(lines: AsyncIterable<string>): Promise<number> {
  for await (const line of lines) {
    const port: unknown = (JSON.parse(line) as { port?: unknown }).port;
    if (typeof port === "number") return port;
  }
  throw new Error("the server did not start");
}

/** The service as `npm start` runs it, with its access log written to a file. */
export async function startService(): Promise<RunningServer> {
  const folder = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), "syslab-bench-"));
  const log = join(folder, "log");
  const out = openSync(log, "w");
  const child = spawn(process.execPath, ["--import", "tsx", join(ROOT, "api/server.ts")], {
    cwd: ROOT, stdio: ["ignore", out, "inherit"],
    env: { ...process.env, HOST: "127.0.0.1", PORT: "0", DATABASE_URL: `file:${join(folder, "bench.db")}`, LOG_LEVEL: "info", SYSLAB_ADMIN_TOKEN: "" },
  });
  for (let tries = 0; ; tries++) {
    await new Promise((done) => setTimeout(done, 200));
    const port = await portIn(createInterface(createReadStream(log))).catch(() => 0);
    if (port !== 0) {
      return {
        url: `http://127.0.0.1:${port}`,
        stop: async () => {
          await stopped(child);
          rmSync(folder, { recursive: true, force: true });
        },
      };
    }
    if (tries > 150 || child.exitCode !== null) throw new Error("the service did not start");
  }
}

export async function startEcho(): Promise<RunningServer> {
  const child = spawn(process.execPath, ["--import", "tsx", join(ROOT, "bench/peers/echo.ts")], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const port = await portIn(createInterface(child.stdout));
  return { url: `http://127.0.0.1:${port}`, stop: () => stopped(child) };
}
