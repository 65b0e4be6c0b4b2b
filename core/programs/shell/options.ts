/** set: the shell's options, by letter and by name. */
import { builtin } from "./builtin.ts";
import { ShellProblem, type ShellLocals, type ShellOptions } from "./state.ts";
import { names } from "./variables.ts";

/** Differs from Linux: with `verbose` nothing is shown. */
const LETTERS: [option: keyof ShellOptions, letter: string][] = [
  ["errexit", "e"], ["noglob", "f"], ["noexec", "n"], ["xtrace", "x"], ["verbose", "v"], ["noclobber", "C"], ["allexport", "a"], ["nounset", "u"], ["pipefail", ""],
];

export function noOptions(): ShellOptions {
  return { errexit: false, noglob: false, noexec: false, xtrace: false, verbose: false, noclobber: false, allexport: false, nounset: false, pipefail: false };
}

/** $- */
export function optionLetters({ options, interactive }: ShellLocals): string {
  const letters = LETTERS.filter(([option]) => options[option]).map(([, letter]) => letter).join("");
  return interactive ? `${letters}i` : letters;
}

/** Switches one by its letter; false when there is none. */
export function switchLetter(options: ShellOptions, letter: string, on: boolean): boolean {
  const row = LETTERS.find(([, own]) => own === letter);
  if (row !== undefined) options[row[0]] = on;
  return row !== undefined;
}

/** Switches one by its name; false when there is none. */
export function switchNamed(options: ShellOptions, name: string, on: boolean): boolean {
  const row = LETTERS.find(([option]) => option === name);
  if (row !== undefined) options[row[0]] = on;
  return row !== undefined;
}

function shown({ options }: ShellLocals, on: boolean): string {
  if (!on) return LETTERS.map(([option]) => `set ${options[option] ? "-" : "+"}o ${option}\n`).join("");
  return `Current option settings\n${LETTERS.map(([option]) => `${option.padEnd(16)}${options[option] ? "on" : "off"}\n`).join("")}`;
}

function setParameters(sh: ShellLocals, params: string[]): void {
  sh.params = params;
  sh.getopts = { word: 1, letter: 0 };
}

builtin("set", (p, sh, args) => {
  if (args.length === 0) {
    p.out(names(sh, () => true, ""));
    return 0;
  }
  for (let at = 0; at < args.length; at++) {
    const word = args[at];
    if (word === "--" || word === "-") {
      if (word === "-") sh.options.xtrace = sh.options.verbose = false;
      if (word === "--" || at + 1 < args.length) setParameters(sh, args.slice(at + 1));
      return 0;
    }
    if (!/^[-+]./.test(word)) {
      setParameters(sh, args.slice(at));
      return 0;
    }
    const on = word.startsWith("-");
    for (const letter of word.slice(1)) {
      if (letter !== "o") {
        if (!switchLetter(sh.options, letter, on)) throw new ShellProblem(`set: illegal option ${word[0]}${letter}`);
        continue;
      }
      const name = args[++at] as string | undefined;
      if (name === undefined) p.out(shown(sh, on));
      else if (!switchNamed(sh.options, name, on)) throw new ShellProblem(`set: illegal option ${word[0]}o ${name}`);
    }
  }
  return 0;
});
