/** The one place that feeds a kernel: an input goes in, its row is appended, and what happened is told to whom it concerns. */
import { LIMITS } from "../limits.ts";
import { armTimer, hostNs, timeOfInput } from "./clock.ts";
import { handle, type Input, type KernelEvent, type Output } from "./core.ts";
import { endWaiters } from "./held.ts";
import type { Host } from "./host.ts";
import { answeredOf, callOf, hashAnswer, joinMove, rowText, type Move } from "./rows.ts";
import type { Live, Session } from "./session.ts";

/** An input before its time is known. */
export type InputBody = Input extends infer I ? (I extends { atNs: number } ? Omit<I, "atNs"> : never) : never;

/** A slice should take so long, in milliseconds of host time; then others have their turn. */
const SLICE_MS = 8;
/** Steps of a slice: what the session's steps were seen to take says how many. A cut row tells its own. */
const SLICE_STEPS = { min: 16, max: 16_384 };
/** Moves that wait for a row: above, they get it without anybody asking. */
const MOVES_WAITING = 64;
const EVENTS_WAITING = 1_000;

/** The core threw: a bug of ours. The kernel in memory is worth nothing now. */
export class CoreFailure extends Error {
  /** What was being done, without its time: the same work again will throw again. */
  readonly work: string;

  constructor(input: Input, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    const { atNs: _atNs, ...rest } = input as Input & { callId?: string };
    delete rest.callId;
    this.work = rest.type === "advance" || rest.type === "run" ? "clock" : JSON.stringify(rest).slice(0, 4_096);
  }
}

export interface Fed {
  output: Output;
  /** JSON of `output.answer`, "" for none: it is hashed, and sent as it is. */
  answerText: string;
}

interface Given {
  output: Output;
  /** The budget that cut the input off; null when it is done. */
  cutBy: number | null;
}

function give(live: Live, input: Input): Given {
  const budget = live.sliceSteps;
  const began = performance.now();
  let output: Output;
  try {
    output = handle(live.kernel, input, budget);
  } catch (error) {
    throw new CoreFailure(input, error);
  }
  const took = performance.now() - began;
  // By halves and doubles: one slow slice is a busy machine, several are slow steps.
  if (took > SLICE_MS && budget > SLICE_STEPS.min) live.sliceSteps = Math.max(SLICE_STEPS.min, budget / 2);
  else if (output.more && took < SLICE_MS / 2) live.sliceSteps = Math.min(SLICE_STEPS.max, budget * 2);
  return { output, cutBy: output.more ? budget : null };
}

/**
 * Feeds one input at the present time. Null: the clock must arrive first, which takes slices; then it is to be fed again.
 * A refused input leaves no row, only the clock's move.
 * @throws CoreFailure
 */
export function feed(host: Host, session: Session, live: Live, body: InputBody): Fed | null {
  const beforeNs = live.nowNs;
  const arrivedNs = hostNs();
  const input = body as Input;
  input.atNs = timeOfInput(live, arrivedNs);
  const { output, cutBy } = give(live, input);
  live.hostNs = arrivedNs;
  live.atNs = input.atNs;
  if (output.deferred === true || output.refusal !== undefined) {
    if (input.atNs > beforeNs) {
      const given = output.deferred === true ? { output, cutBy } : { output: arrive(live, output), cutBy: null };
      afterMove(host, session, live, moveTo(beforeNs, input.atNs), given);
    }
    if (output.deferred !== true) return { output, answerText: "" };
    live.deferred = true;
    return null;
  }
  const answerText = output.answer === undefined ? "" : JSON.stringify(output.answer);
  host.journal.closeMoves(session);
  const text = rowText(input, cutBy);
  host.journal.row(session, live, text, hashAnswer(answeredOf(output, answerText), callOf(input)));
  tell(host, session, live, output, live.seq, 0);
  after(host, session, live, output);
  return { output, answerText };
}

