/** The server: reads the environment, opens the database, listens, and stops in order. */
import { pino } from "pino";
import { createHttpServer } from "./app.ts";
import { parseEnv } from "./env.ts";
import { openService, type Service } from "./service.ts";
import { StoreRefused } from "./store/index.ts";

/** A stop takes no longer, in milliseconds. */
const STOP_MS = 9_000;

const parsed = parseEnv(process.env);
if (!parsed.ok) refuse(parsed.problem);
else await serve(parsed.env);

function refuse(sentence: string): never {
  console.error(sentence);
  process.exit(1);
}

async function open(env: Parameters<typeof serve>[0], log: ReturnType<typeof logger>): Promise<Service> {
  try {
    return await openService({ databaseUrl: env.databaseUrl, adminToken: env.adminToken, log });
  } catch (error) {
    if (error instanceof StoreRefused) refuse(error.message);
    throw error;
  }
}

function logger(level: string) {
  return pino({ level, base: null }, pino.destination({ dest: 1, sync: false, minLength: 4096 }));
}

async function serve(env: Extract<ReturnType<typeof parseEnv>, { ok: true }>["env"]): Promise<void> {
  const log = logger(env.logLevel);
  const flush = setInterval(() => log.flush(), 1_000);
  flush.unref();
  const service = await open(env, log);
  const server = createHttpServer({ services: service.services, log, host: env.host, hosts: env.hosts });
  server.on("error", (error) => {
    void service.close().finally(() => refuse(`The server cannot listen on ${env.host} port ${env.port}: ${error.message}.`));
  });
  server.listen(env.port, env.host, () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : env.port;
    const name = env.host.includes(":") ? `[${env.host}]` : env.host;
    log.info({ host: env.host, port, database: service.services.store.file }, `syslab listens on http://${name}:${port}`);
    log.flush();
  });
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, "syslab stops");
      setTimeout(() => process.exit(1), STOP_MS).unref();
      server.close();
      server.closeIdleConnections();
      void service.close().then(
        () => end(0),
        (error: unknown) => {
          log.error({ error: (error as Error).message }, "not all could be kept");
          end(1);
        },
      );
    });
  }

  /** Answers that were just made get a moment to leave. */
  function end(code: number): void {
    setTimeout(() => server.closeAllConnections(), 250).unref();
    server.once("close", () => log.flush(() => process.exit(code)));
    if (!server.listening) setTimeout(() => log.flush(() => process.exit(code)), 400);
  }
}
