/**
 * A hostile client's walk over every operation of openapi.yaml: whatever is wrong with a request, the answer is a problem document
 * of the right kind, and the kernel's state is the same to the byte.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { snapshot } from "../../core/index.ts";
import { fits, type Schema } from "../helpers/contract.ts";
import { TestService, wait, type Answer, type Ask, type TestSession } from "../helpers/service.ts";

type Method = "get" | "post" | "put" | "patch" | "delete";
interface Operation {
  security?: Record<string, unknown>[];
  parameters?: { in?: string; name?: string; schema?: Schema; $ref?: string }[];
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> };
  responses: Record<string, unknown>;
}
type PathItem = Record<Method, Operation | undefined>;

const contract = parse(readFileSync(new URL("../../openapi.yaml", import.meta.url), "utf8"), { maxAliasCount: -1 }) as {
  paths: Record<string, PathItem>;
  components: { schemas: Record<string, Schema> };
};
const METHODS: Method[] = ["get", "post", "put", "patch", "delete"];
const CALLS = "/v1/sessions/{sid}/processes/{pid}/syscalls/";
const ADMIN = "the-administrator";

let service: TestService;
let session: TestSession;
let foreign: TestSession;
let values: Record<string, string>;
let snapshotId: string;
beforeAll(async () => {
  service = await TestService.start({ adminToken: ADMIN });
  session = await service.session(undefined, { token: ADMIN });
  foreign = await service.session(undefined, { token: ADMIN });
  await session.ask("put", "/fs/tmp/a", { raw: "x" });
  await session.ask("post", "/modules", { json: { name: "ksocket" } });
  const { body: asleep } = await session.call(await session.process(), "pause", {}, wait(0));
  const { body: terminal } = await session.ask("post", "/commands", { json: { argv: ["cat"], tty: true } });
  const member = await session.member("observer");
  snapshotId = (await session.ask("post", "/snapshots", { json: {} })).body.id as string;
  values = { sid: session.id, pid: String(await session.process()), callId: asleep.callId as string, mid: member.memberId, name: "ksocket", path: "tmp/a", n: String(terminal.tty), call: "getpid", id: "b_nosuch" };
});
afterAll(() => service.stop());

/** All that the session's kernel is, and how many sessions and benchmarks there are. */
async function everything(): Promise<string> {
  const held = service.service.services.sessions.find(session.id);
  const { live } = held instanceof Promise ? await held : held;
  const lists = await Promise.all(["/v1/sessions", "/v1/benchmarks", `${session.path}/members`, `${session.path}/snapshots`].map((path) => service.ask("get", path, { token: ADMIN })));
  return `${Buffer.from(snapshot(live!.kernel)).toString("base64")} ${lists.map((list) => list.text).join("\n")}`;
}

function concrete(template: string, over: Record<string, string> = {}): string {
  const id = template.includes("/snapshots/") ? snapshotId : values["id"]!;
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => over[name] ?? (name === "id" ? id : values[name]!));
}

/** A query that the operation takes. */
function query(template: string): string {
  if (template.endsWith("/memory")) return "?address=4096&length=1";
  return template.endsWith("/compare") ? "?ids=a,b" : "";
}

function expectProblem(what: string, answer: Answer, statuses: number[], types: string[]): void {
  const type = typeof answer.body?.type === "string" ? (answer.body.type as string).replace("/problems/", "") : null;
  expect({ what, status: statuses.includes(answer.status) ? "expected" : answer.status, type: type !== null && types.includes(type) ? "expected" : answer.text.slice(0, 300) })
    .toEqual({ what, status: "expected", type: "expected" });
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.body).toMatchObject({ status: answer.status, requestId: answer.headers["x-request-id"] });
}

interface Stop {
  template: string;
  method: Method;
  operation: Operation;
}
const stops: Stop[] = Object.entries(contract.paths).flatMap(([template, item]) =>
  METHODS.flatMap((method) => (item[method] === undefined ? [] : [{ template, method, operation: item[method] }])));
const calls = stops.filter(({ template }) => template.startsWith(CALLS) && !template.endsWith("{call}"));
const routes = stops.filter((stop) => !calls.includes(stop));

const needsToken = ({ operation }: Stop) => operation.security?.length !== 0;
const isSession = ({ template }: Stop) => template.includes("{sid}");
const jsonOf = ({ operation }: Stop) => operation.requestBody?.content["application/json"]?.schema;
const tokenFor = (stop: Stop): string | null => (isSession(stop) ? session.token : needsToken(stop) ? ADMIN : null);

