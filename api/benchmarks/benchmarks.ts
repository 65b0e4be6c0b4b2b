/** The queue of benchmarks: each runs in a thread of its own on a fresh kernel, its rows are kept as they come. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { Problem, conflict, forbidden, invalid, notFound } from "../errors.ts";
import type { Caller } from "../auth.ts";
import { LIMITS } from "../limits.ts";
import type { Log } from "../sessions/host.ts";
import { CORE_VERSION, type Json, type MachineOptions } from "../sessions/core.ts";
import { newId } from "../sessions/snapshots.ts";
import type { BenchmarkRunRecord, NewBenchmarkRun, Store } from "../store/index.ts";
import type { EventSink } from "../sse.ts";
import { benchmarkKinds, type BenchmarkKind, type BenchmarkRow } from "./core.ts";
import { readParams } from "./params.ts";
import type { Job, Told } from "./worker.ts";

/** Rows of one run at most. */
const MAX_ROWS = 100_000;
/** Progress is written to the database so often, in milliseconds. */
const WRITE_MS = 500;

interface Running {
  id: string;
  worker: Worker | null;
  rows: number;
  progress: number;
  waiting: BenchmarkRow[];
  writing: Promise<void>;
  writtenMs: number;
  cancelled: boolean;
}

interface Follower {
  sink: EventSink;
  sent: number;
}

export interface BenchmarksOptions {
  store: Store;
  log: Log;
  kinds?: BenchmarkKind[];
  worker?: URL;
}

export class Benchmarks {
  readonly kinds: Map<string, BenchmarkKind>;
  readonly #store: Store;
  readonly #log: Log;
  readonly #worker: URL;
  readonly #queue: BenchmarkRunRecord[] = [];
  readonly #running = new Map<string, Running>();
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #places = Math.max(1, availableParallelism() - 1);
  #stopping = false;

  constructor({ store, log, kinds = benchmarkKinds(), worker = new URL("./worker.ts", import.meta.url) }: BenchmarksOptions) {
    this.#store = store;
    this.#log = log;
    this.#worker = worker;
    this.kinds = new Map(kinds.map((kind) => [kind.kind, kind]));
  }

  /** Takes up what a stop left unfinished; a run that was under way begins again. */
  async start(): Promise<void> {
    for (const record of await this.#store.benchmarks.unfinished()) {
      if (record.state === "running") {
        await this.#store.benchmarks.clearRows(record.id);
        await this.#store.benchmarks.update(record.id, { state: "queued", progress: 0, startedAt: null });
      }
      this.#queue.push({ ...record, state: "queued", progress: 0 });
    }
    this.#next();
  }

  /** A run as it is to be kept. @throws Problem 422 for what its kind does not take, 429 where the queue is full */
  prepare(wanted: { kind: string; params: { [name: string]: Json }; machine: MachineOptions; repeat: number }, caller: Caller | null): NewBenchmarkRun {
    const kind = this.kinds.get(wanted.kind);
    if (kind === undefined) throw invalid(`There is no benchmark ${wanted.kind}.`, [{ path: "/kind", message: "is no benchmark of the catalog" }]);
    const { params, errors } = readParams(kind, wanted.params);
    if (errors.length > 0) throw invalid(`${errors[0]!.path} ${errors[0]!.message}.`, errors);
    if (this.#queue.length >= LIMITS.benchmarks.queued) {
      throw new Problem(429, "too-many", `${this.#queue.length} benchmarks wait already.`, { headers: { "Retry-After": "30" } });
    }
    return {
      id: newId("b"), kind: wanted.kind, params, machine: { ...kind.machine, ...wanted.machine }, repeat: wanted.repeat,
      posterHash: caller?.tokenHash ?? null, coreVersion: CORE_VERSION, createdAt: new Date(),
    };
  }

  /** Takes a run that is kept into the queue. */
  enqueue(run: NewBenchmarkRun): void {
    this.#queue.push({ createdAt: new Date(), ...run, state: "queued", progress: 0, error: null, startedAt: null, finishedAt: null });
    this.#next();
  }

  /** A run as it stands. @throws Problem 404 */
  async get(id: string): Promise<BenchmarkRunRecord> {
    const record = await this.#store.benchmarks.get(id);
    if (record === undefined) throw notFound(`There is no benchmark ${id}.`);
    const running = this.#running.get(id);
    return running === undefined ? record : { ...record, progress: running.progress };
  }

  /** Cancels a run. @throws Problem 404, 403 for another's, 409 when it is over */
  async cancel(id: string, caller: Caller | null): Promise<void> {
    const record = await this.get(id);
    const isAdmin = caller !== null && caller.sessionId === null;
    if (record.posterHash !== null && record.posterHash !== caller?.tokenHash && !isAdmin) throw forbidden("Only its poster or the administrator may do this.");
    if (record.state !== "queued" && record.state !== "running") throw conflict(`The benchmark is ${record.state}.`);
    const place = this.#queue.findIndex((queued) => queued.id === id);
    if (place >= 0) this.#queue.splice(place, 1);
    const running = this.#running.get(id);
    if (running !== undefined) running.cancelled = true;
    await running?.worker?.terminate();
    await running?.writing;
    await this.#finish(id, "cancelled", null);
  }

