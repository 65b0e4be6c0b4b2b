/** What the handlers of routes work with. */
import type { Gate } from "./auth.ts";
import type { Benchmarks } from "./benchmarks/benchmarks.ts";
import type { Metrics } from "./metrics.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { Store } from "./store/index.ts";

export interface Services {
  store: Store;
  sessions: Sessions;
  benchmarks: Benchmarks;
  gate: Gate;
  metrics: Metrics;
  /** openapi.yaml and openapi.json as text. */
  openapi: { yaml: string; json: string };
}
