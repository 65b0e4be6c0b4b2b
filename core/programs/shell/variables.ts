/** Variables as a shell reads them again. */
import type { ShellLocals } from "./state.ts";

/** In single quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Those that are wanted, a line each, by name. */
export function names(sh: ShellLocals, wanted: (sh: ShellLocals, name: string) => boolean, prefix: string): string {
  const found = [...sh.variables.keys()].filter((name) => wanted(sh, name)).sort();
  return found.map((name) => `${prefix}${name}=${quoted(sh.variables.get(name)?.value ?? "")}\n`).join("");
}