  /** Follows a run: how it stands now, then every change; ends with it. */
  follow(id: string, sink: EventSink, lastEventId: string | null): () => void {
    const follower: Follower = { sink, sent: Number(/^\d{1,12}$/.exec(lastEventId ?? "")?.[0] ?? 0) };
    const followers = this.#followers.get(id) ?? new Set();
    this.#followers.set(id, followers.add(follower));
    // A run keeps no ring: what was missed stands in its present state.
    if (lastEventId !== null) sink.send(String(follower.sent), "gap", "{}");
    void this.#tell(id);
    return () => {
      followers.delete(follower);
      if (followers.size === 0) this.#followers.delete(id);
    };
  }

  /** Ends the threads; what was under way begins again at the next start. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#queue.length = 0;
    for (const followers of this.#followers.values()) for (const { sink } of followers) sink.close();
    await Promise.all([...this.#running.values()].map(async (running) => {
      running.cancelled = true;
      await running.worker?.terminate();
      await running.writing;
    }));
  }

  #next(): void {
    while (!this.#stopping && this.#running.size < this.#places && this.#queue.length > 0) this.#run(this.#queue.shift()!);
  }

  #run(record: BenchmarkRunRecord): void {
    const running: Running = {
      id: record.id, worker: null, rows: 0, progress: 0, waiting: [], writing: Promise.resolve(), writtenMs: 0, cancelled: false,
    };
    this.#running.set(record.id, running);
    running.writing = this.#store.benchmarks.update(record.id, { state: "running", startedAt: new Date() }).then(
      () => this.#work(record, running), (error: unknown) => this.#end(running, (error as Error).message),
    );
  }

  #work({ kind, params, machine, repeat }: BenchmarkRunRecord, running: Running): void {
    if (running.cancelled) return;
    const job: Job = { kind, params, machine, repeat };
    const worker = new Worker(new URL("./thread.mjs", import.meta.url), { workerData: { ...job, script: this.#worker.href }, execArgv: [] });
    running.worker = worker;
    worker.on("message", (told: Told) => {
      if ("done" in told) void this.#end(running, null);
      else this.#heard(running, told.progress, told.rows);
    });
    worker.on("error", (error: Error) => void this.#end(running, error.message));
    worker.on("exit", (code) => void this.#end(running, `the thread ended with code ${code}`));
    void this.#tell(running.id);
  }

  #heard(running: Running, progress: number, rows: BenchmarkRow[]): void {
    running.progress = progress;
    running.waiting.push(...rows);
    if (running.rows + running.waiting.length > MAX_ROWS) return void this.#end(running, `it makes more than ${MAX_ROWS} rows`);
    if (rows.length === 0 && Date.now() - running.writtenMs < WRITE_MS) return;
    running.writtenMs = Date.now();
    running.writing = running.writing.then(() => this.#write(running)).catch((error: unknown) => this.#end(running, (error as Error).message));
  }

  async #write(running: Running): Promise<void> {
    const rows = running.waiting.splice(0);
    if (rows.length > 0) await this.#store.benchmarks.appendRows(running.id, running.rows, rows);
    running.rows += rows.length;
    await this.#store.benchmarks.update(running.id, { progress: running.progress });
    await this.#tell(running.id);
  }

  /** Null: it is done. */
  async #end(running: Running, error: string | null): Promise<void> {
    if (running.cancelled) return;
    running.cancelled = true;
    void running.worker?.terminate();
    try {
      await running.writing.catch(() => {});
      await this.#write(running);
      await this.#finish(running.id, error === null ? "done" : "failed", error);
    } catch (failure) {
      this.#log.error({ benchmark: running.id, error: (failure as Error).message }, "the end of a benchmark was not kept");
      this.#running.delete(running.id);
      this.#next();
    }
  }

  async #finish(id: string, state: "done" | "failed" | "cancelled", error: string | null): Promise<void> {
    this.#running.delete(id);
    await this.#store.benchmarks.update(id, { state, error, finishedAt: new Date(), ...(state === "done" ? { progress: 1 } : {}) });
    await this.#tell(id);
    for (const { sink } of this.#followers.get(id) ?? []) sink.close();
    this.#next();
  }

  async #tell(id: string): Promise<void> {
    const followers = this.#followers.get(id);
    if (followers === undefined || followers.size === 0) return;
    const { state, progress, error } = await this.get(id);
    const rows = this.#running.get(id)?.rows;
    const data = JSON.stringify({ id, state, progress, error, ...(rows === undefined ? {} : { rows }) });
    const over = state !== "queued" && state !== "running";
    for (const follower of followers) {
      follower.sink.send(String(++follower.sent), over ? "end" : "progress", data);
      if (over) follower.sink.close();
    }
  }
}
