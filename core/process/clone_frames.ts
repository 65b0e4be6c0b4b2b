/** What a forked program goes on with: a copy of its parent's frames, behind the call that forked. */
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { enter, steps, stepTables, type Frame } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { exitGroup } from "./exit.ts";

/** A copy of plain data that shares nothing with it. */
export function copyPlain<T>(value: T): T;
export function copyPlain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copyPlain(item as unknown));
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [key as unknown, copyPlain(inner as unknown)]));
  if (ArrayBuffer.isView(value)) return (value as Uint8Array).slice();
  const copy: { [key: string]: unknown } = { ...value };
  for (const key in copy) if (typeof copy[key] === "object") copy[key] = copyPlain(copy[key]);
  return copy;
}

export interface ProgramLocals {
  code: string;
  locals: unknown;
}

/** The bottom of a process that runs a program without a caller who waits for its answer: by fork or by execve. */
export const programSteps = steps<ProgramLocals>("process.program", {
  run: (_k, _task, { locals }) => {
    const { code, locals: begun } = locals;
    locals.locals = null; // a record has one owner: from here on, the entered frame
    return enter(must(stepTables, code), begun);
  },
  end: (_k, task, frame) => {
    task.scratch = null;
    return exitGroup(Number(frame.ret) === 0 ? 0 : 1 << 8);
  },
});

/**
 * Gives the child the parent's frames, above all system-call code: its innermost frame goes on with the step after the one
 * that forked, and finds 0. A bottom frame whose end answers a caller is not copied; the child's ends the child. A thread's
 * stack is its own: nothing but the function that cloned lies on it.
 */
export function copyFrames(_k: Kernel, parent: Task, child: Task, thread: boolean): void {
  const all = parent.frames.filter(({ code }) => code !== "syscall");
  const frames = thread ? all.slice(-1) : all;
  child.frames = frames.map(({ code, step, locals, ret }, at): Frame => (at === 0 && code === "program.run"
    ? { code: programSteps.name, step: "run", locals: { code: "", locals: null } satisfies ProgramLocals, ret: 0 }
    : { code, step, locals: copyPlain(locals), ret }));
  const top = child.frames[child.frames.length - 1];
  if (top === undefined) return;
  const { order } = must(stepTables, top.code);
  top.step = order[order.indexOf(top.step) + 1];
  top.ret = 0;
}
