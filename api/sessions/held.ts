/** Held requests: who waits for which call, until it ends or the time is up. */
import type { Reply } from "../route.ts";
import type { CallAnswer, EndedCall } from "./core.ts";
import { callRecord } from "./core.ts";
import type { Host } from "./host.ts";
import type { Settler } from "./journal.ts";
import type { Session } from "./session.ts";

export interface Waiter {
  callId: string;
  pid: number;
  to: Settler;
  requestId: string;
  /** The reply to a call that ended. Also asked for when nobody is held any more, where an answer is to be kept. */
  ended(answer: CallAnswer): Reply;
  /** The reply when the call still sleeps. */
  asleep(answer: CallAnswer): Reply;
  timer: NodeJS.Timeout | null;
  /** The request has an Idempotency-Key: how the call ends is of interest even after its 202. */
  keeps: boolean;
  answered: boolean;
}

/** Holds a request for at most `waitMs`; with 0 it is answered once the kernel is quiet. */
export function holdRequest(host: Host, session: Session, waiter: Waiter, waitMs: number): void {
  const others = session.waiters.get(waiter.callId);
  if (others === undefined) session.waiters.set(waiter.callId, [waiter]);
  else others.push(waiter);
  if (waitMs > 0) waiter.timer = setTimeout(() => timeIsUp(host, session, waiter), waitMs);
  else if (session.live?.more !== true) timeIsUp(host, session, waiter);
}

/** Calls ended: their answers leave with the commit of what ended them. */
export function endWaiters(host: Host, session: Session, ended: EndedCall[]): void {
  for (const { callId, answer } of ended) {
    const waiting = session.waiters.get(callId);
    if (waiting === undefined) continue;
    session.waiters.delete(callId);
    for (const waiter of waiting) {
      stop(waiter);
      const reply = waiter.ended(answer);
      if (!waiter.answered) host.journal.unit(session).answer(waiter.to, reply);
    }
  }
}

/** The kernel is quiet: what waited for that only is answered. */
export function answerQuiet(host: Host, session: Session): void {
  for (const waiting of [...session.waiters.values()]) {
    for (const waiter of [...waiting]) if (waiter.timer === null && !waiter.answered) timeIsUp(host, session, waiter);
  }
}

/** Answers that the call sleeps; it goes on by itself. */
function timeIsUp(host: Host, session: Session, waiter: Waiter): void {
  stop(waiter);
  const { live } = session;
  const record = live === null ? null : callRecord(live.kernel, waiter.callId);
  const answer: CallAnswer = record?.answer ?? { state: "sleeping", pid: waiter.pid, callId: waiter.callId, wchan: "0" };
  host.journal.answer(session, waiter.to, waiter.asleep(answer));
  waiter.answered = true;
  if (!waiter.keeps) forget(session, waiter);
}

function forget(session: Session, waiter: Waiter): void {
  const others = session.waiters.get(waiter.callId)?.filter((other) => other !== waiter) ?? [];
  if (others.length === 0) session.waiters.delete(waiter.callId);
  else session.waiters.set(waiter.callId, others);
}

/** Every held request is answered as it stands: the server stops. */
export function answerAll(host: Host, session: Session): void {
  for (const waiting of [...session.waiters.values()]) {
    for (const waiter of [...waiting]) if (!waiter.answered) timeIsUp(host, session, waiter);
  }
}

/** Every held request gets this reply, and nobody waits any more. */
export function dismissAll(session: Session, reply: (waiter: Waiter) => void): void {
  for (const waiting of session.waiters.values()) {
    for (const waiter of waiting) {
      stop(waiter);
      if (!waiter.answered) reply(waiter);
    }
  }
  session.waiters.clear();
}

/** How many requests are held in the session. */
export function heldIn(session: Session): number {
  let held = 0;
  for (const waiting of session.waiters.values()) held += waiting.length;
  return held;
}

/** Whether a request is held in the session. */
export function isHeld(session: Session): boolean {
  for (const waiting of session.waiters.values()) for (const waiter of waiting) if (!waiter.answered) return true;
  return false;
}

function stop(waiter: Waiter): void {
  if (waiter.timer !== null) clearTimeout(waiter.timer);
  waiter.timer = null;
}
