/** Prometheus metrics: requests by route, commits, and what is in memory. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 240];

export interface Metrics {
  readonly registry: Registry;
  request(method: string, route: string, status: number, seconds: number): void;
  committed(rows: number, seconds: number): void;
  /** Reads what is in memory whenever the metrics are asked for. */
  watch(counts: () => { loaded: number; held: number; streams: number }): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: "http_request_duration_seconds", help: "Requests by route and status", labelNames: ["method", "route", "status"],
    buckets: SECONDS, registers: [registry],
  });
  const commits = new Histogram({
    name: "syslab_commit_duration_seconds", help: "Commits of the journal", buckets: SECONDS, registers: [registry],
  });
  const rows = new Counter({ name: "syslab_journal_rows_total", help: "Journal rows written", registers: [registry] });
  // The library hashes the labels of every observation; a request has few of them.
  const byLabels = new Map<string, { observe(value: number): void }>();
  return {
    registry,
    request(method, route, status, seconds) {
      const key = `${method} ${route} ${status}`;
      let histogram = byLabels.get(key);
      if (histogram === undefined) {
        histogram = requests.labels(method, route, String(status));
        byLabels.set(key, histogram);
      }
      histogram.observe(seconds);
    },
    committed(count, seconds) {
      commits.observe(seconds);
      rows.inc(count);
    },
    watch(counts) {
      for (const [name, help] of [["loaded", "Kernels in memory"], ["held", "Requests held by a sleeping call"], ["streams", "Open event streams"]] as const) {
        const gauge: Gauge = new Gauge({ name: `syslab_${name}`, help, registers: [registry], collect: () => { gauge.set(counts()[name]); } });
      }
    },
  };
}
