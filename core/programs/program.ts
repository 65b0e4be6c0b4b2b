/** Programs that the service runs as short-lived processes: step tables over real system calls, with stdout, stderr and a value. */
import { assert } from "../lib/assert.ts";
import { cstringEncode } from "../lib/bytes.ts";
import type { Json } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { exitGroup } from "../process/exit.ts";
import { enter, steps, type Frame, type StepResult, type StepTable } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import type { Block, Placed } from "../syscalls/args.ts";
import { endCall } from "../syscalls/driven.ts";
import { sys } from "../syscalls/enter.ts";
import { place } from "../syscalls/place.ts";

/** The bottom frame of such a process. */
export interface RunLocals {
  callId: string;
  /** The program's table; its locals are `{ args, …}` as its maker made them. */
  code: string;
  args: Json;
  value: Json;
  stdout: string;
  stderr: string;
  /** Further fields of the answer. */
  extra: { exit?: number; stdoutBytes?: string; stderrBytes?: string };
}

interface Program {
  /** From the caller's JSON to the first frame's locals, or a sentence that says what is wrong. */
  begin(args: { [name: string]: Json }): object | string;
  table: StepTable;
}

const programs = new Map<string, Program>();

/** Registers a program; its table's number is 0 or a negative errno, and becomes the exit status 0 or 1. */
export function program(name: string, table: StepTable, begin: Program["begin"]): void {
  assert(!programs.has(name), `two programs named ${name}`);
  programs.set(name, { table, begin });
}

/** The name of a program's table, or null when there is no such program. */
export function programOf(_k: Kernel, name: string): string | null {
  return programs.has(name) ? name : null;
}

/** What is wrong with a program's arguments, or null. */
export function checkProgram(name: string, args: Json): string | null {
  const found = programs.get(name);
  if (found === undefined) return `no program ${name}`;
  const locals = found.begin(args as { [name: string]: Json });
  return typeof locals === "string" ? locals : null;
}

steps<RunLocals>("program.run", {
  begin: (_k, _task, { locals }) => {
    const found = programs.get(locals.code);
    assert(found !== undefined, `no program ${locals.code}`);
    const begun = found.begin(locals.args as { [name: string]: Json });
    assert(typeof begun === "object", `${locals.code}: ${String(begun)}`);
    return enter(found.table, begun);
  },
  end: (k, task, { locals, ret }) => {
    const { callId, value, stdout, stderr, extra } = locals;
    task.scratch = null;
    endCall(k, task, callId, { state: "program", ret: Number(ret), value, stdout, stderr, ...extra }, locals.code === "command");
    locals.callId = ""; // it is answered: the process's end is not its answer too
    groupOf(k, task).created = true;
    return exitGroup(Number(ret) === 0 ? 0 : 1 << 8);
  },
});

/** The caller's id of the process's input, when a program runs in it. */
export function runLocals(task: Task): RunLocals | null {
  const bottom = task.frames[0];
  return bottom?.code === "program.run" ? (bottom.locals as RunLocals) : null;
}

/** Writes a line to the program's stderr. */
export function complain(task: Task, line: string): void {
  const locals = runLocals(task);
  if (locals !== null) locals.stderr += `${line}\n`;
}

export function setValue(task: Task, value: Json): void {
  const locals = runLocals(task);
  if (locals !== null) locals.value = value;
}

/** A C string argument. */
export function cstr(text: string): Block {
  return { bytes: cstringEncode(text) };
}

/** A program refers to nothing but its own frames. */
function noReference(): undefined {
  return undefined;
}

/** Makes a system call with buffers laid into the scratch area; the next step finds the result in `frame.ret`. */
export function sysWith(k: Kernel, task: Task, frame: Frame, name: string, placed: Placed[]): StepResult {
  const regs = place(task, placed, noReference, null);
  assert(regs !== undefined, `${name} with a reference`);
  return sys(k, task, frame, name, regs);
}

