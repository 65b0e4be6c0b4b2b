/** sh: `sh -c text`, `sh file`, commands from stdin, and an interactive shell on a terminal. */
import { errnoMessage, EINTR } from "../../abi/errno.ts";
import { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGTERM } from "../../abi/signal.ts";
import { getI32, putU32 } from "../../lib/bytes.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";
import { setActions } from "./actions.ts";
import "./builtins.ts";
import "./cwd_builtins.ts";
import { complain } from "./message.ts";
import { evaluate } from "./nodes.ts";
import { parse } from "./parse.ts";
import { pollJobs, tellJobs } from "./job_builtins.ts";
import "./find_builtins.ts";
import "./getopts.ts";
import "./limit_builtins.ts";
import "./process_builtins.ts";
import "./read_builtin.ts";
import { noOptions, switchLetter, switchNamed } from "./options.ts";
import { assign, valueOf, type ShellLocals } from "./state.ts";
import { runExitTrap } from "./traps.ts";

const TIOCGPGRP = 0x540f;
const TIOCSPGRP = 0x5410;
const TCGETS = 0x5401;
const CWD_MAX = 4096;
const LINE_MAX = 65_536;

interface ShLocals extends ShellLocals {
  /** -c text, a file, or neither. */
  text: string | null;
  path: string | null;
  /** stdin is to be a terminal's. */
  asked: boolean;
  line: string;
}

function begin(p: Proc, args: string[]): ShLocals | number {
  const { has, all, rest, problem } = getopt(args, "+ceixsulo:fnvCa", {});
  if (problem !== "") return p.fail(problem.replace("invalid option --", "illegal option"), 2);
  const operands = [...rest];
  const text = "c" in has ? operands.shift() : undefined;
  if ("c" in has && text === undefined) return p.fail("-c requires an argument", 2);
  const path = text === undefined && !("s" in has) ? operands.shift() : undefined;
  const name = text === undefined ? (path ?? p.main.argv[0]) : (operands.shift() ?? p.main.argv[0]);
  const shell: ShLocals = {
    name, variables: new Map(), functions: new Map(), params: operands, pid: p.task.tgid, status: 0, lastBackground: 0, flow: "", levels: 0, saved: [],
    options: noOptions(), getopts: { word: 1, letter: 0 }, cwd: "",
    jobs: [], traps: new Map(), trapped: new Map(), interactive: "i" in has, subshell: false, file: path !== undefined, tested: 0, size: 0,
    source: "", next: 0, terminal: -1, pgid: 0, text: text ?? null, path: path ?? null, asked: "i" in has || (text === undefined && path === undefined), line: "",
  };
  for (const [letter, value] of all) {
    if (letter !== "o") switchLetter(shell.options, letter, true);
    else if (!switchNamed(shell.options, value, true)) return p.fail(`illegal option -o ${value}`, 2);
  }
  for (const entry of p.main.env) {
    const equals = entry.indexOf("=");
    if (equals > 0 && /^[A-Za-z_][A-Za-z0-9_]*$/.test(entry.slice(0, equals))) assign(shell, entry.slice(0, equals), entry.slice(equals + 1), true);
  }
  return shell;
}

const PROMPT_SIGNALS = [SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU];

tool<ShLocals>("sh", "bin", begin, {
  parent: (p) => p.sys("getppid"),
  cwd: (p, sh) => {
    assign(sh, "PPID", String(p.ret));
    return p.sys("getcwd", { room: CWD_MAX }, CWD_MAX);
  },
  source: (p, sh) => {
    if (p.ret > 0) assign(sh, "PWD", (sh.cwd = p.text(p.ret - 1)), true);
    if (sh.text !== null) {
      sh.source = sh.text;
      return to("command");
    }
    return sh.path === null ? NEXT : to("file");
  },
  terminal: (p) => p.sys("ioctl", 0, TCGETS, { room: 60 }),
  stdin: (p, sh) => {
    if (p.ret === 0) {
      sh.interactive = true;
      return to("signals");
    }
    return slurp("-", "source");
  },
  slurped: () => to("command"),
  file: (_p, { path }) => slurp(path ?? "", "source"),
  opened: (p, sh) => {
    if (p.ret >= 0) return NEXT;
    // In the words of a shell that was named after it.
    p.err(`sh: can't open '${sh.path ?? ""}': ${errnoMessage(-p.ret)}\n`);
    sh.status = 2;
    return to("leave");
  },

  // A text: one complete command after the other.
  command: (p, sh) => {
    const script = parse(sh.source);
    if (sh.flow !== "") return to("trap");
    if (sh.next < script.commands.length) {
      const node = script.commands[sh.next++];
      const last = sh.text !== null && sh.next === script.commands.length && script.error === "" && !sh.traps.has(0);
      return evaluate(p, sh.source, node, last);
    }
    if (script.error !== "") {
      complain(p as Proc, `syntax error: ${script.error}`, script.errorLine);
      sh.status = 2;
    }
    return to("trap");
  },
  commandDone: (p, sh) => {
    sh.status = p.ret;
    return to("command");
  },
  trap: (p) => runExitTrap(p as Proc),
  leave: (_p, { status }) => status & 255,

  // A person at a terminal.
  signals: () => setActions(PROMPT_SIGNALS, 1),
  interrupt: () => setActions([SIGINT], 2),
  group: (p) => p.sys("setpgid", 0, 0),
  whose: (p) => p.sys("ioctl", 0, TIOCGPGRP, { room: 4 }),
  own: (p, sh) => {
    if (p.ret < 0) {
      p.err("sh: can't access tty; job control turned off\n");
      return to("jobs");
    }
    void getI32(p.took(4), 0);
    sh.terminal = 0;
    sh.pgid = p.task.tgid;
    const group = new Uint8Array(4);
    putU32(group, 0, sh.pgid);
    return p.sys("ioctl", 0, TIOCSPGRP, group);
  },
  jobs: () => pollJobs(),
  prompt: (p, sh) => {
    p.err(tellJobs(p as Proc, sh, false));
    p.err(valueOf(sh, sh.line === "" ? "PS1" : "PS2") ?? (sh.line === "" ? (p.task.cred.euid === 0 ? "# " : "$ ") : "> "));
    return NEXT;
  },
  type: (p) => p.read(0, 4096),
  typed: (p, sh) => {
    if (p.ret === -EINTR) {
      p.err("\n");
      sh.line = "";
      sh.status = 130;
      return to("jobs");
    }
    if (p.ret <= 0) {
      p.err("\n");
      return to("trap");
    }
    sh.line += p.text(p.ret);
    if (!sh.line.endsWith("\n") && sh.line.length < LINE_MAX) return to("type");
    const script = parse(sh.line);
    if (script.error !== "" && script.incomplete) return to("prompt");
    sh.source = sh.line;
    sh.line = "";
    sh.next = 0;
    return NEXT;
  },
  run: (p, sh) => {
    const script = parse(sh.source);
    if (sh.flow === "exit") return to("trap");
    sh.flow = "";
    if (sh.next < script.commands.length) return evaluate(p, sh.source, script.commands[sh.next++], false);
    if (script.error !== "") {
      complain(p as Proc, `syntax error: ${script.error}`);
      sh.status = 2;
    }
    return to("jobs");
  },
  ran: (p, sh) => {
    sh.status = p.ret;
    // What an error or ^C left of the line is not run.
    if (sh.flow === "return") sh.next = Number.MAX_SAFE_INTEGER;
    return to("run");
  },
});