function asker(stop: Stop, path = concrete(stop.template) + query(stop.template)): (ask?: Ask) => Promise<Answer> {
  return (ask = {}) => service.ask(stop.method, path, { token: tokenFor(stop), ...ask });
}

function resolved(schema: Schema): Schema {
  const name = /^#\/components\/schemas\/(.*)$/.exec(schema.$ref ?? "")?.[1];
  return name === undefined ? schema : resolved(contract.components.schemas[name]!);
}

function bodyProperties(schema: Schema): Record<string, Schema> {
  const { properties, anyOf } = resolved(schema);
  return properties ?? Object.assign({}, ...(anyOf ?? []).map((one) => bodyProperties(one))) as Record<string, Schema>;
}

/** Values of all types, one of which is wrong nearly everywhere. */
const ODD: unknown[] = [true, -1, "", { odd: [] }, [[]], 1.5, null];

describe.each(routes.map((stop) => ({ what: `${stop.method} ${stop.template}`, stop })))("$what", ({ what, stop }) => {
  test("refuses what is wrong, and changes nothing", async () => {
    const before = await everything();
    const ask = asker(stop);

    expectProblem(`${what}: a foreign host`, await ask({ headers: { Host: "evil.example" } }), [421], ["forbidden"]);
    expectProblem(`${what}: a foreign origin`, await ask({ headers: { Origin: "http://evil.example" } }), [403], ["forbidden"]);
    expectProblem(`${what}: a long URL`, await asker(stop, `${concrete(stop.template)}?${"x".repeat(20_000)}`)(), [414], ["too-large"]);
    if (needsToken(stop)) {
      for (const [name, token] of [["no", null], ["an unknown", "syslab_nosuch"], ["a malformed", "?"]] as const) {
        expectProblem(`${what}: ${name} token`, await ask({ token }), [401], ["unauthenticated"]);
      }
      expectProblem(`${what}: no bearer`, await ask({ token: null, headers: { Authorization: "Basic eDp5" } }), [401], ["unauthenticated"]);
    }
    if (isSession(stop)) {
      expectProblem(`${what}: a foreign token`, await ask({ token: foreign.token, raw: "{", type: "text/plain" }), [404], ["not-found"]);
      for (const sid of ["s_nosuch", "x".repeat(5_000), "%00", "%2e%2e"]) {
        const path = concrete(stop.template, { sid }) + query(stop.template);
        expectProblem(`${what}: session ${sid.slice(0, 9)}`, await service.ask(stop.method, path, { token: ADMIN }), [404], ["not-found"]);
      }
    }
    for (const [, name] of stop.template.matchAll(/\{(\w+)\}/g)) {
      if (name === "sid" || name === "path") continue;
      for (const odd of ["nosuch!", "-1", "1e3", "x".repeat(5_000), "%00", "9223372036854775808"]) {
        // A number outside the table is a call that answers ENOSYS, and what may be a module's name is the kernel's to judge.
        if ((name === "call" && odd === "-1") || (name === "name" && /^[\w-]{1,55}$/.test(odd))) continue;
        const answer = await asker(stop, concrete(stop.template, { [name!]: odd }) + query(stop.template))();
        expectProblem(`${what}: ${name} ${odd.slice(0, 9)}`, answer, [404], ["not-found"]);
      }
    }
    for (const { in: place, name, schema } of stop.operation.parameters ?? []) {
      if (place !== "query" || schema === undefined) continue;
      for (const odd of ["-1", "NaN", "1e999", "9007199254740993", "9223372036854775808", "nosuch", "x".repeat(5_000)]) {
        if (fits(schema, odd) || (fits(schema, Number(odd)) && /^\d+$/.test(odd)) || resolved(schema).type === "boolean") continue;
        const given = new URLSearchParams(query(stop.template).slice(1));
        given.set(name!, odd);
        expectProblem(`${what}: ${name}=${odd.slice(0, 20)}`, await asker(stop, `${concrete(stop.template)}?${given}`)(), [422], ["invalid"]);
      }
    }
    if (stop.method === "post") {
      const key = await ask({ headers: { "Idempotency-Key": "x".repeat(256) }, raw: "{}", type: "application/json" });
      expectProblem(`${what}: a long key`, key, [422], ["invalid"]);
    }
    if ("202" in stop.operation.responses && stop.method !== "post") {
      expectProblem(`${what}: a long wait`, await ask({ headers: { Prefer: "wait=241" } }), [422], ["invalid"]);
    }
    const schema = jsonOf(stop);
    if (schema !== undefined) await walkBody(what, stop, schema);
    if (stop.operation.requestBody?.content["application/octet-stream"] !== undefined) {
      expectProblem(`${what}: a raw body beyond the limit`, await tooLong(stop), [413], ["too-large"]);
    }
    expect((await everything()) === before, `${what}: the state is as before`).toBe(true);
  });
});

