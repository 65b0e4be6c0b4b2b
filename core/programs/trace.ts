/** What strace leaves with the programs that it watches: whom it began with, whether others are followed, which calls are told. */
import { groupOf, type Task } from "../sched/task.ts";
import type { Kernel } from "../kernel.ts";
import { nameBytes } from "../fs/names.ts";
import { quote } from "../syscalls/strace.ts";

export interface Trace {
  /** The process that strace began with. */
  pid: number;
  /** -f: its children, too. */
  follow: boolean;
  /** Calls that are told; none for all. */
  calls: string[];
}

const MARK = "_STRACE=";

/** A trace as it travels in the environment of what a watched program executes. */
export function traceMark({ pid, follow, calls }: Trace): string {
  return `${MARK}${pid}${follow ? "f" : ""}:${calls.join(",")}`;
}

/** The trace that an environment carries, null for none; and the environment without it. */
export function takeTrace(env: readonly string[]): { trace: Trace | null; env: string[] } {
  const mark = env.find((entry) => entry.startsWith(MARK));
  const [, pid, follow, calls = ""] = /^([0-9]+)(f?):(.*)$/.exec(mark?.slice(MARK.length) ?? "") ?? [];
  const trace = pid === undefined ? null : { pid: Number(pid), follow: follow === "f", calls: calls === "" ? [] : calls.split(",") };
  return { trace, env: env.filter((entry) => entry !== mark) };
}

/** Whether a process is watched: a copy that fork made is, where others are followed. */
export function isTraced(trace: Trace | null, { tgid }: Task): trace is Trace {
  return trace !== null && (trace.follow || trace.pid === tgid);
}

/** Whether it is told when a watched process makes a call. */
export function tells({ calls }: Trace, call: string): boolean {
  return calls.length === 0 || calls.includes(call);
}

/** A line about a process; of a child it begins with its pid. Differs from Linux: the first process never has its own. */
export function traceLine({ pid }: Trace, { tgid }: Task, call: string, result: string): string {
  return `${tgid === pid ? "" : `[pid ${String(tgid).padStart(5)}] `}${call.padEnd(39)} = ${result}\n`;
}

/** The call that made a program what it is, as it begins. */
export function execLine(k: Kernel, task: Task, trace: Trace, argv: string[], env: string[]): string {
  const words = (list: string[]): string => `[${list.map((word) => quote(nameBytes(word))).join(", ")}]`;
  return traceLine(trace, task, `execve(${quote(nameBytes(groupOf(k, task).exe))}, ${words(argv)}, ${words(env)})`, "0");
}

/** A line of execve without what strace put into the environment. */
export function withoutMark(line: string): string {
  return line.replace(/(, )?"_STRACE=[^"]*"/, "");
}
