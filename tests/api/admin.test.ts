/** A server with an administrator: its token does in every session what an owner's does in its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Follower } from "../helpers/events.ts";
import { TestService, TestSession, wait } from "../helpers/service.ts";

const ADMIN = "the-administrator";

let service: TestService;
let owner: TestSession;
/** The same session, by the administrator's token. */
let admin: TestSession;
beforeAll(async () => {
  service = await TestService.start({ adminToken: ADMIN });
  owner = await service.session(undefined, { token: ADMIN });
  admin = new TestSession(service, owner.id, ADMIN);
});
afterAll(() => service.stop());

test("making and listing sessions needs the token, and no member's will do", async () => {
  for (const method of ["get", "post"] as const) {
    expect((await service.ask(method, "/v1/sessions")).status).toBe(401);
    expect((await service.ask(method, "/v1/sessions", { token: "wrong" })).status).toBe(401);
    expect((await service.ask(method, "/v1/sessions", { token: owner.token })).status).toBe(403);
  }
  const { body } = await service.ask("get", "/v1/sessions", { token: ADMIN });
  expect(body.items.map((session: { id: string }) => session.id)).toEqual([owner.id]);
});

test("processes, calls, batches and memory", async () => {
  const owners = await owner.process();
  const pid = await admin.process();
  for (const one of [owners, pid]) {
    expect((await admin.must(one, "getuid")).ret).toBe(0);
    expect((await admin.batch(one, [{ call: "getpid" }])).body.results[0].ret).toBe(one);
  }
  const { ret } = await admin.must(owners, "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  expect((await admin.ask("put", `/processes/${owners}/memory?address=${ret}`, { raw: "stored" })).status).toBe(204);
  expect((await admin.ask("get", `/processes/${owners}/memory?address=${ret}&length=6`)).text).toBe("stored");
  expect((await owner.call(pid, "getpid")).body.ret).toBe(pid);
  expect((await admin.ask("post", "/processes", { json: { uid: 1234, parent: owners } })).body).toMatchObject({ uid: 1234, ppid: owners });
});

test("calls that sleep: asked for, interrupted", async () => {
  const pid = await owner.process();
  const { body } = await owner.call(pid, "pause", {}, wait(0));
  expect((await admin.ask("get", `/calls/${body.callId}`)).body.state).toBe("sleeping");
  expect((await admin.ask("delete", `/calls/${body.callId}`)).body).toMatchObject({ state: "returned", errno: "EINTR" });
});

test("the clock, snapshots, restore and forks", async () => {
  expect((await admin.ask("patch", "/clock", { json: { mode: "virtual" } })).body.mode).toBe("virtual");
  const { nowNs } = (await admin.ask("get", "/clock")).body;
  expect((await admin.ask("post", "/clock/advance", { json: { ms: 5 } })).body.nowNs).toBe(nowNs + 5e6);
  await owner.ask("put", "/fs/tmp/a", { raw: "before" });
  const { body: snapshot } = await admin.ask("post", "/snapshots", { json: { name: "by the administrator" } });
  await owner.ask("put", "/fs/tmp/a", { raw: "after" });
  const fork = await service.session({ from: snapshot.id }, { token: ADMIN });
  expect((await fork.ask("get", "/fs/tmp/a")).text).toBe("before");
  expect((await admin.ask("post", `/snapshots/${snapshot.id}/restore`, { json: {} })).status).toBe(200);
  expect((await owner.ask("get", "/fs/tmp/a")).text).toBe("before");
  expect((await admin.ask("delete", `/snapshots/${snapshot.id}`)).status).toBe(204);
  expect((await admin.ask("delete", "").then(() => service.ask("get", `/v1/sessions/${fork.id}`, { token: ADMIN }))).status).toBe(200);
  owner = fork;
  admin = new TestSession(service, fork.id, ADMIN);
});

test("members, modules, files, signals, log and streams", async () => {
  const { body: member } = await admin.ask("post", "/members", { json: { name: "s", role: "student" } });
  expect((await service.ask("get", owner.path, { token: member.token })).status).toBe(200);
  expect((await admin.ask("delete", `/members/${member.id}`)).status).toBe(204);
  expect((await service.ask("get", owner.path, { token: member.token })).status).toBe(401);
  expect((await admin.ask("post", "/modules", { json: { name: "ksocket" } })).status).toBe(201);
  expect((await admin.ask("delete", "/modules/ksocket")).status).toBe(204);
  expect((await admin.ask("put", "/fs/root/own", { raw: "x" })).status).toBe(201);
  expect((await admin.ask("get", "/fs/root/own")).text).toBe("x");
  const pid = await owner.process();
  expect((await admin.ask("post", `/processes/${pid}/signals`, { json: { signal: "SIGKILL" } })).status).toBe(204);
  expect((await admin.ask("get", "/dmesg")).text).toContain("Linux version");
  const stream = new Follower(`${service.url}${owner.path}/trace?follow=1`, ADMIN);
  await stream.begun();
  await owner.must(await owner.process(), "getuid");
  expect((await stream.until((events) => events.length > 0))[0]!.data.text).toMatch(/^getuid\(\)/);
  stream.close();
});

test("what it does not know is 404, and its keys are its own", async () => {
  for (const path of ["", "/clock", "/processes/1", "/processes/1/memory?address=0&length=1"]) {
    expect((await service.ask("get", `/v1/sessions/s_nosuch${path}`, { token: ADMIN })).status).toBe(404);
  }
  const pid = await owner.process();
  const key = { headers: { "Idempotency-Key": "k" } };
  const first = await owner.call(pid, "dup", { oldfd: 0 }, key);
  const admins = await admin.call(pid, "dup", { oldfd: 0 }, key);
  expect([admins.headers["idempotency-replayed"], admins.body.ret]).toEqual([undefined, first.body.ret + 1]);
  expect((await admin.call(pid, "dup", { oldfd: 0 }, key)).body).toEqual(admins.body);
});

test("benchmarks are the administrator's, owners' and assistants'", async () => {
  const [student, assistant] = [await owner.member("student"), await owner.member("assistant")];
  const ask = (token?: string) => service.ask("post", "/v1/benchmarks", { json: { kind: "nosuch" }, ...(token === undefined ? {} : { token }) });
  expect((await ask()).status).toBe(401);
  expect((await ask(student.token)).status).toBe(403);
  for (const token of [ADMIN, owner.token, assistant.token]) expect((await ask(token)).status).toBe(422);
});

test("a server that others can reach does not start without the token, and says why in one sentence", async () => {
  const directory = mkdtempSync(join(tmpdir(), "syslab-admin-"));
  const start = (env: Record<string, string>) => {
    const child = spawn(process.execPath, ["--import", "tsx", "api/server.ts"], {
      env: { PATH: process.env["PATH"], HOME: directory, PORT: "0", DATABASE_URL: `file:${join(directory, "a.db")}`, LOG_LEVEL: "info", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
    return { child, output: () => output };
  };
  const refused = start({ HOST: "0.0.0.0" });
  const [code] = (await once(refused.child, "exit")) as [number];
  expect([code, refused.output()]).toEqual([1, "HOST 0.0.0.0 can be reached by others, so SYSLAB_ADMIN_TOKEN must be set.\n"]);

  const { child, output } = start({ HOST: "0.0.0.0", SYSLAB_ADMIN_TOKEN: ADMIN });
  while (!output().includes("listens")) await new Promise((resolve) => setTimeout(resolve, 20));
  const port = (/"port":(\d+)/.exec(output()) ?? [])[1];
  const post = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/v1/sessions`, { method: "POST", headers });
  expect((await post({})).status).toBe(401);
  const made = await post({ Authorization: `Bearer ${ADMIN}` });
  expect(made.status).toBe(201);
  await made.json();
  child.kill("SIGTERM");
  await once(child, "exit");
  rmSync(directory, { recursive: true, force: true });
});
