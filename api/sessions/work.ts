/** What requests do with a kernel: act in it, or look at it. Either way the answer leaves after the commit of all it saw. */
import { Problem, conflict, errnoProblem, invalid, tooMany } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import type { Reply, RequestInfo } from "../route.ts";
import { callRecord, prepare, type CallAnswer, type Kernel, type Output, type Refusal } from "./core.ts";
import { feed, moveClock, type Fed, type InputBody } from "./feed.ts";
import { holdRequest } from "./held.ts";
import type { Host } from "./host.ts";
import { CallForgotten, keep } from "./idempotency.ts";
import type { Settler } from "./journal.ts";
import type { Job, Live, Session } from "./session.ts";

/** How an input came out. */
export interface Done {
  /** A call's answer, and its JSON; null for inputs that are no calls. */
  answer: CallAnswer | null;
  text: string;
  output: Output | null;
  live: Live;
}

export interface Act<R extends Reply = Reply> {
  request: Pick<RequestInfo, "id" | "waitMs" | "ticket">;
  /** Made when its turn comes; may refuse with a Problem. */
  input(live: Live, session: Session): InputBody;
  /** The outcome as HTTP; may answer with a Problem. */
  reply(done: Done): R;
  /** Where in the body the arguments of a call stand; "/args" when left out. */
  argsPath?: string;
}

/** The answer to a request that was held for long enough. */
export interface AsleepReply {
  status: 202;
  json: Extract<CallAnswer, { state: "sleeping" }>;
  headers: Record<string, string>;
}

export function problemReply(problem: Problem, requestId: string): Reply {
  return {
    status: problem.status, json: problem.toDocument(requestId), contentType: "application/problem+json",
    ...(problem.extras.headers === undefined ? {} : { headers: problem.extras.headers }),
  };
}

/** `make`'s reply, or its Problem as one. @throws what is no Problem */
export function replyOf(make: () => Reply, requestId: string): Reply {
  try {
    return make();
  } catch (error) {
    if (error instanceof Problem) return problemReply(error, requestId);
    throw error;
  }
}