async function walkBody(what: string, stop: Stop, schema: Schema): Promise<void> {
  const ask = asker(stop);
  const post = (raw: string | Buffer, type = "application/json") => ask({ raw, type });
  const [first = "x"] = Object.keys(bodyProperties(schema));
  for (const raw of ["{", "nonsense", '{"a":1}x', "{'a':1}", `{"${first}":NaN}`, `{"${first}":Infinity}`, `{"${first}":01}`, Buffer.from([0x22, 0xff, 0x22])]) {
    expectProblem(`${what}: ${raw.toString()}`, await post(raw), [400], ["invalid"]);
  }
  for (const number of ["1e999", "-1e999", "9007199254740993", "-9007199254740993", "9223372036854775808", "1e16"]) {
    for (const raw of [`{"${first}":${number}}`, `{"${first}":[{"deep":${number}}]}`, `[${number}]`]) expectProblem(`${what}: ${raw}`, await post(raw), [422], ["invalid"]);
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "application/json; charset=latin1"]) {
    expectProblem(`${what}: ${type}`, await post("{}", type), [415], ["unsupported-media"]);
  }
  expectProblem(`${what}: packed`, await ask({ raw: "{}", type: "application/json", headers: { "Content-Encoding": "gzip" } }), [415], ["unsupported-media"]);
  expectProblem(`${what}: nested`, await post(`{"${first}":${"[".repeat(1_000)}${"]".repeat(1_000)}}`), [422], ["invalid"]);
  for (const body of ["[]", '"x"', "5", "null", "true"]) expectProblem(`${what}: ${body}`, await post(body), [422], ["invalid"]);
  if (!fits(schema, { "no such field": 1 })) expectProblem(`${what}: an unknown field`, await post('{"no such field":1}'), [422], ["invalid"]);
  for (const [name, property] of Object.entries(bodyProperties(schema))) {
    for (const odd of ODD) {
      if (fits(property, odd) || fits(schema, { [name]: odd })) continue;
      expectProblem(`${what}: ${name} ${JSON.stringify(odd)}`, await ask({ json: { [name]: odd } }), [422], ["invalid"]);
    }
  }
  expectProblem(`${what}: 9 MiB`, await post(`{"${first}":"${"x".repeat(9 << 20)}"}`), [413], ["too-large"]);
}

/** A body that says it is longer than any may be; nothing of it is sent. */
function tooLong(stop: Stop): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const [head = "", body] = text.split("\r\n\r\n");
      if (body === undefined || body.length < Number(/content-length: (\d+)/i.exec(head)?.[1])) return;
      socket.destroy();
      const headers = Object.fromEntries(head.split("\r\n").slice(1).map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]));
      resolve({ status: Number(head.split(" ")[1]), headers, body: JSON.parse(body) as unknown, text: body, bytes: Buffer.from(body) });
    });
    socket.on("error", reject);
    socket.write(`${stop.method.toUpperCase()} ${concrete(stop.template)}${query(stop.template)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${session.token}\r\nContent-Length: ${65 << 20}\r\n\r\n`);
  });
}

test("a method that a path has not is 405, or 401 to strangers", async () => {
  for (const [template, item] of Object.entries(contract.paths)) {
    const allowed = METHODS.filter((method) => item[method] !== undefined);
    for (const method of METHODS.filter((one) => !allowed.includes(one))) {
      const answer = await service.ask(method, concrete(template) + query(template), { token: session.token });
      expectProblem(`${method} ${template}`, answer, [405], ["not-found"]);
      expect(answer.headers["allow"]!.toLowerCase().split(", ").filter((one) => one !== "head").sort()).toEqual([...allowed].sort());
      if (template.includes("{sid}")) expectProblem(`${method} ${template}`, await service.ask(method, concrete(template)), [401], ["unauthenticated"]);
    }
  }
});

