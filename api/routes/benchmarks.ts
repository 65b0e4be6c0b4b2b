/** Benchmarks: the catalog, the queue, results as JSON, CSV and a picture. */
import { z } from "zod";
import { invalid } from "../errors.ts";
import { columnsOf, toCsv } from "../benchmarks/csv.ts";
import { compareRows } from "../benchmarks/compare.ts";
import { drawChart } from "../benchmarks/chart.ts";
import { defineRoute, type Reply } from "../route.ts";
import { Id, Machine, PageQuery, Timestamp, pageOf, pageSchema } from "../schemas.ts";
import type { Services } from "../services.ts";
import type { Json } from "../sessions/core.ts";
import { keep } from "../sessions/idempotency.ts";
import type { BenchmarkRunRecord } from "../store/index.ts";
import { LIMITS } from "../limits.ts";

const tag = "Benchmarks";
const path = "/v1/benchmarks";
const RunParams = z.object({ id: Id });
const STATES = ["queued", "running", "done", "failed", "cancelled"] as const;

const Value = z.union([z.number(), z.string(), z.boolean(), z.null()]);
const Row = z.record(z.string(), Value);

const Kind = z.object({
  kind: z.string(), title: z.string(), report: z.string(),
  params: z.array(z.object({
    name: z.string(), type: z.string(), default: z.unknown(), min: z.number().optional(), max: z.number().optional(),
    choices: z.array(z.unknown()).optional(), description: z.string(),
  })),
  columns: z.array(z.object({ name: z.string(), unit: z.string().optional(), description: z.string() })),
  chart: z.object({
    kind: z.string(), x: z.string(), y: z.array(z.string()), series: z.string().optional(), logX: z.boolean().optional(), logY: z.boolean().optional(),
  }).optional(),
  machine: z.unknown().optional(),
}).meta({ id: "BenchmarkKind" });

const Run = z.object({
  id: z.string(), kind: z.string(), params: z.record(z.string(), z.unknown()), machine: z.record(z.string(), z.unknown()), repeat: z.number().int(),
  state: z.enum(STATES), progress: z.number().min(0).max(1), error: z.string().nullable(), coreVersion: z.string(),
  createdAt: Timestamp, startedAt: Timestamp.nullable(), finishedAt: Timestamp.nullable(),
}).meta({ id: "Benchmark" });
const RunWithRows = Run.extend({ rows: z.array(Row) }).meta({ id: "BenchmarkWithRows" });

function runView(record: BenchmarkRunRecord): z.output<typeof Run> {
  const { id, kind, params, machine, repeat, state, progress, error, coreVersion, createdAt, startedAt, finishedAt } = record;
  return {
    id, kind, params, machine: { ...machine }, repeat, state, progress, error, coreVersion, createdAt: createdAt.toISOString(),
    startedAt: startedAt?.toISOString() ?? null, finishedAt: finishedAt?.toISOString() ?? null,
  };
}

export const getCatalog = defineRoute({
  id: "listBenchmarkKinds", method: "get", path: `${path}/catalog`, tag, access: "none",
  summary: "The kinds, their parameters and the report each comes from",
  responses: { 200: z.object({ items: z.array(Kind), nextCursor: z.null() }) },
  handle: (_context, { benchmarks }) => ({ status: 200, json: { items: [...benchmarks.kinds.values()], nextCursor: null } }),
});

const Created = z.object({ id: z.string(), state: z.enum(STATES) }).meta({ id: "CreatedBenchmark" });

export const postBenchmark = defineRoute({
  id: "createBenchmark", method: "post", path, tag, access: "teacher",
  summary: "Queue a benchmark; it runs on a fresh kernel of its own",
  body: z.strictObject({
    kind: z.string().min(1).max(64),
    params: z.record(z.string(), z.unknown()).optional(),
    machine: Machine.optional(),
    repeat: z.number().int().min(1).max(LIMITS.benchmarks.repeat).optional(),
  }),
  responses: { 202: { description: "It waits for its turn", json: Created, headers: { Location: "The benchmark" } } },
  problems: { 429: "As many wait as may" },
  handle({ body, caller, request }, { benchmarks, sessions }) {
    const { kind, params = {}, machine = {}, repeat = 1 } = body;
    const run = benchmarks.prepare({ kind, params: params as { [name: string]: Json }, machine, repeat }, caller);
    const reply = { status: 202 as const, json: { id: run.id, state: "queued" as const }, headers: { Location: `${path}/${run.id}` } };
    return new Promise<typeof reply>((resolve, reject) => {
      const unit = sessions.journal.separate();
      unit.turn.benchmarks.push(run);
      keep(unit, request.ticket, reply as Reply, { sessionId: null, seq: null });
      unit.after.push(() => benchmarks.enqueue(run));
      unit.answer({ resolve: () => resolve(reply), reject }, reply);
    });
  },
});

