/** Kernel code that may sleep: tables of named steps over plain-data frames. */
import { assert, fail, must } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "./task.ts";
import { beginSleep, interruptedBy, sleepForbidden, type SleepAction } from "./wait_queue.ts";
import { beginBurst, inBurst } from "./burst.ts";
import { charge, costs } from "./cost.ts";
import { ioSchedule } from "./io.ts";
import { scheduleBug } from "./preempt.ts";

/** One activation of a step table. Plain data: it survives snapshots, forks of the session and restarts. */
export interface Frame<L = unknown> {
  code: string;
  step: string;
  locals: L;
  /** What the frame that this one entered answered. */
  ret: number | bigint;
}

interface NextAction { act: "next" }
interface ToAction { act: "to"; step: string }
interface RunAction { act: "run"; ns: number }
interface ExitAction { act: "exit" }
export interface EnterAction { act: "enter"; code: string; locals: unknown }

export type Action = NextAction | ToAction | RunAction | EnterAction | ExitAction | SleepAction;
/** A number ends the frame; -4095 … -1 is an errno. */
export type StepResult = number | bigint | Action;
/** What a system call or a file operation answers: a number, or a sleep, or nested code that will answer. */
export type SyscallResult = number | bigint | SleepAction | EnterAction;

// A frame's locals are known to its own table only; the registry holds tables of every kind.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Step<L = any> = (k: Kernel, task: Task, frame: Frame<L>) => StepResult;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Undo<L = any> = (k: Kernel, task: Task, frame: Frame<L>) => void;

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface StepTable<L = any> {
  name: string;
  steps: Map<string, TableStep<L>>;
  /** Step names in order. */
  order: string[];
}

/** A step with its place in its table. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
interface TableStep<L = any> {
  run: Step<L>;
  /** Where NEXT goes; null from the last one. */
  next: string | null;
  undo: Undo<L> | null;
}

export const stepTables = new Map<string, StepTable>();

/** Go on with the following step; from the last one, the frame ends with 0. */
export const NEXT: NextAction = { act: "next" };

export function to(step: string): ToAction {
  return { act: "to", step };
}

/** A CPU burst of `ns`: the task holds its CPU for that time, then the following step runs. */
export function run(ns: number): RunAction {
  return { act: "run", ns };
}

/** The task is over: its frames vanish. Only the end of exit answers this. */
export const EXIT: ExitAction = { act: "exit" };

/** Runs another table first; its number is `frame.ret` of the step after the one that answers this. */
export function enter<L>(table: StepTable<L>, locals: L): EnterAction {
  return { act: "enter", code: table.name, locals };
}

/** Code that somebody's answer entered, put aside in a frame's locals until a step enters it; "" for none. */
export interface Kept {
  code: string;
  inner: unknown;
}

/** Enters what was put aside; its locals are the new frame's alone from then on. */
export function enterKept(kept: Kept): EnterAction {
  const { code, inner } = kept;
  kept.code = "";
  kept.inner = null;
  return { act: "enter", code, locals: inner };
}

/**
 * Defines code that may sleep and registers it under `name`, which frames carry. Steps run in the order written.
 * `undo` of the step that a frame stands in runs once when the frame ends, however it ends; it never sleeps.
 */
export function steps<L>(
  name: string,
  table: { [step: string]: Step<L> },
  { undo = {} }: { undo?: { [step: string]: Undo<L> } } = {},
): StepTable<L> {
  assert(!stepTables.has(name), `two step tables named ${name}`);
  const order = Object.keys(table);
  const made: StepTable<L> = { name, steps: new Map(), order };
  order.forEach((step, at) => made.steps.set(step, { run: table[step], next: order[at + 1] ?? null, undo: undo[step] ?? null }));
  stepTables.set(name, made);
  return made;
}

export function pushFrame(task: Task, code: string, locals: unknown): Frame {
  const { order } = must(stepTables, code);
  const frame: Frame = { code, step: order[0], locals, ret: 0 };
  task.frames.push(frame);
  return frame;
}

/** Runs the step that the task's innermost frame stands in, and does what it answers. */
export function runStep(k: Kernel, task: Task): void {
  const frame = task.frames[task.frames.length - 1];
  const table = must(stepTables, frame.code);
  charge(k, costs(k).stepNs);
  const { step } = frame;
  let at = must(table.steps, step);
  const result = at.run(k, task, frame);
  // How the last sleep ended is for the step that slept alone.
  task.timedOut = false;
  // It may have gone on with another step by itself.
  if (frame.step !== step) at = must(table.steps, frame.step);
  applyResult(k, task, at, frame, result);
  if (k.turn.ioUntilNs !== 0) ioSchedule(k, task);
}

/** Does what a step of `frame`, the innermost one, answered. */
function applyResult(k: Kernel, task: Task, at: TableStep, frame: Frame, result: StepResult): void {
  if (typeof result !== "object") return endFrame(k, task, at, frame, result);
  if (result === NEXT) return advance(k, task, at, frame);
  switch (result.act) {
    case "next": return advance(k, task, at, frame);
    case "to": frame.step = result.step; return;
    case "run":
      if (!beginBurst(k, task, result.ns)) advance(k, task, at, frame);
      return;
    case "enter": pushFrame(task, result.code, result.locals); return;
    case "exit": task.frames.length = 0; return;
    case "sleep":
      if (task.preemptCount !== 0) scheduleBug(k, task);
      if (sleepForbidden(task, result)) return endFrame(k, task, at, frame, interruptedBy(result));
      beginSleep(k, task, result);
  }
}

/** A program that only computes takes its signals at once, as an interrupt returns to it; kernel code looks for itself. */
export function takesSignals({ kind, frames, signalPending }: Task): boolean {
  return signalPending && kind === "program" && !frames.some(({ code }) => code === "syscall" || code === "exit");
}

/** The burst of the innermost frame is over: the frame goes on. */
export function finishBurst(k: Kernel, task: Task): void {
  const { se, frames } = task;
  const frame = frames[se.burstFrame];
  // Frames above it, of a signal that came in between, end first.
  if (frame !== undefined && frame.code === se.burstCode && se.burstFrame < frames.length - 1) return;
  const ended = frame !== undefined && frame.code === se.burstCode;
  se.burstCode = "";
  if (!ended) return;
  if (takesSignals(task)) pushFrame(task, "signals", {});
  else advance(k, task, stepOf(frame), frame);
}

/** A signal comes in the middle of a burst: what is left of it goes on afterwards. */
export function interruptBurst(task: Task): void {
  pushFrame(task, "signals", {});
}

/** The step that a frame stands in. */
function stepOf({ code, step }: Frame): TableStep {
  return must(must(stepTables, code).steps, step);
}

function advance(k: Kernel, task: Task, at: TableStep, frame: Frame): void {
  if (at.next === null) endFrame(k, task, at, frame, 0);
  else frame.step = at.next;
}

function endFrame(k: Kernel, task: Task, { undo }: TableStep, frame: Frame, ret: number | bigint): void {
  if (undo !== null) undo(k, task, frame);
  if (task.frames[task.frames.length - 1] !== frame) fail(`undo of ${frame.code} left a frame`);
  task.frames.pop();
  const below = task.frames[task.frames.length - 1];
  if (below === undefined) return k.tables.hooks.taskReturned(k, task, ret);
  below.ret = ret;
  // One that computes was only interrupted.
  if (inBurst(task)) return;
  advance(k, task, stepOf(below), below);
}
