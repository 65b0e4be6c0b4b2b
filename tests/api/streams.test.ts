/** Streams: dmesg, trace and events as they come, resumed by Last-Event-ID, within their limits. */
import { request } from "node:http";
import { COMMENT_MS } from "../../api/sse.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Follower } from "../helpers/events.ts";
import { TestService, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
let followers: Follower[] = [];
beforeEach(async () => {
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
});
afterEach(async () => {
  for (const follower of followers) follower.close();
  followers = [];
  await service.stop();
});

async function follow(path: string, headers: Record<string, string> = {}, as: TestSession = session): Promise<Follower> {
  const follower = new Follower(`${service.url}${as.path}${path}`, as.token, headers);
  followers.push(follower);
  await follower.begun();
  return follower;
}

const texts = (follower: Follower) => follower.events.map((event) => event.data.text as string);

test("dmesg follows: what is there, then what comes, each with id, event and JSON", async () => {
  const stream = await follow("/dmesg");
  await stream.until((events) => events.length >= 3);
  expect(texts(stream)[0]).toMatch(/^Linux version/);
  await session.ask("post", "/modules", { json: { name: "ksocket" } });
  const { records } = (await session.ask("get", "/dmesg?format=json")).body;
  await stream.until((events) => events.length >= records.length);
  expect(stream.events.map((event) => event.data as unknown)).toEqual(records);
  expect(new Set(stream.events.map((event) => event.event))).toEqual(new Set(["dmesg"]));
  expect(new Set(stream.events.map((event) => event.id)).size).toBe(stream.events.length);
  expect(stream.comments).toBeGreaterThan(0);
});

test("the trace follows from now on, of one process or all, and a student sees its own", async () => {
  await session.must(pid, "dup", { oldfd: 0 });
  const student = await session.member("student");
  const own = await student.process();
  const [all, one, theirs] = [await follow("/trace?follow=1"), await follow(`/trace?follow=1&pid=${own}`), await follow("/trace?follow=1", {}, student)];
  await session.must(pid, "getuid");
  await student.must(own, "getppid");
  await all.until((events) => events.length >= 2);
  await one.until((events) => events.length >= 1);
  await theirs.until((events) => events.length >= 1);
  expect(texts(all).map((text) => text.split("(")[0])).toEqual(["getuid", "getppid"]);
  expect(one.events.map((event) => event.data.pid)).toEqual([own]);
  expect(texts(theirs)).toEqual(texts(one));
});

test("Last-Event-ID goes on where the stream broke; what the ring does not hold is a gap", async () => {
  const first = await follow("/trace?follow=1");
  for (let count = 0; count < 3; count++) await session.must(pid, "dup", { oldfd: count });
  await first.until((events) => events.length >= 3);
  first.close();
  await session.must(pid, "getuid");
  const resumed = await follow("/trace?follow=1", { "Last-Event-ID": first.events[1]!.id });
  await resumed.until((events) => events.length >= 2);
  expect(texts(resumed).map((text) => text.split(" ")[0])).toEqual(["dup(2)", "getuid()"]);
  for (const unknown of ["nonsense", "99-1", "0-99999", "0-"]) {
    const gap = await follow("/trace?follow=1", { "Last-Event-ID": unknown });
    await gap.until((events) => events.length >= 5);
    expect(gap.events[0]!.event).toBe("gap");
    expect(gap.events).toHaveLength(5);
  }
});

test("a gap has an id of its own, by which all that follows it comes again", async () => {
  await session.must(pid, "getuid");
  await session.must(pid, "getgid");
  await session.ask("post", "/modules", { json: { name: "ksocket" } });
  for (const path of ["/trace?follow=1", "/dmesg", "/events"]) {
    const gap = await follow(path, { "Last-Event-ID": "nonsense" });
    await gap.until((events) => events.length >= 3);
    const [told, ...rest] = gap.events;
    expect(told!.event).toBe("gap");
    expect(rest.map((event) => event.id)).not.toContain(told!.id);
    // The stream broke behind the gap: nothing of what came after it is lost, and there is no gap any more.
    const again = await follow(path, { "Last-Event-ID": told!.id });
    await again.until((events) => events.length >= rest.length);
    expect(again.events.slice(0, rest.length)).toEqual(rest);
    const behind = await follow(path, { "Last-Event-ID": rest[0]!.id });
    await behind.until((events) => events.length >= rest.length - 1);
    expect(behind.events.slice(0, rest.length - 1)).toEqual(rest.slice(1));
  }
});

test("a follower that comes back too late is told the gap in the middle, and goes on from its id", async () => {
  const first = await follow("/trace?follow=1");
  await session.must(pid, "getuid");
  await first.until((events) => events.length === 1);
  first.close();
  // More than one look brings.
  const calls = Array.from({ length: 2_500 }, () => ({ call: "getppid" }));
  await session.batch(pid, calls);
  const late = await follow("/trace?follow=1", { "Last-Event-ID": first.events[0]!.id });
  await late.until((events) => events.length >= 2_001);
  expect([late.events[0]!.event, late.events.length]).toEqual(["gap", 2_001]);
  const again = await follow("/trace?follow=1", { "Last-Event-ID": late.events[0]!.id });
  await again.until((events) => events.length >= 2_000);
  expect(again.events).toEqual(late.events.slice(1));
});

test("who comes back with the id of a restore sees what came after it, once", async () => {
  const { body: { id } } = await session.ask("post", "/snapshots", { json: {} });
  const streams = [await follow("/events"), await follow("/dmesg"), await follow("/trace?follow=1")];
  await session.ask("post", `/snapshots/${id}/restore`, { json: {} });
  for (const stream of streams) await stream.until((events) => events.some((event) => event.event === "restored"));
  await session.must(pid, "getppid");
  await session.ask("post", "/modules", { json: { name: "ksocket" } });
  for (const [at, path] of ["/events", "/dmesg", "/trace?follow=1"].entries()) {
    const stream = streams[at]!;
    const restored = stream.events.findIndex((event) => event.event === "restored");
    await stream.until((events) => events.length > restored + 1);
    expect(stream.events.filter((event) => event.event === "restored")).toHaveLength(1);
    const again = await follow(path, { "Last-Event-ID": stream.events[restored]!.id });
    await again.until((events) => events.length > 0);
    expect(again.events[0]).toEqual(stream.events[restored + 1]);
  }
});

test("who is let out of a session sees no more of it", async () => {
  const [student, other] = [await session.member("student", "one"), await session.member("observer", "two")];
  const [own, others] = [await follow("/events", {}, student), await follow("/events", {}, other)];
  expect((await session.ask("delete", `/members/${student.memberId}`)).status).toBe(204);
  await own.until(() => false);
  expect(own.ended).toBe(true);
  await session.process();
  await others.until((events) => events.length > 0);
  expect(others.ended).toBe(false);
  expect((await student.ask("get", "/clock")).status).toBe(401);
});

test("a stream shows by comments that it lives", async () => {
  await service.stop();
  service = await TestService.start({ commentMs: 5 });
  session = await service.session();
  const stream = await follow("/events");
  const { comments } = stream;
  for (let more = 0; more < 200 && stream.comments < comments + 5; more++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(stream.comments).toBeGreaterThanOrEqual(comments + 5);
  expect(stream.events).toEqual([]);
  expect(COMMENT_MS).toBe(15_000);
});

test("events tell of modules and processes, and resume over a restart", async () => {
  const stream = await follow("/events");
  await session.ask("post", "/modules", { json: { name: "ksocket", variant: "seed" } });
  const gone = await session.process();
  await session.call(gone, "exit_group", { status: 1 });
  await stream.until((events) => events.some((event) => event.event === "module") && events.some((event) => event.event === "process"));
  const seen = stream.events.length;
  const last = stream.events.at(-1)!.id;
  await service.stop({ keep: true });
  service = await TestService.start({}, service.directory);
  session = session.on(service);
  const resumed = await follow("/events", { "Last-Event-ID": last });
  await session.ask("delete", "/modules/ksocket");
  await resumed.until((events) => events.some((event) => event.event === "module"));
  expect(resumed.events.some((event) => event.event === "gap")).toBe(false);
  expect(seen).toBeGreaterThan(0);
});

test("a restore is told to every stream, and their ids go on", async () => {
  const { body: { id } } = await session.ask("post", "/snapshots", { json: {} });
  const streams = [await follow("/events"), await follow("/dmesg"), await follow("/trace?follow=1")];
  await session.must(pid, "getuid");
  await session.ask("post", `/snapshots/${id}/restore`, { json: {} });
  await session.must(pid, "getppid");
  for (const stream of streams) await stream.until((events) => events.some((event) => event.event === "restored"));
  const trace = streams[2]!;
  await trace.until((events) => events.at(-1)?.event === "call" && events.length >= 3);
  expect(trace.events.map((event) => event.event)).toEqual(["call", "restored", "call"]);
  const stale = await follow("/trace?follow=1", { "Last-Event-ID": trace.events[0]!.id });
  await stale.until((events) => events.length >= 2);
  expect(stale.events[0]!.event).toBe("gap");
});

test("a session has 16 streams; a place is free again when one ends", async () => {
  const all: Follower[] = [];
  for (let count = 0; count < 16; count++) all.push(await follow("/events"));
  expect(all.map((stream) => stream.status)).toEqual(Array.from({ length: 16 }, () => 200));
  const refused = await session.ask("get", "/events");
  expect(refused.body).toMatchObject({ status: 429, type: "/problems/too-many" });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  all[0]!.close();
  let next = await follow("/events");
  while (next.status !== 200) next = await follow("/events");
});

test("a removed session ends its streams; a reader that does not read is closed", async () => {
  const stream = await follow("/events");
  const slow = await new Promise<{ closed: Promise<void> }>((resolve, reject) => {
    const asked = request(`${service.url}${session.path}/trace?follow=1`, { headers: { Authorization: `Bearer ${session.token}`, Accept: "text/event-stream" } });
    asked.on("response", (response) => {
      response.pause();
      resolve({ closed: new Promise((closed) => response.socket.once("close", closed)) });
    }).on("error", reject).end();
  });
  const { streams } = await (service.service.services.sessions.find(session.id) as unknown as Promise<{ streams: Set<unknown> }>);
  expect(streams.size).toBe(2);
  const calls = Array.from({ length: 2_000 }, () => ({ call: "openat", args: { pathname: `/${"x".repeat(200)}`, flags: "O_RDONLY" } }));
  for (let round = 0; round < 60 && streams.size === 2; round++) await session.batch(pid, calls, { onError: "continue" });
  expect(streams.size).toBe(1);
  void slow;
  await session.ask("delete", "");
  await stream.until(() => false);
  expect(stream.ended).toBe(true);
});

test("who asks for a stream's head, or is gone before it begins, takes no place among the streams", async () => {
  for (let asked = 0; asked < 20; asked++) expect((await session.ask("head", "/events")).status).toBe(200);
  const { sessions } = service.service.services;
  const held = await sessions.find(session.id);
  const look = sessions.look.bind(sessions);
  let began!: () => void;
  const beginning = new Promise<void>((resolve) => (began = resolve));
  let goOn!: () => void;
  const gone = new Promise<void>((resolve) => (goOn = resolve));
  sessions.look = async (id, read) => {
    const seen = await look(id, read);
    began();
    await gone;
    return seen;
  };
  try {
    const asked = request(`${service.url}${session.path}/events`, { headers: { Authorization: `Bearer ${session.token}` } });
    asked.on("error", () => {});
    asked.end();
    await beginning;
    asked.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    goOn();
    await new Promise((resolve) => setTimeout(resolve, 50));
  } finally {
    sessions.look = look;
  }
  expect({ open: held.streams.size, opening: held.opening }).toEqual({ open: 0, opening: 0 });
  expect((await follow("/events")).status).toBe(200);
});