export const listBenchmarks = defineRoute({
  id: "listBenchmarks", method: "get", path, tag, access: "none", summary: "The benchmarks, newest first",
  query: PageQuery.extend({ kind: z.string().max(64).optional(), state: z.enum(STATES).optional() }),
  responses: { 200: pageSchema(Run, "BenchmarkPage") },
  async handle({ query }, { store }) {
    const { kind, state } = query;
    const { items, nextCursor } = await store.benchmarks.list({ ...pageOf(query), ...(kind === undefined ? {} : { kind }), ...(state === undefined ? {} : { state }) });
    return { status: 200, json: { items: items.map(runView), nextCursor } };
  },
});

export const compareBenchmarks = defineRoute({
  id: "compareBenchmarks", method: "get", path: `${path}/compare`, tag, access: "none", summary: "Two runs side by side",
  query: z.object({ ids: z.string().max(200).regex(/^[A-Za-z0-9_-]+,[A-Za-z0-9_-]+$/, "takes two ids, joined by a comma") }),
  responses: {
    200: z.object({
      runs: z.array(Run),
      rows: z.array(z.object({
        key: z.record(z.string(), Value),
        values: z.record(z.string(), z.object({ a: z.number().nullable(), b: z.number().nullable(), ratio: z.number().nullable() })),
      })),
    }).meta({ id: "BenchmarkComparison" }),
  },
  async handle({ query }, { benchmarks, store }) {
    const [first = "", second = ""] = query.ids.split(",");
    const [a, b] = [await benchmarks.get(first), await benchmarks.get(second)];
    if (a.kind !== b.kind) throw invalid(`${first} is ${a.kind} and ${second} is ${b.kind}.`, [{ path: "/query/ids", message: "are of different kinds" }]);
    const [rowsOfA, rowsOfB] = [await allRows(store, first), await allRows(store, second)];
    const kind = benchmarks.kinds.get(a.kind);
    const rows = compareRows(kind, columnsOf(kind, [...rowsOfA, ...rowsOfB]), rowsOfA, rowsOfB);
    return { status: 200, json: { runs: [runView(a), runView(b)], rows } };
  },
});

function allRows(store: Services["store"], id: string) {
  return store.benchmarks.rows(id, 0, 100_000);
}

export const getBenchmark = defineRoute({
  id: "getBenchmark", method: "get", path: `${path}/{id}`, tag, access: "none", summary: "One benchmark and its rows so far",
  params: RunParams,
  responses: { 200: RunWithRows },
  async handle({ params }, { benchmarks, store }) {
    const record = await benchmarks.get(params.id);
    return { status: 200, json: { ...runView(record), rows: await allRows(store, params.id) } };
  },
});

export const deleteBenchmark = defineRoute({
  id: "cancelBenchmark", method: "delete", path: `${path}/{id}`, tag, access: "teacher", summary: "Cancel a benchmark; its poster or the administrator may",
  params: RunParams,
  responses: { 204: { description: "It is cancelled" } },
  problems: { 409: "It is over" },
  async handle({ params, caller }, { benchmarks }) {
    await benchmarks.cancel(params.id, caller);
    return { status: 204 };
  },
});

export const getBenchmarkEvents = defineRoute({
  id: "followBenchmark", method: "get", path: `${path}/{id}/events`, tag, access: "none", summary: "Progress as server-sent events; the stream ends with the run",
  params: RunParams,
  responses: { 200: { description: "progress, end", events: true } },
  async handle({ params, request }, { benchmarks }) {
    await benchmarks.get(params.id);
    return { status: 200, events: (sink) => benchmarks.follow(params.id, sink, request.lastEventId) };
  },
});

export const getCsv = defineRoute({
  id: "getBenchmarkCsv", method: "get", path: `${path}/{id}/results.csv`, tag, access: "none", summary: "The table",
  params: RunParams,
  responses: { 200: { description: "CSV with a heading", text: "text/csv" } },
  async handle({ params }, { benchmarks, store }) {
    const { kind } = await benchmarks.get(params.id);
    const rows = await allRows(store, params.id);
    return { status: 200, text: toCsv(columnsOf(benchmarks.kinds.get(kind), rows), rows), contentType: "text/csv; charset=utf-8" };
  },
});

export const getChart = defineRoute({
  id: "getBenchmarkChart", method: "get", path: `${path}/{id}/chart.svg`, tag, access: "none", summary: "The picture",
  params: RunParams,
  responses: { 200: { description: "SVG", text: "image/svg+xml" } },
  problems: { 422: "Its kind has no picture" },
  async handle({ params }, { benchmarks, store }) {
    const record = await benchmarks.get(params.id);
    const kind = benchmarks.kinds.get(record.kind);
    if (kind?.chart === undefined) throw invalid(`The kind ${record.kind} has no picture.`);
    const { chart } = kind;
    const unit = kind.columns.find((column) => column.name === chart.y[0])?.unit ?? "";
    return { status: 200, text: drawChart(kind.title, chart, await allRows(store, params.id), unit), contentType: "image/svg+xml" };
  },
});

export const benchmarkRoutes = [
  getCatalog, compareBenchmarks, postBenchmark, listBenchmarks, getBenchmark, deleteBenchmark, getBenchmarkEvents, getCsv, getChart,
];
