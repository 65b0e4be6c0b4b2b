/** What the service refuses: bad bodies, bad numbers, foreign hosts, too much of anything. Never a crash, always a problem document. */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestService, type Answer, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeAll(async () => {
  service = await TestService.start({ hosts: ["lab.example"] });
  session = await service.session();
  pid = await session.process();
});
afterAll(() => service.stop());

function expectProblem(answer: Answer, status: number, type: string): void {
  expect({ status: answer.status, type: answer.body?.type }).toEqual({ status, type: `/problems/${type}` });
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  expect(answer.body.status).toBe(status);
  expect(answer.body.requestId).toBe(answer.headers["x-request-id"]);
  expect(answer.body.detail.length).toBeGreaterThan(0);
}

describe("bodies", () => {
  const post = (raw: string | Buffer, type: string | undefined = "application/json") =>
    session.ask("post", "/processes", { raw, type });

  test("malformed JSON is 400", async () => {
    for (const raw of ["{", "{\"comm\":}", "nonsense", "{\"a\":1}x", "'x'", "{\"comm\": \"a\"", "[1,]"]) expectProblem(await post(raw), 400, "invalid");
    expectProblem(await post(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])), 400, "invalid");
  });

  test("another type, or none, is 415 and says what is taken", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/jsonx", "application/octet-stream"]) {
      const answer = await post("{}", type);
      expectProblem(answer, 415, "unsupported-media");
      expect(answer.body.detail).toContain("application/json");
    }
    const packed = await session.ask("post", "/processes", { raw: "{}", type: "application/json", headers: { "Content-Encoding": "gzip" } });
    expectProblem(packed, 415, "unsupported-media");
    expect((await post("{}", "application/json; charset=UTF-8")).status).toBe(201);
  });

  test("unknown fields and wrong types are 422, each with its place", async () => {
    const answer = await session.ask("post", "/processes", { json: { comm: 5, color: "red", uid: "x" } });
    expectProblem(answer, 422, "invalid");
    expect(answer.body.errors.map((error: { path: string }) => error.path).sort()).toEqual(["/color", "/comm", "/uid"]);
    for (const json of [[], "x", 5, null, true]) expectProblem(await session.ask("post", "/processes", { json }), 422, "invalid");
  });

  test("a number that a double would round is 422, wherever it stands, and is not rounded", async () => {
    for (const raw of [
      '{"args":[9007199254740993]}', '{"args":[9007199254740992]}', '{"args":[-9007199254740993]}', '{"args":[1e400]}', '{"args":[1e16]}',
      '{"args":[18446744073709551615]}', '{"args":{"fd":9007199254740993}}', '{"args":[0.5e17]}',
    ]) {
      const answer = await session.ask("post", `/processes/${pid}/syscalls/close`, { raw, type: "application/json" });
      expectProblem(answer, 422, "invalid");
      expect(answer.body.errors[0].path).toMatch(/^\/args\/(0|fd)$/);
    }
    for (const raw of ['{"args":[9007199254740991]}', '{"args":["9007199254741092"]}', '{"args":["0xffffffffffffffff"]}', '{"args":[1e3]}']) {
      expect((await session.ask("post", `/processes/${pid}/syscalls/close`, { raw, type: "application/json" })).body).toMatchObject({ ret: -1, errno: "EBADF" });
    }
    const text = await session.call(pid, "memfd_create", { name: "1e400 9007199254740993" });
    expect(text.status).toBe(200);
  });

  test("a body nested without end is 422", async () => {
    expectProblem(await post(`{"comm":${"[".repeat(100_000)}${"]".repeat(100_000)}}`), 422, "invalid");
    expectProblem(await session.call(pid, "close", { args: JSON.parse("[".repeat(70) + "]".repeat(70)) as unknown }), 422, "invalid");
  });

  test("9 MiB of JSON is 413, declared or not", async () => {
    const large = `{"comm":"${"x".repeat(9 << 20)}"}`;
    expectProblem(await post(large), 413, "too-large");
    const chunked = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(service.url).port), "127.0.0.1");
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes("}")) socket.destroy();
      });
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
      socket.write(`POST ${session.path}/processes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${session.token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const part = "x".repeat(1 << 20);
      for (let count = 0; count < 9; count++) socket.write(`${part.length.toString(16)}\r\n${part}\r\n`);
      socket.write("0\r\n\r\n");
    });
    expect(chunked).toMatch(/^HTTP\/1.1 413 /);
  });

  test("a buffer of more than 1 MiB in JSON is 413; one of 16 MiB travels raw", async () => {
    for (const buf of [{ zero: (1 << 20) + 1 }, "x".repeat((1 << 20) + 1), { base64: Buffer.alloc((1 << 20) + 1).toString("base64") }]) {
      expectProblem(await session.call(pid, "write", { fd: 1, buf }), 413, "too-large");
    }
    expect((await session.call(pid, "write", { fd: 1, buf: { zero: 1 << 20 } })).body.ret).toBe(1 << 20);
    const { ret: fd } = await session.must(pid, "openat", { pathname: "/dev/zero", flags: "O_RDONLY" });
    const raw = await session.call(pid, "read", { fd, count: 16 << 20 }, { headers: { Accept: "application/octet-stream" } });
    expect([raw.headers["x-ret"], raw.bytes.length]).toEqual([String(16 << 20), 16 << 20]);
  });

  test("100,000 calls in a batch are 413, 10,000 are done", async () => {
    const call = { call: "getpid" };
    expectProblem(await session.batch(pid, Array.from({ length: 100_000 }, () => call)), 413, "too-large");
    const done = await session.batch(pid, Array.from({ length: 10_000 }, () => call));
    expect(done.status).toBe(200);
    expect(done.body.results).toHaveLength(10_000);
    expect(done.body.results[9_999].ret).toBe(pid);
  });

  test("a batch item that is none is told by its index", async () => {
    const answer = await session.batch(pid, [{ call: "getpid" }, { call: 1.5 }, "x", { call: "getpid", args: 3 }, { call: "getpid", color: 1 }]);
    expectProblem(answer, 422, "invalid");
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(["/calls/1/call", "/calls/2", "/calls/3/args", "/calls/4/color"]);
  });
});

describe("calls", () => {
  test("unknown names are 404, unknown numbers ENOSYS, unknown arguments 422", async () => {
    expectProblem(await session.call(pid, "nosuchcall"), 404, "not-found");
    expect((await session.call(pid, 99_999)).body).toMatchObject({ ret: -1, errno: "ENOSYS" });
    expect((await session.call(pid, "bpf")).body).toMatchObject({ ret: -1, errno: "ENOSYS" });
    const unknown = await session.call(pid, "close", { fd: 1, color: 1 });
    expectProblem(unknown, 422, "invalid");
    expect(unknown.body.errors).toEqual([{ path: "/color", message: expect.any(String) as string }]);
    const below = await session.call(pid, "close", { args: { color: 1 } });
    expect(below.body.errors[0].path).toBe("/args/color");
  });

  test("a path of 5,000 bytes and counts of -1 and 2^63 are the kernel's to judge", async () => {
    expect((await session.call(pid, "openat", { pathname: "/".padEnd(5_000, "x"), flags: "O_RDONLY" })).body).toMatchObject({ errno: "ENAMETOOLONG" });
    const { ret: fd } = await session.must(pid, "openat", { pathname: "/dev/zero", flags: "O_RDONLY" });
    for (const count of [-1, "-1", "9223372036854775808", "0x8000000000000000"]) {
      const answer = await session.call(pid, "read", { fd, count });
      expect(answer.status).toBe(200);
      expect(answer.body.ret === -1 ? answer.body.errno : "short").toMatch(/^(EFAULT|EINVAL|short)$/);
    }
  });

  test("a process that is not there is 404, before its body is looked at", async () => {
    for (const path of ["/processes/4000000", "/processes/0", "/processes/x", "/processes/-1", "/processes/1e3"]) {
      expectProblem(await session.ask("get", path), 404, "not-found");
      expectProblem(await session.ask("post", `${path}/syscalls/getpid`, { raw: "{", type: "text/plain" }), 404, "not-found");
    }
  });

  test("a second call of a process that sleeps is 409, but what is malformed is told first", async () => {
    const sleeper = await session.process();
    const { body } = await session.call(sleeper, "pause", {}, { headers: { Prefer: "wait=0" } });
    expect(body.state).toBe("sleeping");
    expectProblem(await session.call(sleeper, "getpid"), 409, "busy");
    expectProblem(await session.call(sleeper, "close", { color: 1 }), 422, "invalid");
  });
});

describe("requests", () => {
  test("Prefer: wait takes 0 to 240", async () => {
    for (const prefer of ["wait=241", "wait=-1", "wait=x", "wait=1.5", "wait="]) {
      expectProblem(await session.call(pid, "getpid", {}, { headers: { Prefer: prefer } }), 422, "invalid");
    }
    const { headers, status } = await session.call(pid, "getpid", {}, { headers: { Prefer: "respond-async, wait=240" } });
    expect([status, headers["preference-applied"]]).toEqual([200, "wait=240"]);
  });

  test("a missing or unknown token is 401 and says how", async () => {
    const none: Record<string, string> = {};
    for (const headers of [none, ...["Bearer syslab_nonsense", "Basic eDp5", "Bearer", "Bearer  "].map((Authorization) => ({ Authorization }))]) {
      for (const path of [session.path, `${session.path}/clock`, `/v1/sessions/nosuch`, `${session.path}/nosuch`]) {
        const answer = await service.ask("get", path, { headers });
        expectProblem(answer, 401, "unauthenticated");
        expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
      }
    }
  });

  test("another session's token is 404, and so is a session that is not", async () => {
    const other = await service.session();
    expectProblem(await service.ask("get", session.path, { token: other.token }), 404, "not-found");
    expectProblem(await service.ask("post", `${session.path}/processes`, { token: other.token, raw: "{", type: "text/plain" }), 404, "not-found");
    expectProblem(await service.ask("get", "/v1/sessions/s_nosuch", { token: session.token }), 404, "not-found");
  });

  test("paths and methods that nobody serves are problem documents", async () => {
    expectProblem(await service.ask("get", "/nosuch"), 404, "not-found");
    expectProblem(await service.ask("get", "/v1"), 404, "not-found");
    expectProblem(await session.ask("get", "/nosuch"), 404, "not-found");
    const wrong = await session.ask("put", "/clock", { json: {} });
    expectProblem(wrong, 405, "not-found");
    expect(wrong.headers["allow"]).toBe("GET, HEAD, PATCH");
    expectProblem(await session.ask("get", "/%ff"), 404, "not-found");
    expectProblem(await session.ask("get", "/fs/%ff"), 400, "invalid");
  });

  test("a foreign Host is 421, a foreign Origin 403, and there are no CORS headers", async () => {
    const { port } = new URL(service.url);
    for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.2"]) {
      expectProblem(await session.ask("get", "/clock", { headers: { Host: host } }), 421, "forbidden");
    }
    for (const host of ["localhost", `localhost:${port}`, "[::1]", "LAB.example", "lab.example:80", "127.0.0.1:9"]) {
      expect((await session.ask("get", "/clock", { headers: { Host: host } })).status).toBe(200);
    }
    for (const origin of ["http://evil.example", "null", "http://localhost.evil", "http://localhost:1", "file://"]) {
      const answer = await session.ask("get", "/clock", { headers: { Host: `localhost:${port}`, Origin: origin } });
      expectProblem(answer, 403, "forbidden");
      expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    const same = await session.ask("get", "/clock", { headers: { Host: `localhost:${port}`, Origin: `http://localhost:${port}` } });
    expect(same.status).toBe(200);
    // The host comes first: nothing is said of tokens to a page elsewhere.
    expectProblem(await service.ask("get", "/v1/sessions/x", { headers: { Host: "evil.example" } }), 421, "forbidden");
  });

  test("a URL above 16 KiB is 414", async () => {
    expectProblem(await session.ask("get", `/fs/${"x".repeat(17_000)}`), 414, "too-large");
    expect((await session.ask("get", `/fs/${"x/".repeat(4_000)}`)).status).toBe(404);
  });

  test("a NUL in a path is 422, a device or FIFO too", async () => {
    expectProblem(await session.ask("get", "/fs/tmp/a%00b"), 422, "invalid");
    expectProblem(await session.ask("put", "/fs/tmp/a%00b", { raw: "x" }), 422, "invalid");
    expectProblem(await session.ask("get", "/fs/dev/null"), 422, "invalid");
  });

  test("a terminal that is not there is 404", async () => {
    expectProblem(await session.ask("get", "/ttys/0"), 404, "not-found");
  });

  test("everything below a session is not stored, refusals included", async () => {
    for (const answer of [await session.ask("get", "/dmesg"), await session.ask("get", "/nosuch"), await service.ask("get", session.path)]) {
      expect(answer.headers["cache-control"]).toBe("no-store");
    }
  });
});
