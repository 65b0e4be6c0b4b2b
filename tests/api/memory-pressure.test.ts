/** A server whose memory is short puts idle kernels away, and refuses what may grow before it is too late. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Follower } from "../helpers/events.ts";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let pressure = 0;
let service: TestService;
let sessions: TestSession[];
beforeEach(async () => {
  pressure = 0;
  service = await TestService.start({ sessions: { pressure: () => pressure } });
  sessions = [];
  for (let count = 0; count < 4; count++) sessions.push(await service.session());
});
afterEach(() => service.stop());

const loaded = () => service.service.services.sessions.counts().loaded;
const full = { status: 507, type: "/problems/full" };

async function settled(count: number): Promise<void> {
  for (let look = 0; look < 400 && loaded() !== count; look++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(loaded()).toBe(count);
}

test("idle kernels are put away where memory is short; held and followed ones stay, and those put away come back as they were", async () => {
  const [one, two, three, four] = sessions as [TestSession, TestSession, TestSession, TestSession];
  const pids = await Promise.all(sessions.map((session) => session.process()));
  await two.ask("put", "/fs/tmp/a", { raw: "kept" });
  const held = one.call(pids[0]!, "pause", {}, wait(20));
  while ((await one.ask("get", `/processes/${pids[0]}`)).body.call === null);
  const stream = new Follower(`${service.url}${three.path}/events`, three.token);
  await stream.begun();
  pressure = 0.75;
  expect((await four.call(pids[3]!, "getpid")).body.ret).toBe(pids[3]);
  await settled(2);
  pressure = 0;
  expect((await two.ask("get", "/fs/tmp/a")).text).toBe("kept");
  expect((await two.call(pids[1]!, "getpid")).body.ret).toBe(pids[1]);
  await one.ask("post", `/processes/${pids[0]}/signals`, { json: { signal: "SIGKILL" } });
  expect((await held).body).toMatchObject({ state: "ended", signaled: "SIGKILL" });
  expect(stream.ended).toBe(false);
  stream.close();
});

test("at its end what may grow is 507 and has done nothing; looking, freeing and removing go on", async () => {
  const [one, two] = sessions as [TestSession, TestSession];
  const pid = await one.process();
  const asleep = await one.call(await one.process(), "pause", {}, wait(0));
  const stream = new Follower(`${service.url}${one.path}/events`, one.token);
  await stream.begun();
  const before = (await one.ask("get", "/processes?limit=200")).text;
  pressure = 0.95;
  const refused = await Promise.all([
    one.call(pid, "fork"), one.batch(pid, [{ call: "fork" }]), one.ask("post", "/processes", { json: {} }), one.ask("put", "/fs/tmp/a", { raw: "x" }),
    one.ask("put", `/processes/${pid}/memory?address=0`, { raw: "x" }), one.ask("post", "/modules", { json: { name: "ksocket" } }),
    one.ask("post", "/snapshots", { json: {} }), service.ask("post", "/v1/sessions", { json: {} }),
  ]);
  for (const answer of refused) expect(answer.body).toMatchObject(full);
  expect((await one.ask("get", "/processes?limit=200")).text).toBe(before);
  expect((await one.ask("get", "/dmesg")).status).toBe(200);
  expect((await one.ask("delete", `/calls/${asleep.body.callId}`)).body.errno).toBe("EINTR");
  expect((await one.ask("delete", `/processes/${asleep.body.pid}`)).status).toBe(204);
  // The others were put away, and do not come back before there is room.
  await settled(1);
  expect((await two.ask("get", "/processes")).body).toMatchObject(full);
  expect((await two.ask("delete", "")).status).toBe(204);
  pressure = 0;
  expect((await one.must(pid, "fork")).ret).toBeGreaterThan(pid);
  expect((await sessions[2]!.ask("get", "/processes")).status).toBe(200);
  expect((await service.ask("post", "/v1/sessions", { json: {} })).status).toBe(201);
  stream.close();
});

test("a refusal for want of memory is not kept under its key", async () => {
  const [one] = sessions as [TestSession];
  const pid = await one.process();
  const ask = () => one.call(pid, "dup", { oldfd: 0 }, { headers: { "Idempotency-Key": "k" } });
  const stream = new Follower(`${service.url}${one.path}/events`, one.token);
  await stream.begun();
  pressure = 0.95;
  expect((await ask()).body).toMatchObject(full);
  pressure = 0;
  const answer = await ask();
  expect([answer.body.ret, answer.headers["idempotency-replayed"]]).toEqual([3, undefined]);
  stream.close();
});
