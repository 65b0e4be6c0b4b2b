/** getopts: the options of a script or a function, one a call. */
import { builtin } from "./builtin.ts";
import { assign, ShellProblem, unset, type ShellLocals } from "./state.ts";

/** The next option's letter and value; null where there is none any more. `complaint` is what the shell says of it. */
interface Found {
  letter: string;
  value: string | null;
  complaint: string;
}

function next(sh: ShellLocals, spec: string, args: readonly string[]): Found | null {
  const silent = spec.startsWith(":");
  const place = sh.getopts;
  let word = args[place.word - 2] as string | undefined;
  if (place.letter === 0 || word === undefined || place.letter >= word.length) {
    word = args[place.word - 1] as string | undefined;
    if (word === undefined || !/^-./s.test(word)) return null;
    place.word++;
    place.letter = 1;
    if (word === "--") {
      place.letter = 0;
      return null;
    }
  }
  const letter = word[place.letter++];
  const at = letter === ":" ? -1 : spec.indexOf(letter);
  if (at < 0) return silent ? { letter: "?", value: letter, complaint: "" } : { letter: "?", value: null, complaint: `Illegal option -${letter}\n` };
  if (spec[at + 1] !== ":") return { letter, value: "", complaint: "" };
  const rest = word.slice(place.letter);
  place.letter = 0;
  if (rest !== "") return { letter, value: rest, complaint: "" };
  const value = args[place.word - 1] as string | undefined;
  if (value === undefined) return silent ? { letter: ":", value: letter, complaint: "" } : { letter: "?", value: null, complaint: `No arg for -${letter} option\n` };
  place.word++;
  return { letter, value, complaint: "" };
}

builtin("getopts", (p, sh, [spec, name, ...args]) => {
  if (name === undefined) throw new ShellProblem("getopts: usage: getopts optstring var [arg]");
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new ShellProblem(`getopts: ${name}: bad variable name`);
  const found = next(sh, spec, args.length > 0 ? args : sh.params);
  const { word, letter } = sh.getopts;
  if (found !== null && found.value !== null) assign(sh, "OPTARG", found.value);
  else if (found !== null) unset(sh, "OPTARG");
  p.err(found?.complaint ?? "");
  assign(sh, "OPTIND", String(word));
  sh.getopts = { word, letter };
  assign(sh, name, found?.letter ?? "?");
  return found === null ? 1 : 0;
});
