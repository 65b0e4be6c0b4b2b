/** What the server says of itself: health, metrics, contract, documentation, limits, calls. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openapiYaml } from "../../api/openapi.ts";
import { routes } from "../../api/routes/index.ts";
import { StoreUnavailable } from "../../api/store/index.ts";
import { TestService } from "../helpers/service.ts";

let service: TestService;
beforeAll(async () => void (service = await TestService.start()));
afterAll(() => service.stop());

test("it is healthy, and ready while the database takes writes", async () => {
  expect((await service.ask("get", "/healthz")).body).toEqual({ status: "ok" });
  expect((await service.ask("get", "/readyz")).status).toBe(200);
  const spy = vi.spyOn(service.service.services.store, "probe").mockRejectedValue(new StoreUnavailable("gone"));
  const answer = await service.ask("get", "/readyz");
  expect([answer.status, answer.body.type]).toEqual([503, "/problems/interrupted"]);
  expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
  spy.mockRestore();
  expect((await service.ask("get", "/readyz")).status).toBe(200);
});

test("metrics are Prometheus text, requests by route and status", async () => {
  const session = await service.session();
  await session.ask("get", "/clock");
  const { text } = await service.ask("get", "/metrics");
  expect(text).toMatch(/http_request_duration_seconds_count\{method="GET",route="\/v1\/sessions\/\{sid\}\/clock",status="200"\} 1/);
  expect(text).toMatch(/^syslab_loaded [1-9]/m);
  expect(text).toMatch(/^syslab_journal_rows_total [1-9]/m);
});

test("openapi.yaml is what the routes say, and is served", async () => {
  const made = openapiYaml();
  expect(readFileSync(new URL("../../openapi.yaml", import.meta.url), "utf8") === made).toBe(true);
  const yaml = await service.ask("get", "/openapi.yaml");
  expect([yaml.headers["content-type"], yaml.text === made]).toEqual(["application/yaml", true]);
  const json = (await service.ask("get", "/openapi.json")).body;
  expect(json.openapi).toBe("3.1.0");
  for (const { method, path } of routes) expect(json.paths[path.replace(/\*$/, "")]?.[method], `${method} ${path}`).toBeDefined();
});

test("every known system call is a path of its own with its own schema", async () => {
  const { items } = (await service.ask("get", "/v1/syscalls")).body;
  const { paths, components } = (await service.ask("get", "/openapi.json")).body;
  expect(items.length).toBeGreaterThan(100);
  for (const { name, args } of items as { name: string; args: { name: string }[] }[]) {
    expect(paths[`/v1/sessions/{sid}/processes/{pid}/syscalls/${name}`]?.post, name).toBeDefined();
    expect(Object.keys(components.schemas[`${name}_args`].properties)).toEqual(expect.arrayContaining(args.map((arg) => arg.name)));
  }
  expect(items.find((item: { name: string }) => item.name === "openat")).toMatchObject({
    number: 257, args: [{ name: "dirfd" }, { name: "pathname" }, { name: "flags" }, { name: "mode" }],
  });
});

test("operations have distinct names, summaries and tags", () => {
  const ids = routes.map((route) => route.id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const route of routes) expect(route.summary.length).toBeGreaterThan(0);
});

test("the limits are told", async () => {
  const { body } = await service.ask("get", "/v1/limits");
  expect(body).toMatchObject({
    jsonBodyBytes: 8 << 20, rawBodyBytes: 64 << 20, batchCalls: 10_000, urlBytes: 16 << 10, sleepingCalls: 1_024, processes: 4_096, streams: 16,
    wait: { default: 30, max: 240 }, page: { default: 50, max: 200 },
  });
});

test("the documentation works without a network", async () => {
  const get = async (path: string, headers: Record<string, string> = {}) => fetch(service.url + path, { redirect: "manual", headers });
  const root = await get("/docs");
  expect([root.status, root.headers.get("location")]).toEqual([308, "/docs/"]);
  const page = await get("/docs/");
  const html = await page.text();
  expect(page.status).toBe(200);
  const assets = [...html.matchAll(/(?:src|href)="(\.\/)?([^"]+)"/g)].map((match) => match[2]!);
  expect(assets.length).toBeGreaterThan(4);
  for (const asset of assets) {
    expect(asset).not.toMatch(/^https?:/);
    const got = await get(`/docs/${asset}`);
    expect([asset, got.status]).toEqual([asset, 200]);
    await got.arrayBuffer();
  }
  expect(await (await get("/docs/swagger-initializer.js")).text()).toContain('url: "/openapi.yaml"');
  const policy = page.headers.get("content-security-policy")!;
  expect(policy).toContain("default-src 'self'");
  expect(policy).not.toContain("upgrade-insecure-requests");
});

test("every answer has the security headers and its own request id", async () => {
  const ids = new Set<string>();
  for (const path of ["/healthz", "/nosuch", "/v1/sessions", "/docs/"]) {
    const answer = await fetch(service.url + path);
    await answer.arrayBuffer();
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("x-powered-by")).toBeNull();
    if (path !== "/docs/") ids.add(answer.headers.get("x-request-id")!);
  }
  expect(ids.size).toBe(3);
});

test("HEAD answers as GET, without the body", async () => {
  const session = await service.session();
  await session.ask("put", "/fs/tmp/a", { raw: "twelve bytes" });
  const head = await session.ask("head", "/fs/tmp/a");
  expect([head.status, head.headers["content-length"], head.bytes.length]).toEqual([200, "12", 0]);
  expect((await session.ask("head", "/fs/tmp/nosuch")).status).toBe(404);
  expect((await service.ask("head", "/healthz")).status).toBe(200);
});