/** Moves a virtual clock by `byNs`; for a kernel with nothing left to do. */
export function advance(host: Host, session: Session, live: Live, byNs: number): void {
  const move = moveTo(live.nowNs, live.nowNs + byNs);
  const given = give(live, move);
  live.atNs = move.atNs + byNs;
  afterMove(host, session, live, move, given);
}

/** Moves a real clock to the present; a row comes with the next commit. */
export function moveClock(host: Host, session: Session, live: Live): void {
  // A move that is under way is finished by slices first.
  if (live.more || session.record.readOnlyReason !== null) return;
  const arrivedNs = hostNs();
  const toNs = timeOfInput(live, arrivedNs);
  if (toNs <= live.nowNs) return;
  const move = moveTo(live.nowNs, toNs);
  const given = give(live, move);
  live.hostNs = arrivedNs;
  live.atNs = toNs;
  afterMove(host, session, live, move, given);
}

/** Goes on where a budget cut off. */
export function slice(host: Host, session: Session, live: Live): void {
  const input: Input = { type: "run", atNs: live.atNs };
  const { output, cutBy } = give(live, input);
  host.journal.closeMoves(session);
  host.journal.row(session, live, rowText(input, cutBy), hashAnswer(answeredOf(output, ""), undefined));
  tell(host, session, live, output, live.seq, 0);
  after(host, session, live, output);
}

function moveTo(fromNs: number, toNs: number): Move {
  return { type: "advance", atNs: fromNs, byNs: toNs - fromNs };
}

/** A refused input has moved the clock, and what follows a move has not been done. */
function arrive(live: Live, output: Output): Output {
  const all: Output = { ended: output.ended, events: output.events, nowNs: output.nowNs, more: true };
  while (all.more) {
    const { ended, events, nowNs, more } = give(live, { type: "run", atNs: live.atNs }).output;
    all.ended.push(...ended);
    all.events.push(...events);
    all.nowNs = nowNs;
    all.more = more;
  }
  return all;
}

function afterMove(host: Host, session: Session, live: Live, move: Move, { output, cutBy }: Given): void {
  const { journal } = host;
  if (cutBy !== null) {
    journal.closeMoves(session);
    journal.row(session, live, rowText(move, cutBy), hashAnswer(answeredOf(output, ""), undefined));
    tell(host, session, live, output, live.seq, 0);
  } else {
    const last = live.moves.at(-1);
    const index = last?.events.length ?? 0;
    const joined = joinMove(last, move, output);
    if (!joined) live.moves.push({ input: move, ended: [...output.ended], events: [...output.events], nowNs: output.nowNs });
    tell(host, session, live, output, live.seq + live.moves.length, joined ? index : 0);
    if (live.moves.length > MOVES_WAITING || index > EVENTS_WAITING) journal.closeMoves(session);
  }
  after(host, session, live, output);
}

/** Events to the ring, ends to those who wait for them. */
function tell(host: Host, session: Session, live: Live, output: Output, seq: number, firstIndex: number): void {
  if (output.events.length > 0) ring(live, output.events, seq, firstIndex);
  if (output.ended.length > 0 && session.waiters.size > 0) endWaiters(host, session, output.ended);
}

function ring(live: Live, events: KernelEvent[], seq: number, firstIndex: number): void {
  events.forEach(({ event, data }, at) => live.events.push({ seq, index: firstIndex + at, event, data: JSON.stringify(data) }));
  if (live.events.length > 2 * LIMITS.events) {
    const dropped = live.events.splice(0, live.events.length - LIMITS.events);
    live.ringStart = dropped.at(-1)!;
  }
}

function after(host: Host, session: Session, live: Live, output: Output): void {
  live.nowNs = output.nowNs;
  live.more = output.more;
  if (!output.more) live.deferred = false;
  if (output.more) host.turns.add(session);
  else {
    armTimer(live, () => host.timerDue(session));
    if (session.waiters.size > 0) host.quiet(session);
    if (session.afterMove.length > 0) {
      session.queue.unshift(...session.afterMove.splice(0));
      host.turns.add(session);
    }
  }
  if (session.streams.size > 0) host.streamsMayHaveNews(session);
}
