/** /proc/sys: one number or text a file, some of which may be written (sysctl(8), proc_dointvec and proc_dostring). */
import { EINVAL } from "../../abi/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { kstrtoll } from "../../lib/kstrto.ts";
import type { Task } from "../../sched/task.ts";
import { procFile } from "./registry.ts";

export interface IntegerSysctl {
  /** Value as long as nobody has written one. */
  value: number | ((k: Kernel) => number);
  mode?: number;
  min?: number;
  max?: number;
  /** Keeps a value where its room looks for it; absent: it is kept here, for `sysctlValue`. 0 or an errno. */
  set?: (k: Kernel, value: number, writer: Task) => number;
}

const INT_MIN = -0x80000000;
const INT_MAX = 0x7fffffff;

/** A number that was written, or null. */
function written(k: Kernel, path: string): string | null {
  return k.state.drivers.sysctl.get(path) ?? null;
}

const initial = (k: Kernel, value: IntegerSysctl["value"]): number => (typeof value === "number" ? value : value(k));

const integers = new Map<string, IntegerSysctl>();

/** The file /proc/sys/PATH with one number; writable when its mode says so. */
export function sysctlInteger(path: string, row: IntegerSysctl): void {
  integers.set(path, row);
  const { mode = 0o644, min = INT_MIN, max = INT_MAX, set } = row;
  const write = (k: Kernel, writer: Task, text: string): number => {
    if (text === "") return 0;
    const value = firstNumber(text);
    if (value === null || value < min || value > max) return -EINVAL;
    if (set === undefined) k.state.drivers.sysctl.set(path, String(value));
    const result = set?.(k, value, writer) ?? 0;
    return result < 0 ? result : firstLength(text);
  };
  procFile(`sys/${path}`, (k) => `${sysctlValue(k, path)}\n`, { mode, ...((mode & 0o222) === 0 ? {} : { write }) });
}

/** The present number of a sysctl. */
export function sysctlValue(k: Kernel, path: string): number {
  const text = written(k, path);
  const row = integers.get(path);
  return text !== null ? Number(text) : row === undefined ? 0 : initial(k, row.value);
}

/** The first number of a text, as proc_dointvec reads it; null when there is none. */
export function firstNumber(text: string): number | null {
  const word = /^[ \t\n]*([^ \t\n\0]+)/.exec(text)?.[1];
  if (word === undefined) return null;
  const parsed = kstrtoll(word, 0);
  return "errno" in parsed ? null : Number(parsed.value);
}

/** Of such a text, the characters that were looked at: the number, and the blanks around it. */
const firstLength = (text: string): number => /^[ \t\n]*[^ \t\n\0]+[ \t\n]*/.exec(text)?.[0].length ?? 0;

/** The file /proc/sys/PATH with several numbers, tabs between them; a write may give the first few. `valid` looks at all as they would be. */
export function sysctlIntegers(
  path: string, values: readonly number[] | ((k: Kernel) => readonly number[]), mode = 0o444, valid: (next: number[]) => boolean = () => true,
): void {
  const current = (k: Kernel): readonly number[] =>
    written(k, path)?.split(" ").map(Number) ?? (typeof values === "function" ? values(k) : values);
  const write = (k: Kernel, _writer: Task, text: string): number => {
    const words = text.split(/[ \t\n\0]+/).filter((word) => word !== "");
    const next = [...current(k)];
    if (words.length === 0) return -EINVAL;
    for (const [at, word] of words.slice(0, next.length).entries()) {
      const parsed = kstrtoll(word, 0);
      if ("errno" in parsed || parsed.value < BigInt(INT_MIN) || parsed.value > BigInt(INT_MAX)) return -EINVAL;
      next[at] = Number(parsed.value);
    }
    if (!valid(next)) return -EINVAL;
    k.state.drivers.sysctl.set(path, next.join(" "));
    return text.length;
  };
  procFile(`sys/${path}`, (k) => `${current(k).join("\t")}\n`, { mode, ...((mode & 0o222) === 0 ? {} : { write }) });
}

/** The numbers of such a file as they are now. */
export function sysctlList(k: Kernel, path: string, values: readonly number[]): readonly number[] {
  return written(k, path)?.split(" ").map(Number) ?? values;
}

/** Sets such a file's numbers from within the kernel. */
export function sysctlSet(k: Kernel, path: string, values: readonly number[]): void {
  k.state.drivers.sysctl.set(path, values.join(" "));
}

/** The file /proc/sys/PATH with a text of at most `size` - 1 characters; what is written ends at a newline. */
export function sysctlText(
  path: string, text: (k: Kernel) => string, { set, size = 256 }: { set?: (k: Kernel, text: string) => void; size?: number } = {},
): void {
  const write = (k: Kernel, _writer: Task, given: string): number => {
    set?.(k, given.split(/[\n\0]/)[0].slice(0, size - 1));
    return given.length;
  };
  procFile(`sys/${path}`, (k) => `${text(k)}\n`, set === undefined ? { mode: 0o444 } : { mode: 0o644, write });
}
