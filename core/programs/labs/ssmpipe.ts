/**
 * ssmpipe NAME ID TYPE: a pipe through an ssmem segment. The handout's has one writer and up to eight readers, who each print
 * every line; the report's writes one word, or prints what is there, and leaves after ten seconds.
 */
import { EINTR } from "../../abi/errno.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { SSMEM_FLAG_CREATE, SSMEM_FLAG_EXEC, SSMEM_FLAG_WRITE } from "../../abi/ssmem.ts";
import { bytesName, nameBytes } from "../../fs/names.ts";
import { NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";
import { timespec } from "../tools/sleep.ts";
import { load, load32, store, store32 } from "./user_memory.ts";

const ALL = SSMEM_FLAG_CREATE | SSMEM_FLAG_WRITE | SSMEM_FLAG_EXEC;
const SECOND = 1_000_000_000;
const CLOCK_MONOTONIC = 1;
const READERS_MAX = 8;

/** The segment: what the ends tell one another, then the text on a page of its own. */
const SEGMENT = 2 * PAGE_SIZE;
/** Lines written so far, readers that are there, readers that have printed the last line, and whether the writer has left. */
const [LINES, READERS, PRINTED, CLOSED] = [0, 4, 8, 12];
const TEXT = PAGE_SIZE;
const TEXT_MAX = PAGE_SIZE - 1;

interface PipeLocals {
  name: string;
  id: number;
  writes: boolean;
  addr: number;
  /** Lines that this reader has printed. */
  seen: number;
  /** What was read from stdin and is not written yet. */
  rest: string;
  ended: boolean;
}

/** What all forms begin with: the words of the command line. */
function begin(p: Proc, [name, id, type]: string[]): PipeLocals | number {
  if (type === undefined) {
    p.out("ssmpipe must take 4 parameters!\n");
    return 1;
  }
  return { name, id: Number.parseInt(id, 10) || 0, writes: type === "writer", addr: 0, seen: 0, rest: "", ended: false };
}

const sleep = (p: Proc, ns: number): StepResult => p.sys("clock_nanosleep", CLOCK_MONOTONIC, 0, timespec(ns), 0);

/** The NUL-terminated text at an address of the segment, or false when the program dies of it. */
function textAt(p: Proc, addr: number): string | false {
  const bytes = load(p, addr, PAGE_SIZE - (addr % PAGE_SIZE));
  if (bytes === false) return false;
  const end = bytes.indexOf(0);
  return bytesName(end < 0 ? bytes : bytes.subarray(0, end));
}

const storeText = (p: Proc, addr: number, text: string): boolean => store(p, addr, nameBytes(`${text.slice(0, TEXT_MAX)}\0`));

tool<PipeLocals>("ssmpipe", "bin", begin, {
  attach: (p, { id }) => p.sys("ssmem_attach", id, ALL, SEGMENT),
  attached: (p, l) => {
    if (p.ret < 0) {
      p.perror("ssmem_attach");
      return 1;
    }
    l.addr = p.ret;
    if (l.writes) return to("line");
    const [readers, lines] = [load32(p, l.addr + READERS), load32(p, l.addr + LINES)];
    if (readers === false || lines === false) return to("die");
    if (readers >= READERS_MAX) return p.fail(`there are ${READERS_MAX} readers already`);
    l.seen = lines;
    return store32(p, l.addr + READERS, readers + 1) ? to("wait") : to("die");
  },

  // A reader prints each line that it has not seen, and looks again ten times a second.
  wait: (p, { addr, seen }) => {
    const [lines, closed] = [load32(p, addr + LINES), load32(p, addr + CLOSED)];
    if (lines === false || closed === false) return to("die");
    if (lines !== seen) return to("print");
    return closed !== 0 ? to("leave") : sleep(p, SECOND / 10);
  },
  again: () => to("wait"),
  print: (p, l) => {
    const [text, lines, printed] = [textAt(p, l.addr + TEXT), load32(p, l.addr + LINES), load32(p, l.addr + PRINTED)];
    if (text === false || lines === false || printed === false) return to("die");
    p.out(`reader${l.name}: ${text}\n`);
    l.seen = lines;
    return store32(p, l.addr + PRINTED, printed + 1) ? to("wait") : to("die");
  },
  leave: (p, { addr }) => {
    const readers = load32(p, addr + READERS);
    return readers !== false && store32(p, addr + READERS, readers - 1) ? to("detach") : to("die");
  },

  // The writer takes a line of stdin, waits until every reader has printed the one before, and writes it.
  line: (p, { rest, ended }) => {
    if (rest.includes("\n") || (ended && rest !== "")) return to("free");
    return ended ? to("drain") : p.read(0, TEXT_MAX);
  },
  got: (p, l) => {
    if (p.ret > 0) l.rest += p.text(p.ret);
    else if (p.ret !== -EINTR) l.ended = true;
    return to("line");
  },
  free: (p, { addr }) => {
    const busy = unread(p, addr);
    return busy === "dead" ? to("die") : busy ? sleep(p, SECOND) : to("write");
  },
  checked: () => to("free"),
  write: (p, l) => {
    const end = l.rest.includes("\n") ? l.rest.indexOf("\n") : l.rest.length;
    const line = l.rest.slice(0, end);
    l.rest = l.rest.slice(end + 1);
    const lines = load32(p, l.addr + LINES);
    const done = lines !== false && storeText(p, l.addr + TEXT, `writer${l.name} says ${line}`) &&
      store32(p, l.addr + PRINTED, 0) && store32(p, l.addr + LINES, lines + 1);
    return done ? to("line") : to("die");
  },
  drain: (p, { addr }) => {
    const busy = unread(p, addr);
    return busy === "dead" ? to("die") : busy ? sleep(p, SECOND) : to("close");
  },
  drained: () => to("drain"),
  close: (p, { addr }) => (store32(p, addr + CLOSED, 1) ? NEXT : to("die")),

  detach: (p, { addr }) => p.sys("ssmem_detach", addr),
  done: () => 0,
  die: (p) => p.sys("getpid"),
  dead: () => 1,
});

/** Whether some reader has not printed the last line yet. */
function unread(p: Proc, addr: number): boolean | "dead" {
  const [lines, readers, printed] = [load32(p, addr + LINES), load32(p, addr + READERS), load32(p, addr + PRINTED)];
  if (lines === false || readers === false || printed === false) return "dead";
  return lines > 0 && printed < readers;
}

/** Characters of a word that the report's program reads safely. */
const WORD_MAX = 99;

tool<PipeLocals>("ssmpipe.seed", "bin", begin, {
  attach: (p, { id }) => p.sys("ssmem_attach", id, ALL, PAGE_SIZE),
  attached: (p, l) => {
    // The result is not looked at: an error is an address that kills.
    l.addr = p.ret;
    return l.writes ? NEXT : to("print");
  },
  word: (p, l) => {
    const [word] = /\S+(?=\s)/.exec(l.rest) ?? [];
    if (word === undefined && !l.ended) return p.read(0, TEXT_MAX);
    const text = `writer${l.name} says ${(word ?? l.rest.trim()).slice(0, WORD_MAX)}`;
    return storeText(p, l.addr < 0 ? 0 : l.addr, text) ? to("sleep") : to("die");
  },
  got: (p, l) => {
    if (p.ret > 0) l.rest += p.text(p.ret);
    else if (p.ret !== -EINTR) l.ended = true;
    return to("word");
  },
  print: (p, { name, addr }) => {
    const text = textAt(p, addr < 0 ? 0 : addr);
    if (text === false) return to("die");
    p.out(`reader${name}: ${text}\n`);
    return NEXT;
  },
  sleep: (p) => sleep(p, 10 * SECOND),
  detach: (p, { addr }) => p.sys("ssmem_detach", addr),
  done: () => 0,
  die: (p) => p.sys("getpid"),
  dead: () => 1,
});
