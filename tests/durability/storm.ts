/** Many processes append records to one file while the server is killed; what was answered must be there, once. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { type Answer, bytesOf, type Process, Refused, type Session } from "../acceptance/client.ts";
import { follow } from "./follow.ts";
import type { Dice, World } from "./world.ts";

const RECORD = 24;
const LOG = "/tmp/log";

interface Write {
  worker: number;
  count: number;
  answered: boolean;
}

const key = ({ worker, count }: Write): string => `w${String(worker).padStart(4, "0")} k${String(count).padStart(4, "0")}`;
const record = (write: Write): string => `${key(write)} ${"x".repeat(RECORD - 13)}\n`;

export interface StormReport {
  answered: number;
  unanswered: number;
  /** Unanswered writes that the kernel had taken nevertheless. */
  taken: number;
  views: number;
  streamed: number;
}

/** One storm, one kill -9, one restart, and everything that must hold afterwards. With `commit` the server ends by itself, around a commit. */
export async function storm(world: World, roll: Dice, { workers = 1000, answers = 1500, commit = false } = {}): Promise<StormReport> {
  const session = await world.session({ clock: "virtual", seed: 1 + roll(1000) });
  const parent = await session.process({ comm: "parent" });
  const fd = await parent.must("openat", { pathname: LOG, flags: "O_WRONLY|O_CREAT|O_APPEND", mode: "0644" });
  const sleepers = await putToSleep(session, parent);
  const children = await parent.mustBatch(Array.from({ length: workers }, () => ({ call: "fork" })));

  const writes: Write[] = [];
  const views: Buffer[] = [];
  let over = false;
  let answered = 0;
  const killAt = Math.floor(answers / 2) + roll(answers / 2);
  const stream = follow(session, "/trace?follow=1");

  const kill: Promise<void>[] = [];
  const killSoon = async (): Promise<void> => {
    if (commit) {
      process.kill(world.server.pid, "SIGUSR2");
      await world.server.gone;
    } else {
      await pause(roll(60));
    }
    over = true;
    await world.restart();
  };
  const work = children.map(async ({ ret: pid }, worker) => {
    const process = session.at(pid);
    for (let count = 0; !over; count++) {
      const write: Write = { worker, count, answered: false };
      writes.push(write);
      try {
        const { ret } = await process.call("write", { fd, buf: record(write) }, { key: key(write) });
        assert.equal(ret, RECORD);
      } catch (error) {
        if (error instanceof Refused || error instanceof assert.AssertionError) throw error;
        return; // the connection died with the server
      }
      write.answered = true;
      if (++answered === killAt) kill.push(killSoon());
    }
  });
  const watch = (async () => {
    while (!over) {
      const view = await session.cat(LOG).catch(() => null);
      if (view !== null) views.push(view);
    }
  })();
  await Promise.all([...work, watch]);
  await Promise.all(kill);
  const streamed = [...(await stream.text()).matchAll(/w\d{4} k\d{4}/g)].map(([found]) => found);

  const log = (await session.cat(LOG)).toString();
  const kept = recordsOf(log);
  const known = new Map(writes.map((write) => [key(write), write]));
  for (const one of kept) assert(known.has(one), `${one} was never sent`);
  for (const write of writes) assert(!write.answered || kept.has(key(write)), `${key(write)} was answered and is lost`);
  for (const view of views) assert(log.startsWith(view.toString()), "a view showed what the restart lost");
  for (const one of streamed) assert(kept.has(one), `a stream showed ${one}, which the restart lost`);
  assert.equal(await parent.must("lseek", { fd, offset: 0, whence: "SEEK_CUR" }), log.length);

  await wakeUp(session, parent, sleepers);
  const unanswered = writes.filter((write) => !write.answered);
  await repeat(session, (write) => ({ path: `/processes/${children[write.worker]!.ret}/syscalls/write`, json: { fd, buf: record(write) }, key: key(write) }), writes);
  const after = recordsOf((await session.cat(LOG)).toString());
  assert.equal(after.size, writes.length, "every write stands in the file once");
  await session.ask("DELETE", "");
  return { answered, unanswered: unanswered.length, taken: unanswered.filter((write) => kept.has(key(write))).length, views: views.length, streamed: streamed.length };
}

