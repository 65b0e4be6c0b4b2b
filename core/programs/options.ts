/** Options as getopt(3) reads them. */

export interface Options {
  /** Letters given, with their values ("" for those that take none); of several, the last. */
  has: { [letter: string]: string };
  /** Every option in its order. */
  all: [letter: string, value: string][];
  rest: string[];
  /** The message of getopt about the first bad option, "" when all are good. */
  problem: string;
}

/** How long options are told: the letter that each stands for. */
export type Long = { [name: string]: string };

/**
 * Reads options: `letters` as getopt has them, a colon after those that take a value. Options and operands mix, unless
 * `letters` begins with "+"; "--" ends the options.
 */
export function getopt(args: readonly string[], letters: string, long: Long = {}): Options {
  const options: Options = { has: {}, all: [], rest: [], problem: "" };
  const ordered = letters.startsWith("+");
  const take = (letter: string, value: string): void => {
    options.has[letter] = value;
    options.all.push([letter, value]);
  };
  for (let at = 0; at < args.length; at++) {
    const word = args[at];
    if (word === "--") {
      options.rest.push(...args.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      if (ordered) {
        options.rest.push(...args.slice(at));
        break;
      }
      options.rest.push(word);
    } else if (word.startsWith("--")) {
      const [name, ...value] = word.slice(2).split("=");
      const letter = Object.hasOwn(long, name) ? long[name] : undefined;
      if (letter === undefined) options.problem ||= `unrecognized option '${word}'`;
      else if (value.length > 0) take(letter, value.join("="));
      else take(letter, letters.includes(`${letter}:`) && at + 1 < args.length ? args[++at] : "");
    } else {
      for (let index = 1; index < word.length; index++) {
        const letter = word[index];
        const known = letter === ":" || letter === "+" ? -1 : letters.indexOf(letter);
        if (known < 0) {
          options.problem ||= `invalid option -- '${letter}'`;
        } else if (letters[known + 1] !== ":") {
          take(letter, "");
        } else {
          if (index + 1 < word.length) take(letter, word.slice(index + 1));
          else if (at + 1 < args.length) take(letter, args[++at]);
          else options.problem ||= `option requires an argument -- '${letter}'`;
          break;
        }
      }
    }
  }
  return options;
}

/** A count or size as tools take it: decimal digits and perhaps a letter of `units`; undefined for anything else. */
export function readCount(text: string, units: { [suffix: string]: number } = {}): number | undefined {
  const match = /^([0-9]{1,16})([A-Za-z]*)$/.exec(text);
  if (match === null) return undefined;
  const unit = match[2] === "" ? 1 : units[match[2]];
  return unit === undefined ? undefined : Number(match[1]) * unit;
}

export const UNITS: { [suffix: string]: number } = {
  c: 1, w: 2, b: 512, k: 1024, K: 1024, kB: 1000, M: 1 << 20, m: 1 << 20, MB: 1_000_000, G: 1 << 30, GB: 1_000_000_000,
};
