/** Observations of a recorded Linux 6.1 with kmod 30, as the tests of modules use them. */
import { readFileSync } from "node:fs";

export interface Observation {
  id: string;
  cmd: string;
  rc: number;
  stdout?: string;
  stderr?: string;
  /** Lines of strace. */
  syscalls?: string[];
  /** Level name and text. */
  dmesg?: [string, string][];
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`./data/${name}`, import.meta.url), "utf8"));

export const observations = read("recorded.json") as Observation[];
/** What modinfo printed, by module. */
export const recordedModinfo = read("modinfo.json") as Record<string, string>;

export function observation(id: string): Observation {
  const found = observations.find((one) => one.id === id);
  if (found === undefined) throw new Error(`nothing was recorded as ${id}`);
  return found;
}

/** What a finit_module of strace was given and answered; the parameters come from the command where strace cut them. */
export function finitModule({ cmd, syscalls = [] }: Observation): { params: string; ret: number; errno: string | null } {
  const line = syscalls.find((one) => one.startsWith("finit_module("));
  const parts = /^finit_module\(3, "((?:[^"\\]|\\.)*)"(\.\.\.)?, [^)]*\) *= (-?[0-9]+)(?: ([A-Z]+))?/.exec(line ?? "");
  if (parts === null) throw new Error(`no finit_module in ${String(line)}`);
  const params = parts[2] === undefined ? parts[1].replaceAll('\\"', '"') : cmd.split(" ").slice(2).join(" ");
  return { params, ret: Number(parts[3]), errno: parts[4] ?? null };
}

const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

export const levelName = (level: number): string => LEVELS[level];
