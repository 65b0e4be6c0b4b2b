/** read: a line into variables, byte by byte, since what comes after it belongs to others. */
import { EINTR } from "../../abi/errno.ts";
import { putU32 } from "../../lib/bytes.ts";
import { enter, to } from "../../sched/steps.ts";
import { now } from "../../time/clock.ts";
import { getopt } from "../options.ts";
import { builtin } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { assign, shellOf, valueOf, type ShellLocals } from "./state.ts";
import { pendingTrap } from "./traps.ts";

interface ReadLocals {
  names: string[];
  raw: boolean;
  fd: number;
  /** What ends the line. */
  end: string;
  /** Characters at most. */
  most: number;
  /** Kernel time at which it is given up; 0 for never. */
  untilNs: number;
  line: string;
  /** Characters of the line that a backslash made plain. */
  plain: number[];
  escaped: boolean;
}

const LINE_MAX = 1 << 20;
const POLLIN = 1;

const readSteps = shellSteps<ReadLocals>("sh.read", {
  wait: (p, { fd, untilNs }) => {
    if (untilNs === 0) return to("read");
    const entry = new Uint8Array(8);
    putU32(entry, 0, fd);
    entry[4] = POLLIN;
    return p.sys("poll", entry, 1, Math.max(0, Math.ceil((untilNs - now(p.k)) / 1e6)));
  },
  waited: (p) => (p.ret > 0 ? to("read") : p.ret === -EINTR && pendingTrap(p) === 0 ? to("wait") : to("over")),
  read: (p, { fd }) => p.sys("read", fd, { room: 1 }, 1),
  got: (p, l) => {
    if (p.ret === -EINTR) return pendingTrap(p) === 0 ? to("wait") : 1;
    if (p.ret <= 0 || l.line.length >= LINE_MAX) return to("over");
    const char = p.text(1);
    if (!l.raw && l.escaped) {
      l.escaped = false;
      if (char === "\n") return to("wait");
      l.plain.push(l.line.length);
    } else if (!l.raw && char === "\\") {
      l.escaped = true;
      return to("wait");
    } else if (char === l.end) return to("whole");
    l.line += char;
    return l.line.length >= l.most ? to("whole") : to("wait");
  },
  over: (p, l) => {
    setNames(shellOf(p), l);
    return 1;
  },
  whole: (p, l) => {
    setNames(shellOf(p), l);
    return 0;
  },
});

function setNames(sh: ShellLocals, { names, line, plain }: ReadLocals): void {
  const ifs = valueOf(sh, "IFS") ?? " \t\n";
  const quoted = new Set(plain);
  const blank = (at: number): boolean => ifs.includes(line[at]) && " \t\n".includes(line[at]) && !quoted.has(at);
  let at = 0;
  while (at < line.length && blank(at)) at++;
  for (const [index, name] of names.entries()) {
    let end = at;
    if (index < names.length - 1) {
      while (end < line.length && (!ifs.includes(line[end]) || quoted.has(end))) end++;
    } else {
      end = line.length;
      while (end > at && blank(end - 1)) end--;
    }
    assign(sh, name, line.slice(at, end));
    at = end;
    while (at < line.length && blank(at)) at++;
    if (at < line.length && ifs.includes(line[at]) && !blank(at) && !quoted.has(at)) at++;
    while (at < line.length && blank(at)) at++;
  }
}

builtin("read", (p, _sh, args) => {
  const { has, rest, problem } = getopt(args, "+p:u:rt:n:sd:", {});
  const bad = problem !== "" ? problem.replace("invalid option --", "illegal option")
    : !/^[0-9]{1,6}$/.test(has.u ?? "0") ? "bad fd number"
    : !/^[0-9]{1,9}$/.test(has.n ?? "1") ? "invalid count"
    : !/^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(has.t ?? "0") ? "invalid timeout"
    : rest.some((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) ? "bad variable name" : "";
  if (bad !== "") {
    complain(p, `read: ${bad}`);
    return 2;
  }
  p.err(has.p ?? "");
  const untilNs = has.t === undefined ? 0 : now(p.k) + Math.round(Number(has.t) * 1e9);
  return enter(readSteps, {
    names: rest.length === 0 ? ["REPLY"] : rest, raw: "r" in has, fd: Number(has.u ?? 0), end: has.d === undefined ? "\n" : (has.d[0] ?? "\0"),
    most: Number(has.n ?? 0) || LINE_MAX, untilNs, line: "", plain: [], escaped: false,
  });
});