export function refusalProblem(refusal: Refusal): Problem {
  switch (refusal.refused) {
    case "no-process": case "no-call": return new Problem(404, "not-found", sentence(refusal.detail));
    case "busy": return new Problem(409, "busy", sentence(refusal.detail));
    case "invalid": case "too-large": {
      const [first] = refusal.errors ?? [];
      const detail = first === undefined ? sentence(refusal.detail) : `${first.path}: ${first.message}.`;
      return refusal.refused === "invalid" ? invalid(detail, refusal.errors)
        : new Problem(413, "too-large", detail, refusal.errors === undefined ? {} : { errors: refusal.errors });
    }
    case "errno": return errnoProblem(refusal.errno, refusal.detail);
    case "limit": return tooMany(sentence(refusal.detail), 1);
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

export function requireWritable(session: Session): void {
  const reason = session.record.readOnlyReason;
  if (reason !== null) throw conflict(`The session is read-only: ${reason}`);
}

/** Does an input in its turn; resolves with the reply (or a problem's) when it is kept. Rejects with a Problem. */
export function act<R extends Reply>(host: Host, session: Session, work: Act<R>): Promise<R | AsleepReply> {
  return new Promise((resolve, reject) => {
    const to: Settler = { resolve: (reply) => resolve(reply as R), reject };
    const job: Job = { run: (live) => perform(host, session, live, work, to, job), reject };
    host.turns.do(session, job);
  });
}

function perform(host: Host, session: Session, live: Live, work: Act, to: Settler, job: Job): void {
  requireWritable(session);
  const input = work.input(live, session);
  host.requireMemory(input.type);
  if (input.type === "program") refuseUnfit(input, work);
  const fed = feed(host, session, live, input);
  if (fed === null) {
    session.queue.unshift(job);
    host.turns.add(session);
    return;
  }
  const { refusal } = fed.output;
  if (refusal !== undefined) {
    // What is malformed is told before what is only not possible now.
    if (refusal.refused === "busy") refuseUnfit(input, work);
    host.journal.answer(session, to, problemReply(refusalProblem(placed(refusal, work)), work.request.id));
    return;
  }
  const { callId, pid } = input as { callId?: string; pid?: number };
  const answer = callId === undefined ? (fed.output.answer ?? null) : finalAnswer(fed.output, callId);
  if (callId !== undefined && answer === null) hold(host, session, live, work, to, { callId, pid: pid ?? fed.output.pid ?? 0, fed });
  else settle(host, session, live, work, to, { answer, text: textOf(fed, answer), output: fed.output, live });
}

function refuseUnfit(input: InputBody, work: Act): void {
  const refusal = prepare({ ...input, atNs: 0 });
  if (refusal !== null) throw refusalProblem(placed(refusal, work));
}

/** The refusal with the paths of the caller's own body. */
function placed(refusal: Refusal, { argsPath }: Act): Refusal {
  if (argsPath === undefined || !("errors" in refusal) || refusal.errors === undefined) return refusal;
  return { ...refusal, errors: refusal.errors.map(({ path, message }) => ({ path: path.replace(/^\/args/, argsPath), message })) };
}

/** The answer of a call that is over; null while it sleeps or works. */
function finalAnswer(output: Output, callId: string): CallAnswer | null {
  if (output.answer !== undefined && output.answer.state !== "sleeping") return output.answer;
  return output.ended.find((end) => end.callId === callId)?.answer ?? null;
}

function textOf(fed: Fed, answer: CallAnswer | null): string {
  return answer === fed.output.answer ? fed.answerText : JSON.stringify(answer);
}

function settle(host: Host, session: Session, live: Live, work: Act, to: Settler, done: Done): void {
  const reply = replyOf(() => work.reply(within(done)), work.request.id);
  const unit = host.journal.unit(session);
  keep(unit, work.request.ticket, reply, { sessionId: session.id, seq: live.seq });
  unit.answer(to, reply);
}

/** @throws Problem 429 where a call was interrupted because as many sleep as may */
function within(done: Done): Done {
  if (done.answer !== null && "limited" in done.answer) throw tooMany(`A session has at most ${LIMITS.sleepingCalls} sleeping calls; this one would have slept, and has done nothing.`, 1);
  return done;
}

function hold(
  host: Host, session: Session, live: Live, work: Act, to: Settler, { callId, pid, fed }: { callId: string; pid: number; fed: Fed },
): void {
  const { ticket, id, waitMs } = work.request;
  const asleep = (answer: CallAnswer): Reply => sleepingReply(session.id, answer);
  const present: CallAnswer = fed.output.answer ?? { state: "sleeping", pid, callId, wchan: "0" };
  keep(host.journal.unit(session), ticket, asleep(present), { sessionId: session.id, seq: live.seq }, callId);
  holdRequest(host, session, {
    callId, pid, to, requestId: id, asleep, timer: null, keeps: ticket !== null, answered: false,
    ended(answer) {
      const reply = endReply(work, answer, live);
      keep(host.journal.unit(session), ticket, reply, { sessionId: session.id, seq: live.seq }, callId);
      return reply;
    },
  }, waitMs);
}

/** The reply to a call that ended after its request had to wait. */
function endReply(work: Act, answer: CallAnswer, live: Live): Reply {
  return replyOf(() => work.reply(within({ answer, text: JSON.stringify(answer), output: null, live })), work.request.id);
}

/** How the call stands that the same request made before. @throws CallForgotten */
export function tellAgain<R extends Reply>(host: Host, session: Session, work: Act<R>, callId: string): Promise<R | AsleepReply> {
  return look(host, session, (kernel, live) => {
    const record = callRecord(kernel, callId);
    if (record === null) return null;
    return record.answer.state === "sleeping" ? sleepingReply(session.id, record.answer) : (endReply(work, record.answer, live) as R);
  }).then((reply) => {
    if (reply === null) throw new CallForgotten();
    return reply;
  });
}

export function sleepingReply(sessionId: string, answer: CallAnswer): AsleepReply {
  const asleep = answer as AsleepReply["json"];
  const { callId } = asleep;
  return { status: 202, json: asleep, headers: { Location: `/v1/sessions/${sessionId}/calls/${callId}` } };
}

/**
 * Looks at a kernel: a real clock is moved first. Resolves when what was seen is kept.
 * @param read must not change anything; may refuse with a Problem
 */
export function look<T>(host: Host, session: Session, read: (kernel: Kernel, live: Live) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    host.turns.do(session, {
      run(live) {
        moveClock(host, session, live);
        let settled: () => void;
        try {
          const seen = read(live.kernel, live);
          settled = () => resolve(seen);
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          settled = () => reject(error);
        }
        afterCommit(host, session, settled, reject);
      },
      reject,
    });
  });
}

/** Calls `then` when all that the session appended so far is kept. */
export function afterCommit(host: Host, session: Session, then: () => void, failed: (problem: Problem) => void): void {
  host.journal.answer(session, { resolve: then, reject: failed }, { status: 200 });
}
