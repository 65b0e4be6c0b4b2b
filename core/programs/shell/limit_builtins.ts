/** umask and ulimit. */
import { errnoMessage } from "../../abi/errno.ts";
import { getU64, putU64 } from "../../lib/bytes.ts";
import { enter, to } from "../../sched/steps.ts";
import { applyMode } from "../mode.ts";
import type { Proc } from "../proc.ts";
import { builtin } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { ShellProblem } from "./state.ts";

// Limits.

interface UmaskLocals {
  /** A mode to set; "" to show the present one. */
  word: string;
  symbolic: boolean;
  mask: number;
}

const umaskSteps = shellSteps<UmaskLocals>("sh.umask", {
  ask: (p) => p.sys("umask", 0),
  set: (p, l) => {
    l.mask = p.ret;
    if (l.word === "") return p.sys("umask", l.mask);
    // An octal number is what is taken away, letters are what is left.
    const wanted = /^[0-7]+$/.test(l.word) ? Number.parseInt(l.word, 8) & 0o777 : ~(applyMode(l.word, ~l.mask & 0o777, false) ?? 0) & 0o777;
    return p.sys("umask", wanted);
  },
  show: (p, { word, symbolic, mask }) => {
    if (word !== "") return 0;
    const left = (shift: number): string => [..."rwx"].filter((_letter, at) => ((mask >> shift) & (4 >> at)) === 0).join("");
    p.out(symbolic ? `u=${left(6)},g=${left(3)},o=${left(0)}\n` : `${mask.toString(8).padStart(4, "0")}\n`);
    return 0;
  },
});

builtin("umask", (_p, _sh, args) => {
  const symbolic = args[0] === "-S";
  const [word = ""] = symbolic ? args.slice(1) : args;
  if (word !== "" && !/^[0-7]{1,4}$/.test(word) && (/^[0-7]/.test(word) || applyMode(word, 0, false) === undefined)) throw new ShellProblem(`Illegal mode: ${word}`);
  return enter(umaskSteps, { word, symbolic, mask: 0 });
});

/** Letter, resource number, unit, and how ulimit -a calls it. */
const LIMITS: [letter: string, resource: number, unit: number, text: string][] = [
  ["c", 4, 512, "core file size (blocks)"], ["d", 2, 1024, "data seg size (kb)"], ["e", 13, 1, "scheduling priority"], ["f", 1, 512, "file size (blocks)"],
  ["i", 11, 1, "pending signals"], ["l", 8, 1024, "max locked memory (kb)"], ["m", 5, 1024, "max memory size (kb)"], ["n", 7, 1, "open files"],
  ["q", 12, 1, "POSIX message queues (bytes)"], ["r", 14, 1, "real-time priority"], ["s", 3, 1024, "stack size (kb)"], ["t", 0, 1, "cpu time (seconds)"],
  ["u", 6, 1, "max user processes"], ["v", 9, 1024, "virtual memory (kb)"], ["x", 10, 1, "file locks"],
];
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

interface UlimitLocals {
  letters: string[];
  next: number;
  hard: boolean;
  soft: boolean;
  value: string;
  headings: boolean;
}

const ulimitSteps = shellSteps<UlimitLocals>("sh.ulimit", {
  next: (p, l) => {
    const row = LIMITS.find(([letter]) => letter === l.letters[l.next]);
    return row === undefined ? 0 : p.sys("prlimit64", 0, row[1], 0, { room: 16 });
  },
  got: (p, l) => {
    const [letter, resource, unit, text] = LIMITS.find(([one]) => one === l.letters[l.next]) ?? LIMITS[0];
    const bytes = p.took(16);
    const now = getU64(bytes, l.hard && !l.soft ? 8 : 0);
    if (l.value !== "") {
      const set = new Uint8Array(bytes);
      const value = l.value === "unlimited" ? UNLIMITED : BigInt(l.value) * BigInt(unit);
      if (l.soft) putU64(set, 0, value);
      if (l.hard) putU64(set, 8, value);
      return p.sys("prlimit64", 0, resource, set, 0);
    }
    const shown = BigInt(now) === UNLIMITED ? "unlimited" : String(BigInt(now) / BigInt(unit));
    p.out(l.headings ? `${text.padEnd(32)}(-${letter}) ${shown}\n` : `${shown}\n`);
    l.next++;
    return to("next");
  },
  set: (p) => {
    if (p.ret >= 0) return 0;
    complain(p as Proc, `ulimit: error setting limit: ${errnoMessage(-p.ret)}`);
    return 1;
  },
});

builtin("ulimit", (p, _sh, args) => {
  const letters = args.filter((word) => word.startsWith("-")).join("").replaceAll("-", "");
  const value = args.find((word) => !word.startsWith("-")) ?? "";
  if (value !== "" && !/^([0-9]{1,18}|unlimited)$/.test(value)) throw new ShellProblem(`ulimit: bad number`);
  const wanted = [...letters].filter((letter) => LIMITS.some(([one]) => one === letter));
  const odd = [...letters].find((letter) => !"aHS".includes(letter) && !LIMITS.some(([one]) => one === letter));
  if (odd !== undefined) {
    complain(p, `ulimit: illegal option -${odd}`);
    return 2;
  }
  const [hard, soft] = [letters.includes("H"), letters.includes("S")];
  return enter(ulimitSteps, {
    letters: letters.includes("a") ? LIMITS.map(([letter]) => letter) : wanted.length === 0 ? ["f"] : wanted, next: 0,
    hard: hard || (value !== "" && !soft), soft: soft || !hard, value, headings: letters.includes("a"),
  });
});

