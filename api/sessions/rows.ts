/** Journal rows: an input as text, a hash of what it answered, and clock moves that share a row. */
import { hash } from "node:crypto";
import type { EndedCall, Input, KernelEvent, Output } from "./core.ts";

export type Move = Extract<Input, { type: "advance" }>;

/** Clock moves that followed one another, as the one move that they are. */
export interface PendingMove {
  input: Move;
  ended: EndedCall[];
  events: KernelEvent[];
  nowNs: number;
}

/** What of an Output a row vouches for. */
export interface Answered {
  answerText: string;
  pid?: number | undefined;
  ended: EndedCall[];
  events: KernelEvent[];
  nowNs: number;
  more: boolean;
}

/**
 * The text of a row. An input that a budget cut off carries the budget, so that replay cuts it off at the same step; all
 * others are replayed to their end, however they were sliced.
 */
export function rowText(input: Input, cutBy: number | null): string {
  const text = JSON.stringify(input);
  return cutBy === null ? text : `{"budget":${cutBy},${text.slice(1)}`;
}

export function readRow(text: string): { input: Input | RestoreRow | BootRow; budget: number } {
  const { budget, ...input } = JSON.parse(text) as { budget?: number } & (Input | RestoreRow | BootRow);
  return { input: input as Input | RestoreRow | BootRow, budget: budget ?? Infinity };
}

/** The row at which a snapshot took the kernel's place; its state is the snapshot with the same seq. */
export interface RestoreRow {
  type: "restore";
  snapshot: string;
}

/** The row that begins a journal. */
export type BootRow = { type: "boot" } & Record<string, unknown>;

/** The call that an input names; its end stands in the input's own answer already. */
export function callOf(input: object): string | undefined {
  return "callId" in input ? String(input.callId) : undefined;
}

export function hashAnswer(answered: Answered, callId: string | undefined): string {
  const { answerText, pid, ended, events, nowNs, more } = answered;
  const own = answerText === "" ? undefined : callId;
  const others = ended.length === 0 ? "" : JSON.stringify(ended.map((call) => (call.callId === own ? own : call)));
  const told = events.length === 0 ? "" : JSON.stringify(events);
  return hash("sha256", `${nowNs} ${more} ${pid} ${answerText}\n${others}\n${told}`, "base64url").slice(0, 22);
}

export function answeredOf(output: Output, answerText: string): Answered {
  return { answerText, pid: output.pid, ended: output.ended, events: output.events, nowNs: output.nowNs, more: output.more };
}

/**
 * Joins a move to the one before, when that is what it would have been: advance to a, then to b, is advance to b. Not where
 * work went beyond a by itself, since that was allowed as far as a's move let it. False: it needs a row of its own.
 */
export function joinMove(before: PendingMove | undefined, input: Move, output: Output): boolean {
  if (before === undefined || before.nowNs !== before.input.atNs + before.input.byNs) return false;
  before.input = { type: "advance", atNs: before.input.atNs, byNs: input.atNs + input.byNs - before.input.atNs };
  before.ended.push(...output.ended);
  before.events.push(...output.events);
  before.nowNs = output.nowNs;
  return true;
}

export function moveRow(move: PendingMove): { input: string; outputHash: string } {
  const answered = { answerText: "", ended: move.ended, events: move.events, nowNs: move.nowNs, more: false };
  return { input: rowText(move.input, null), outputHash: hashAnswer(answered, undefined) };
}