test("every known call refuses unknown arguments and wrong types, and changes nothing", async () => {
  const before = await everything();
  expect(calls.length).toBeGreaterThan(150);
  const taken: string[] = [];
  for (const stop of calls) {
    const name = stop.template.slice(CALLS.length);
    const args = resolved(contract.components.schemas[`${name}_args`]!).properties ?? {};
    const ask = asker(stop);
    expectProblem(`${name}: an unknown argument`, await ask({ json: { "no such argument": 1 } }), [422], ["invalid"]);
    expectProblem(`${name}: one below args`, await ask({ json: { args: { "no such argument": 1 } } }), [422], ["invalid"]);
    expectProblem(`${name}: seven registers`, await ask({ json: { args: [0, 0, 0, 0, 0, 0, 0] } }), [422], ["invalid"]);
    expectProblem(`${name}: both forms`, await ask({ json: { args: {}, other: 1 } }), [422], ["invalid"]);
    for (const arg of Object.keys(args).filter((one) => one !== "onFault")) {
      for (const odd of ["true", "9007199254740993", "1.5", "[[[]]]", '{"odd":1}']) {
        const answer = await ask({ raw: `{"${arg}":${odd}}`, type: "application/json" });
        if (answer.status !== 422) taken.push(`${name}: ${arg} ${odd} is ${answer.text.slice(0, 200)}`);
      }
    }
  }
  expect(taken).toEqual([]);
  expect((await everything()) === before).toBe(true);
});

test("a batch refuses what one call would, and too many, and changes nothing", async () => {
  const before = await everything();
  const pid = Number(values["pid"]);
  for (const item of [{ call: "nosuch" }, { call: "close", args: { odd: 1 } }, { call: "close", args: true }, { call: true }, {}, null, [], 5, { call: "close", odd: 1 }, { call: 1.5 }]) {
    const answer = await session.batch(pid, [{ call: "mkdir", args: { pathname: "/tmp/made" } }, item]);
    expectProblem(JSON.stringify(item), answer, [404, 422], ["invalid", "not-found"]);
  }
  expectProblem("100,000 calls", await session.batch(pid, Array.from({ length: 100_000 }, () => ({ call: "getpid" }))), [413], ["too-large"]);
  expectProblem("an odd onError", await session.batch(pid, [], { onError: "odd" }), [422], ["invalid"]);
  expect((await everything()) === before).toBe(true);
});

test("counts of -1 and 2^63 and paths of 5,000 bytes are the kernel's to judge", async () => {
  const pid = await session.process();
  const { ret: fd } = await session.must(pid, "openat", { pathname: "/tmp/a", flags: "O_RDWR" });
  for (const count of ["-1", -1, "9223372036854775808", "0x8000000000000000", "18446744073709551615"]) {
    for (const call of ["read", "pread64"]) {
      const { status, body } = await session.call(pid, call, { fd, count });
      expect([call, count, status, ["EFAULT", "EINVAL", null].includes(body.errno as string | null)]).toEqual([call, count, 200, true]);
    }
    expect((await session.call(pid, "lseek", { fd, offset: count, whence: "SEEK_SET" })).body.errno).toBe("EINVAL");
    expect((await session.call(pid, "ftruncate", { fd, length: count })).body.errno).toBe("EINVAL");
    expect((await session.call(pid, "mmap", { length: count, prot: "PROT_READ", flags: "MAP_PRIVATE|MAP_ANONYMOUS" })).body.errno).toMatch(/^(ENOMEM|EINVAL)$/);
    expect((await session.call(pid, "close", { fd: typeof count === "number" ? count : "0x7fffffff" })).body.errno).toBe("EBADF");
  }
  const pathname = `/tmp/${"x".repeat(5_000)}`;
  for (const [call, args] of [
    ["openat", { pathname }], ["stat", { pathname }], ["mkdir", { pathname }], ["unlink", { pathname }], ["chdir", { path: pathname }], ["rename", { oldpath: pathname, newpath: "/tmp/b" }],
    ["execve", { pathname }], ["symlink", { target: pathname, linkpath: "/tmp/b" }], ["truncate", { path: pathname }],
  ] as const) expect([call, (await session.call(pid, call, args)).body.errno]).toEqual([call, "ENAMETOOLONG"]);
  expect((await session.ask("get", `/fs${pathname}`)).body).toMatchObject({ status: 422, errno: "ENAMETOOLONG" });
  expect((await session.ask("put", `/fs${pathname}`, { raw: "x" })).body).toMatchObject({ status: 422, errno: "ENAMETOOLONG" });
});
