/** Filters: tools that read their operands, or stdin, one after the other, and print something of them. */
import { EINTR, errnoMessage } from "../abi/errno.ts";
import { O_CLOEXEC } from "../abi/fcntl.ts";
import { NEXT, to, type StepResult } from "../sched/steps.ts";
import type { Proc } from "./proc.ts";
import { tool } from "./tool.ts";

export interface FilterLocals<S> {
  files: string[];
  next: number;
  fd: number;
  /** The operand under way; "" for stdin without an operand. */
  file: string;
  status: number;
  /** Nothing more is read. */
  done: boolean;
  state: S;
}

export interface Filter<S> {
  /** From the arguments to the operands and what the filter keeps; a number ends it with that status. */
  begin(p: Proc, args: string[]): { files: string[]; state: S } | number;
  /** Before an operand is read. */
  start?(p: Proc, state: S, l: FilterLocals<S>): void;
  /** Bytes as they came, one character each. `l.done` or `false` ends the operand. */
  chunk(p: Proc, state: S, bytes: string, l: FilterLocals<S>): false | void;
  /** An operand is at its end. */
  finish?(p: Proc, state: S, l: FilterLocals<S>): void;
  /** All is read. */
  end?(p: Proc, state: S, l: FilterLocals<S>): number | void;
  /** Every chunk is written at once, past stdio. */
  direct?: boolean;
  /** What an operand that cannot be opened is told as. */
  cannot?(file: string, errno: number): string;
}

const cannotOpen = (file: string, errno: number): string => `can't open '${file}': ${errnoMessage(errno)}`;

/** User time a byte of such work takes. */
const BYTE_NS = 1;

/** Defines a filter and lists it under /bin. */
export function filter<S>(name: string, spec: Filter<S>): void {
  const { cannot = cannotOpen, direct = false } = spec;
  tool<FilterLocals<S>>(name, "bin", (p, args) => {
    const begun = spec.begin(p, args);
    if (typeof begun === "number") return begun;
    const { files, state } = begun;
    return { files: files.length === 0 ? [""] : files, next: 0, fd: -1, file: "", status: 0, done: false, state };
  }, {
    next: (p, l) => {
      if (l.done || l.next >= l.files.length) return to("end");
      l.file = l.files[l.next++];
      if (l.file !== "" && l.file !== "-") return p.open(l.file, O_CLOEXEC);
      p.frame.ret = 0;
      return NEXT;
    },
    opened: (p, l) => {
      if (p.ret < 0) {
        l.status = 1;
        p.warn(cannot(l.file, -p.ret));
        return to("next");
      }
      l.fd = p.ret;
      spec.start?.(p, l.state, l);
      return NEXT;
    },
    read: (p, l) => p.read(l.fd, direct ? 4096 * 16 : 4096),
    got: (p, l): StepResult => {
      if (p.ret === -EINTR) return to("read");
      if (p.ret < 0) {
        l.status = 1;
        p.warn(`read error: ${errnoMessage(-p.ret)}`);
        return to("close");
      }
      if (p.ret === 0) return to("close");
      const bytes = p.text(p.ret);
      p.work(bytes.length * BYTE_NS);
      const go = spec.chunk(p, l.state, bytes, l);
      if (go === false || l.done) return to("close");
      if (!direct) return to("read");
      const { main } = p;
      const text = main.out;
      main.out = "";
      return p.write(1, text);
    },
    wrote: (p, l) => {
      if (p.ret >= 0) return to("read");
      p.warn(`write error: ${errnoMessage(-p.ret)}`);
      l.status = 1;
      l.done = true;
      return NEXT;
    },
    close: (p, l) => {
      spec.finish?.(p, l.state, l);
      return l.fd === 0 ? to("next") : p.sys("close", l.fd);
    },
    closed: () => to("next"),
    end: (p, l) => spec.end?.(p, l.state, l) ?? l.status,
  });
}

/** Lines of what came: whole ones at once, the last without its newline when `rest` is taken. */
export interface Lines {
  rest: string;
}

/** Adds bytes and answers the lines that are whole now, without their newlines. */
export function takeLines(lines: Lines, bytes: string): string[] {
  const parts = (lines.rest + bytes).split("\n");
  lines.rest = parts.pop() ?? "";
  return parts;
}
