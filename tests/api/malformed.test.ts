/** HTTP that cannot be read, or has too long a head, is answered by a problem document as well. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestService, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
beforeAll(async () => {
  service = await TestService.start();
  session = await service.session();
});
afterAll(() => service.stop());

interface Told {
  status: number;
  headers: Record<string, string>;
  body: { type: string; status: number; title: string; detail: string; requestId: string };
}

/** Sends these bytes as they are, in these parts; what comes until the server closes. */
async function send(...parts: (string | Buffer)[]): Promise<Told> {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
    let all = "";
    let sent = false;
    socket.on("data", (chunk: Buffer) => {
      all += chunk.toString();
      const [head = "", body] = all.split("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
      if (body !== undefined && Buffer.byteLength(body) >= length && sent) socket.destroy();
    });
    socket.on("close", () => resolve(all));
    socket.on("error", reject);
    void (async () => {
      for (const part of parts) {
        if (socket.destroyed) return;
        socket.write(part);
        await new Promise((done) => setTimeout(done, 5));
      }
      sent = true;
      if (all.endsWith("}")) socket.destroy();
    })();
  });
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]));
  return { status: Number(first.split(" ")[1]), headers, body: JSON.parse(body) as Told["body"] };
}

function expectProblem(told: Told, status: number, type: string): void {
  expect([told.status, told.body.status, told.body.type]).toEqual([status, status, `/problems/${type}`]);
  expect(told.headers["content-type"]).toBe("application/problem+json");
  expect(told.headers["x-content-type-options"]).toBe("nosniff");
  expect(told.headers["x-request-id"]).toBe(told.body.requestId);
  expect(told.body.title).not.toBe("Problem");
}

const get = (path: string, headers = "") => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;

test("a URL of any length above the limit is 414", async () => {
  for (const length of [17_000, 66_000, 100_000, 1_000_000, 2_000_000]) expectProblem(await send(get(`/${"x".repeat(length)}`)), 414, "too-large");
  // In parts, so that no packet holds the whole first line.
  expectProblem(await send(`GET /${"x".repeat(60_000)}`, "x".repeat(60_000), "x".repeat(60_000), " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414, "too-large");
  expectProblem(await send(get(`/docs/${"x".repeat(20_000)}`)), 414, "too-large");
});

test("a header section above its limit is 431", async () => {
  for (const length of [70_000, 200_000]) expectProblem(await send(get("/healthz", `X-Long: ${"x".repeat(length)}\r\n`)), 431, "too-large");
  const many = Array.from({ length: 1_500 }, (_, at) => `X-H${at}: ${"y".repeat(50)}\r\n`).join("");
  expectProblem(await send(get("/healthz", many)), 431, "too-large");
});

test("what is not HTTP is 400", async () => {
  for (const text of ["nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n", "\x16\x03\x01\x00\xa5\x01"]) {
    expectProblem(await send(text), 400, "invalid");
  }
  const post = `POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
  expectProblem(await send(`${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`), 400, "invalid");
  expectProblem(await send(`${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`), 400, "invalid");
});

test("no Host is 421, a proxy's request 405, an expectation is passed over", async () => {
  expectProblem(await send("GET /healthz HTTP/1.1\r\n\r\n"), 421, "forbidden");
  expectProblem(await send("CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n"), 405, "not-found");
  const odd = await send(get("/healthz", "Expect: the-unexpected\r\n"));
  expect(odd.status).toBe(200);
});

test("a body that ends early, or is larger than it may be, leaves the session as it was", async () => {
  const before = (await session.ask("get", "/processes?limit=200")).text;
  const head = `POST ${session.path}/processes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${session.token}\r\nContent-Type: application/json\r\n`;
  expectProblem(await send(`${head}Content-Length: ${9 << 20}\r\n\r\n{}`), 413, "too-large");
  const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
  await new Promise<void>((resolve) => socket.write(`${head}Content-Length: 100\r\n\r\n{"comm":"half"`, () => resolve()));
  socket.destroy();
  await new Promise((resolve) => socket.once("close", resolve));
  expect((await session.ask("get", "/processes?limit=200")).text).toBe(before);
});

test("who sends too much, or what nobody asked for, reads the refusal whenever it is done", async () => {
  const part = Buffer.alloc(1 << 20, "x");
  const ask = (head: string) => send(`${head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${20 << 20}\r\n\r\n`, ...Array.from({ length: 20 }, () => part));
  expectProblem(await ask("POST /v1/sessions HTTP/1.1"), 413, "too-large");
  expectProblem(await ask("POST /nosuch HTTP/1.1"), 413, "too-large");
  expectProblem(await ask(`PUT ${session.path}/fs/tmp/a HTTP/1.1`), 401, "unauthenticated");
});

test("the documentation refuses as the rest does", async () => {
  expectProblem(await send("GET /docs/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421, "forbidden");
  expectProblem(await send(get("/docs/", "Origin: http://evil.example\r\n")), 403, "forbidden");
  expectProblem(await send(get("/docs/nosuch.js")), 404, "not-found");
  expectProblem(await send("POST /docs/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"), 405, "not-found");
  expectProblem(await send(get("/docsx")), 404, "not-found");
});

test("a client that goes away in the middle of a body has made a mistake, not we", async () => {
  const { hostname, port } = new URL(service.url);
  const answered = async (status: number) => {
    const { text } = await service.ask("get", "/metrics");
    return Number(new RegExp(`^http_request_duration_seconds_count\\{method="PUT",route="[^"]*",status="${status}"\\} (\\d+)`, "m").exec(text)?.[1] ?? 0);
  };
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(`PUT ${session.path}/fs/tmp/x HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${session.token}\r\nContent-Length: 100\r\n\r\nhalf`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.resetAndDestroy();
  while ((await answered(400)) + (await answered(500)) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await answered(500)).toBe(0);
});
