/** Benchmarks: queued, run, followed, cancelled; their rows as JSON, CSV and a picture; two side by side. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BenchmarkKind } from "../../api/benchmarks/core.ts";
import { Follower } from "../helpers/events.ts";
import { TestService, type Ask } from "../helpers/service.ts";

const KIND: BenchmarkKind = {
  kind: "copy", title: "Copying <bytes>", report: "a test",
  params: [
    { name: "sizes", type: "integers", default: [1, 2], min: 1, max: 1_000, description: "bytes" },
    { name: "fails", type: "boolean", default: false, description: "" },
    { name: "hangs", type: "boolean", default: false, description: "" },
    { name: "method", type: "string", default: "a", choices: ["a", "b"], description: "" },
  ],
  columns: [{ name: "method", description: "" }, { name: "size", unit: "B", description: "" }, { name: "ns", unit: "ns", description: "" }],
  chart: { kind: "line", x: "size", y: ["ns"], series: "method" },
};
const WORKER = new URL("./fixtures/benchmark_worker.ts", import.meta.url);
const ADMIN = "the-administrator";

let service: TestService;
const start = (adminToken?: string, directory?: string) =>
  TestService.start({ benchmarks: { kinds: [KIND], worker: WORKER }, ...(adminToken === undefined ? {} : { adminToken }) }, directory);
beforeEach(async () => void (service = await start()));
afterEach(() => service.stop());

async function queue(params: Record<string, unknown> = {}, more: Record<string, unknown> = {}, options: Ask = {}): Promise<string> {
  const { status, body, headers } = await service.ask("post", "/v1/benchmarks", { json: { kind: "copy", params, ...more }, ...options });
  expect(status).toBe(202);
  expect(headers["location"]).toBe(`/v1/benchmarks/${body.id}`);
  return body.id as string;
}

async function ended(id: string) {
  for (;;) {
    const { body } = await service.ask("get", `/v1/benchmarks/${id}`);
    if (body.state !== "queued" && body.state !== "running") return body;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("the catalog tells the kinds", async () => {
  expect((await service.ask("get", "/v1/benchmarks/catalog")).body).toEqual({ items: [KIND], nextCursor: null });
});

test("the first kind of the real catalog runs in a real thread, and its rows have the columns that it names", async () => {
  await service.stop();
  service = await TestService.start();
  const { items } = (await service.ask("get", "/v1/benchmarks/catalog")).body;
  expect(items.length).toBeGreaterThan(0);
  const kind = items[0] as BenchmarkKind;
  const { body: { id } } = await service.ask("post", "/v1/benchmarks", { json: { kind: kind.kind } });
  const stream = new Follower(`${service.url}/v1/benchmarks/${id}/events`, null);
  await stream.until((events) => events.some((event) => event.data.progress > 0 || event.event === "end"));
  stream.close();
  const { body } = await service.ask("get", `/v1/benchmarks/${id}`);
  expect(body.error).toBeNull();
  expect(["running", "done"]).toContain(body.state);
  for (const row of body.rows) expect(kind.columns.map((column) => column.name)).toEqual(expect.arrayContaining(Object.keys(row as object)));
  if (body.state === "running") expect((await service.ask("delete", `/v1/benchmarks/${id}`)).status).toBe(204);
});

test("a run ends with its rows, as JSON, CSV and SVG", async () => {
  const id = await queue({ sizes: [1, 2, 4] });
  const run = await ended(id);
  expect(run).toMatchObject({ id, kind: "copy", state: "done", progress: 1, repeat: 1, error: null, params: { sizes: [1, 2, 4], method: "a" } });
  expect(run.rows).toHaveLength(6);
  expect(Date.parse(run.finishedAt)).toBeGreaterThanOrEqual(Date.parse(run.startedAt));
  const csv = await service.ask("get", `/v1/benchmarks/${id}/results.csv`);
  expect(csv.headers["content-type"]).toMatch(/^text\/csv/);
  expect(csv.text.split("\r\n").slice(0, 3)).toEqual(["method,size,ns", "a,1,10", '"b,""c""",1,20']);
  const chart = await service.ask("get", `/v1/benchmarks/${id}/chart.svg`);
  expect(chart.headers["content-type"]).toBe("image/svg+xml");
  expect(chart.text).toMatch(/^<svg .*<path .*<\/svg>\s*$/s);
  expect(chart.text).toContain("Copying &lt;bytes&gt;");
  // The legend names both lines.
  for (const name of ["a", 'b,"c"']) expect(chart.text).toContain(`>${name.replaceAll('"', "&quot;")}<`);
});

test("repeats are told apart", async () => {
  const { rows } = await ended(await queue({ sizes: [1] }, { repeat: 3 }));
  expect(rows.map((row: { round: number }) => row.round)).toEqual([0, 0, 1, 1, 2, 2]);
});

test("a run that fails says why; one that hangs is cancelled", async () => {
  expect(await ended(await queue({ fails: true }))).toMatchObject({ state: "failed", error: "it cannot be measured" });
  const id = await queue({ hangs: true });
  const waiting = await queue();
  while ((await service.ask("get", `/v1/benchmarks/${id}`)).body.rows.length === 0);
  expect((await service.ask("get", `/v1/benchmarks/${id}`)).body.state).toBe("running");
  expect((await service.ask("delete", `/v1/benchmarks/${id}`)).status).toBe(204);
  expect((await ended(id)).state).toBe("cancelled");
  expect((await service.ask("delete", `/v1/benchmarks/${id}`)).status).toBe(409);
  expect((await ended(waiting)).state).toBe("done");
});

test("what its kind does not take is refused by its place", async () => {
  for (const [json, path] of [
    [{ kind: "nosuch" }, "/kind"], [{ kind: "copy", params: { sizes: [0] } }, "/params/sizes"], [{ kind: "copy", params: { sizes: [] } }, "/params/sizes"],
    [{ kind: "copy", params: { color: 1 } }, "/params/color"], [{ kind: "copy", params: { method: "c" } }, "/params/method"],
    [{ kind: "copy", repeat: 0 }, "/repeat"], [{ kind: "copy", repeat: 101 }, "/repeat"], [{ kind: "copy", machine: { cpus: 99 } }, "/machine/cpus"],
  ] as const) {
    const { status, body } = await service.ask("post", "/v1/benchmarks", { json });
    expect([status, body.errors?.[0]?.path]).toEqual([422, path]);
  }
  for (const path of ["", "/events", "/results.csv", "/chart.svg"]) expect((await service.ask("get", `/v1/benchmarks/nosuch${path}`)).status).toBe(404);
});

test("runs are listed, filtered and paged", async () => {
  const ids = [await queue(), await queue({ fails: true }), await queue()];
  for (const id of ids) await ended(id);
  const all = (await service.ask("get", "/v1/benchmarks")).body.items;
  expect(all.map((run: { id: string }) => run.id)).toEqual([...ids].reverse());
  expect((await service.ask("get", "/v1/benchmarks?state=failed")).body.items).toHaveLength(1);
  expect((await service.ask("get", "/v1/benchmarks?kind=other")).body.items).toHaveLength(0);
  const page = (await service.ask("get", "/v1/benchmarks?limit=2")).body;
  expect((await service.ask("get", `/v1/benchmarks?limit=2&cursor=${page.nextCursor}`)).body.items.map((run: { id: string }) => run.id)).toEqual([ids[0]]);
  expect((await service.ask("get", "/v1/benchmarks?state=odd")).status).toBe(422);
});

test("two runs stand side by side", async () => {
  const [a, b] = [await queue({ sizes: [1, 2] }), await queue({ sizes: [2, 3] })];
  await ended(a);
  await ended(b);
  const { body } = await service.ask("get", `/v1/benchmarks/compare?ids=${a},${b}`);
  expect(body.runs.map((run: { id: string }) => run.id)).toEqual([a, b]);
  expect(body.rows).toHaveLength(6);
  expect(body.rows).toContainEqual({ key: { method: "a", size: 2 }, values: { ns: { a: 20, b: 20, ratio: 1 } } });
  expect(body.rows).toContainEqual({ key: { method: "a", size: 3 }, values: { ns: { a: null, b: 30, ratio: null } } });
  expect((await service.ask("get", `/v1/benchmarks/compare?ids=${a}`)).status).toBe(422);
  expect((await service.ask("get", `/v1/benchmarks/compare?ids=${a},nosuch`)).status).toBe(404);
});

test("a stream tells progress and ends with the run", async () => {
  const id = await queue({ sizes: [1, 2, 3] });
  const stream = new Follower(`${service.url}/v1/benchmarks/${id}/events`, null);
  await stream.until(() => false);
  expect(stream.events.at(-1)).toMatchObject({ event: "end", data: { id, state: "done", progress: 1 } });
  const late = new Follower(`${service.url}/v1/benchmarks/${id}/events`, null, { "Last-Event-ID": "1" });
  await late.until(() => false);
  expect(late.events.map((event) => event.event)).toEqual(["gap", "end"]);
});

test("a stop leaves runs queued, and the next start takes them up", async () => {
  const [under, waiting] = [await queue({ hangs: true }), await queue()];
  while ((await service.ask("get", `/v1/benchmarks/${under}`)).body.rows.length === 0);
  await service.stop({ keep: true });
  service = await start(undefined, service.directory);
  while ((await service.ask("get", `/v1/benchmarks/${under}`)).body.rows.length < 4);
  expect((await service.ask("get", `/v1/benchmarks/${under}`)).body.rows).toHaveLength(4);
  expect((await service.ask("delete", `/v1/benchmarks/${under}`)).status).toBe(204);
  expect((await ended(waiting)).state).toBe("done");
});

test("where the server has an administrator, teachers and it may; the poster or it cancels", async () => {
  await service.stop();
  service = await start(ADMIN);
  const session = await service.session({}, { token: ADMIN });
  const [assistant, student] = [await session.member("assistant"), await session.member("student")];
  const json = { kind: "copy", params: { hangs: true } };
  expect((await service.ask("post", "/v1/benchmarks", { json })).status).toBe(401);
  expect((await service.ask("post", "/v1/benchmarks", { json, token: student.token })).status).toBe(403);
  const own = await queue({ hangs: true }, {}, { token: assistant.token });
  expect((await service.ask("delete", `/v1/benchmarks/${own}`, { token: session.token })).status).toBe(403);
  expect((await service.ask("delete", `/v1/benchmarks/${own}`, { token: assistant.token })).status).toBe(204);
  const other = await queue({ hangs: true }, {}, { token: session.token });
  expect((await service.ask("delete", `/v1/benchmarks/${other}`, { token: ADMIN })).status).toBe(204);
});
