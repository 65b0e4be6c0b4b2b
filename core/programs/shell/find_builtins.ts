/** Builtins about what a name stands for: type, command, hash. */
import { EACCES } from "../../abi/errno.ts";
import { enter, NEXT, to } from "../../sched/steps.ts";
import { DEFAULT_PATH, execvp } from "../files_lib.ts";
import type { Proc } from "../proc.ts";
import { builtin, builtinOf, SPECIAL } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { RESERVED } from "./parse.ts";
import { waitFor } from "./process.ts";
import { exported, shellOf, valueOf, type ShellLocals } from "./state.ts";

interface FindLocals {
  words: string[];
  next: number;
  places: string[];
  /** What is told of them: what they are, where they are, or nothing of what is there. */
  tells: "kind" | "place" | "nothing";
  status: number;
}

/** What a word is to the shell itself; "" where it looks along PATH. */
function kindOf(sh: ShellLocals, word: string): string {
  if (RESERVED.has(word)) return "a shell keyword";
  if (sh.functions.has(word)) return "a function";
  return builtinOf(word) === undefined ? "" : SPECIAL.has(word) ? "a special shell builtin" : "a shell builtin";
}

function tell(p: Proc<FindLocals>, l: FindLocals, kind: string, place: string): void {
  if (l.tells !== "nothing") p.out(l.tells === "kind" ? `${l.words[l.next]} is ${kind}\n` : `${place}\n`);
}

const findSteps = shellSteps<FindLocals>("sh.find", {
  word: (p, l) => {
    const sh = shellOf(p);
    const word = l.words[l.next];
    if (word === undefined) return l.status;
    const kind = kindOf(sh, word);
    if (kind !== "") {
      tell(p, l, kind, word);
      return to("again");
    }
    const path = valueOf(sh, "PATH") ?? DEFAULT_PATH;
    l.places = word.includes("/") ? [word] : path.split(":").map((directory) => `${directory}/${word}`);
    return NEXT;
  },
  place: (p, l) => (l.places.length === 0 ? to("absent") : p.sys("faccessat", -100, l.places[0], 1)),
  looked: (p, l) => {
    const place = l.places.shift() ?? "";
    if (p.ret < 0) return to("place");
    tell(p, l, place, place);
    return to("again");
  },
  absent: (p, l) => {
    if (l.tells === "kind") p.out(`${l.words[l.next]}: not found\n`);
    if (l.tells === "nothing") complain(p as Proc, `hash: ${l.words[l.next]}: not found`);
    l.status = l.tells === "nothing" ? 1 : 127;
    return NEXT;
  },
  again: (_p, l) => {
    l.next++;
    return to("word");
  },
});

builtin("type", (_p, _sh, args) => enter(findSteps, { words: args, next: 0, places: [], tells: "kind", status: 0 }));

// Where programs lie is not remembered: there is nothing to show, and nothing to forget.
builtin("hash", (_p, _sh, args) => enter(findSteps, { words: args.filter((word) => word !== "-r"), next: 0, places: [], tells: "nothing", status: 0 }));

const commandSteps = shellSteps<{ argv: string[]; pid: number }>("sh.command", {
  fork: (p) => p.sys("fork"),
  forked: (p, l) => {
    l.pid = p.ret;
    return p.ret === 0 ? execvp(p as Proc, l.argv, exported(shellOf(p))) : to("wait");
  },
  failed: (p, { argv }) => {
    complain(p as Proc, `${argv[0]}: ${p.ret === -EACCES ? "Permission denied" : "not found"}`);
    return NEXT;
  },
  leave: (p) => p.sys("exit_group", 127),
  wait: (_p, { pid }) => (pid < 0 ? 2 : waitFor([pid])),
  end: (p) => p.ret,
});

builtin("command", (p, sh, args) => {
  if (args[0] === "-v" || args[0] === "-V") return enter(findSteps, { words: args.slice(1), next: 0, places: [], tells: args[0] === "-V" ? "kind" : "place", status: 0 });
  const argv = args[0] === "-p" || args[0] === "--" ? args.slice(1) : args;
  if (argv.length === 0) return 0;
  const own = builtinOf(argv[0]);
  return own === undefined ? enter(commandSteps, { argv, pid: 0 }) : own(p, sh, argv.slice(1));
});
