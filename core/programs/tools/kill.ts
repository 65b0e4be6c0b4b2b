/** kill and killall. */
import { errnoMessage } from "../../abi/errno.ts";
import { signalName } from "../../abi/signal.ts";
import { to } from "../../sched/steps.ts";
import { signalOf } from "../shell/builtins.ts";
import { tool } from "../tool.ts";
import { blank, byName, gather, type PsLocals } from "./ps.ts";

/** The signal and the words behind it; a sentence for what is no signal. */
function readSignal(args: string[]): { signal: number; words: string[] } | string {
  const [first = ""] = args;
  if (!/^-[^-]/.test(first)) return { signal: 15, words: args.filter((word) => word !== "--") };
  const separate = first === "-s" || first === "-n";
  const name = separate ? (args[1] ?? "") : first.slice(1);
  const signal = signalOf(name);
  return signal < 0 ? `bad signal name '${name}'` : { signal, words: args.slice(separate ? 2 : 1).filter((word) => word !== "--") };
}

const LAST = 31;

tool<{ signal: number; words: string[]; next: number; status: number }>("kill", "bin", (p, args) => {
  if (args[0] === "-l") {
    for (let number = 1; number <= LAST; number++) p.out(`${String(number).padStart(2)}) ${signalName(number)}\n`);
    return 0;
  }
  const read = readSignal(args);
  if (typeof read === "string") return p.fail(read);
  return read.words.length === 0 ? p.fail("you need to specify whom to kill") : { ...read, next: 0, status: 0 };
}, {
  next: (p, l) => {
    const word = l.words[l.next];
    if (word === undefined) return l.status;
    if (/^-?[0-9]{1,10}$/.test(word)) return p.sys("kill", Number(word), l.signal);
    p.warn(`invalid number '${word}'`);
    l.status = 1;
    return to("again");
  },
  killed: (p, l) => {
    if (p.ret < 0) {
      p.warn(`can't kill pid ${l.words[l.next]}: ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    return to("again");
  },
  again: (_p, l) => {
    l.next++;
    return to("next");
  },
});

tool<PsLocals>("killall", "bin", (p, args) => {
  const read = readSignal(args);
  if (typeof read === "string") return p.fail(read);
  return read.words.length === 0 ? p.fail("you need to specify whom to kill") : blank([], read.words, read.signal);
}, {
  ...gather,
  told: (p, l) => {
    l.found = byName(l, p.task.tgid);
    if (l.found.length > 0) return to("each");
    for (const name of l.names) p.warn(`${name}: no process killed`);
    return 1;
  },
  each: (p, l) => {
    const one = l.found.shift();
    return one === undefined ? l.failed : p.sys("kill", one.pid, l.signal);
  },
  killed: (p, l) => {
    if (p.ret < 0) l.failed = 1;
    return to("each");
  },
});
