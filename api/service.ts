/** The service as a whole, without a port: opened on a database, closed with everything kept. */
import { hashToken } from "./store/index.ts";
import type { Logger } from "pino";
import { MemberDirectory } from "./auth.ts";
import { Benchmarks } from "./benchmarks/benchmarks.ts";
import type { BenchmarkKind } from "./benchmarks/core.ts";
import { createMetrics } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import type { Services } from "./services.ts";
import { Sessions, type SessionsOptions } from "./sessions/sessions.ts";
import { openStore, type Store } from "./store/index.ts";

export interface ServiceOptions {
  databaseUrl: string;
  adminToken?: string | undefined;
  log: Logger;
  sessions?: Partial<Omit<SessionsOptions, "store" | "log">>;
  benchmarks?: { kinds: BenchmarkKind[]; worker: URL };
}

export interface Service {
  services: Services;
  close(): Promise<void>;
}

/** How long the sweeper rests when there was nothing to do, in milliseconds. */
const SWEEP_MS = 60_000;

/** @throws StoreRefused with one sentence where the database cannot be used */
export async function openService({ databaseUrl, adminToken, log, sessions: options, benchmarks: kinds }: ServiceOptions): Promise<Service> {
  const store = await openStore(databaseUrl);
  const metrics = createMetrics();
  const sessions = new Sessions({ store, log, committed: metrics.committed, ...options });
  metrics.watch(() => sessions.counts());
  const benchmarks = new Benchmarks({ store, log, ...kinds });
  await benchmarks.start();
  const sweeper = startSweeper(store, log);
  const services: Services = {
    store, sessions, benchmarks, metrics,
    gate: { adminHash: adminToken === undefined ? null : hashToken(adminToken), members: new MemberDirectory(store) },
    openapi: describeApi(),
  };
  return {
    services,
    async close() {
      await sweeper.stop();
      await benchmarks.stop();
      await sessions.stop();
      await store.close();
    },
  };
}

/** Deletes what is no longer needed, a slice at a time. */
function startSweeper(store: Store, log: Logger): { stop(): Promise<void> } {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const sweep = async (): Promise<void> => {
    try {
      while (!stopped && (await store.sweep())) await new Promise((resolve) => setTimeout(resolve, 20));
    } catch (error) {
      log.warn({ error: (error as Error).message }, "the sweep did not finish");
    }
  };
  const arm = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = sweep().then(arm);
    }, SWEEP_MS);
    timer.unref();
  };
  arm();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