/** The records of the file: each whole, none twice, those of one worker in order. */
function recordsOf(log: string): Set<string> {
  assert.equal(log.length % RECORD, 0, "a record is torn");
  const found = new Set<string>();
  const last = new Map<string, string>();
  for (let at = 0; at < log.length; at += RECORD) {
    const text = log.slice(at, at + RECORD);
    assert.match(text, /^w\d{4} k\d{4} x+\n$/);
    const one = text.slice(0, 11);
    assert(!found.has(one), `${one} stands in the file twice`);
    found.add(one);
    const worker = one.slice(0, 5);
    assert((last.get(worker) ?? "") < one, `${one} is out of order`);
    last.set(worker, one);
  }
  return found;
}

interface Sleepers {
  pipe: [number, number];
  /** Answered 202 before the storm. */
  told: Answer;
  toldProcess: Process;
  /** Its request was held when the server died. */
  held: Process;
  napping: Answer;
}

async function putToSleep(session: Session, parent: Process): Promise<Sleepers> {
  const pipe = (await parent.call("pipe2", {})).pipefd!;
  const [toldProcess, held, napper] = (await parent.mustBatch([{ call: "fork" }, { call: "fork" }, { call: "fork" }])).map(({ ret }) => session.at(ret)) as [Process, Process, Process];
  const told = await toldProcess.call("read", { fd: pipe[0], count: 4 }, { wait: 0 });
  assert.equal(told.state, "sleeping");
  const napping = await napper.call("nanosleep", { req: { tv_sec: 5, tv_nsec: 0 } }, { wait: 0 });
  assert.equal(napping.state, "sleeping");
  void held.call("read", { fd: pipe[0], count: 4 }, { wait: 240 }).catch(() => null);
  while ((await held.view()).call === null);
  return { pipe, told, toldProcess, held, napping };
}

/** Who slept before the restart sleeps after it, and is woken as ever. */
async function wakeUp(session: Session, parent: Process, { pipe, told, toldProcess, held, napping }: Sleepers): Promise<void> {
  assert.equal((await session.callState(told.callId)).state, "sleeping");
  assert.equal((await toldProcess.view()).call?.callId, told.callId);
  const { call } = await held.view();
  assert(call !== null, "the held call sleeps no more");
  assert.equal((await session.callState(call.callId)).state, "sleeping");
  await parent.must("write", { fd: pipe[1], buf: "wakewake" });
  for (const callId of [told.callId, call.callId]) {
    const { state, ret, buf } = await session.callState(callId, 30);
    assert.deepEqual({ state, ret, text: bytesOf(buf).toString() }, { state: "returned", ret: 4, text: "wake" });
  }
  assert.equal((await session.callState(napping.callId)).state, "sleeping");
  await session.ask("POST", "/clock/advance", { json: { ms: 5_001 } });
  const nap = await session.callState(napping.callId, 30);
  assert.deepEqual([nap.state, nap.ret], ["returned", 0]);
}

/** The unanswered writes again under their keys, and some answered ones: each acts once. */
async function repeat(session: Session, request: (write: Write) => { path: string; json: unknown; key: string }, writes: Write[]): Promise<void> {
  const answered = writes.filter((write) => write.answered);
  await Promise.all([...writes.filter((write) => !write.answered), ...answered.slice(-50)].map(async (write) => {
    const { path, ...options } = request(write);
    const reply = await session.ask("POST", path, options);
    assert.equal((JSON.parse(reply.text) as Answer).ret, RECORD);
    if (write.answered) assert.equal(reply.headers.get("Idempotency-Replayed"), "true");
  }));
}
