/** Tools: a name, a directory, what is made of the arguments, and steps. One file and one row each. */
import { errnoMessage } from "../abi/errno.ts";
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { assert } from "../lib/assert.ts";
import { enter, NEXT, type StepTable } from "../sched/steps.ts";
import { listProgram } from "./image.ts";
import { DATA_BASE, DATA_SIZE, flush, MAIN, programSteps, type MainLocals, type Proc, type ToolStep } from "./proc.ts";
import { execLine, isTraced, takeTrace, tells, traceLine } from "./trace.ts";

/** From the arguments to the first frame's locals; a number is the status of a tool that has nothing to do. */
export type ToolBegin<L> = (p: Proc, args: string[]) => L | number;

interface Tool {
  // What a tool keeps is known to its own steps only.
  begin: ToolBegin<object>;
  table: StepTable<object>;
}

const tools = new Map<string, Tool>();

/** Defines a tool and lists it. Its steps end with the exit status. */
export function tool<L extends object>(name: string, directory: "bin" | "sbin", begin: ToolBegin<L>, table: { [step: string]: ToolStep<L> }): void {
  applet(name, begin, table);
  listProgram(name, directory, (argv, env) => ({ code: MAIN, locals: mainLocals(name, argv, env) }));
}

/** A tool that no directory lists: `busybox NAME` knows it under this name. */
export function applet<L extends object>(name: string, begin: ToolBegin<L>, table: { [step: string]: ToolStep<L> }): void {
  assert(!tools.has(name), `two tools named ${name}`);
  tools.set(name, { begin, table: programSteps<L>(`bin.${name}`, table) as unknown as StepTable<object> });
}

/** A tool that prints something and has no calls to make. */
export function printer(name: string, directory: "bin" | "sbin", print: (p: Proc, args: string[]) => number): void {
  tool<object>(name, directory, print, { done: () => 0 });
}

export function findTool(name: string): Tool | undefined {
  return tools.get(name);
}

export function mainLocals(tool: string, argv: string[], env: string[]): MainLocals {
  const [path = ""] = argv;
  // A login shell's name begins with a dash.
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/^-/, "");
  return { tool, name, ...takeTrace(env), call: null, argv: [...argv], out: "", err: "", tty: false, lineBuffered: false, failed: 0, status: 0 };
}

const TCGETS = 0x5401;
const TERMIOS_SIZE = 60;

/** The life of every program: its memory, its tool, its last output, its end. */
programSteps<MainLocals>(MAIN, {
  memory: (p, main) => {
    if (isTraced(main.trace, p.task) && tells(main.trace, "execve")) p.err(execLine(p.k, p.task, main.trace, main.argv, main.env));
    return p.sys("mmap", DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  },
  terminal: (p) => (p.ret < 0 ? p.sys("exit_group", 127) : p.sys("ioctl", 1, TCGETS, { room: TERMIOS_SIZE })),
  run: (p, main) => {
    main.tty = main.lineBuffered = p.ret === 0;
    const found = toolOf(p);
    if (found === undefined) {
      p.frame.ret = p.fail("applet not found", 127);
      return NEXT;
    }
    const locals = found.begin(p, p.args);
    if (typeof locals !== "number") return enter(found.table, locals);
    p.frame.ret = locals;
    return NEXT;
  },
  ended: (p, main) => {
    main.status = p.ret < 0 ? 1 : p.ret & 255;
    if (isTraced(main.trace, p.task) && tells(main.trace, "exit_group")) p.err(traceLine(main.trace, p.task, `exit_group(${main.status})`, "?"));
    return enter(flush, { ret: 0 });
  },
  flushed: (p, main) => {
    if (main.failed === 0) return NEXT;
    p.warn(`write error: ${errnoMessage(main.failed)}`);
    main.failed = 0;
    if (main.status === 0) main.status = 1;
    return NEXT;
  },
  exit: (p, { status }) => p.sys("exit_group", status),
});

/** The tool that a program is; `busybox NAME` is another one under its own name, where the two differ. */
function toolOf(p: Proc): Tool | undefined {
  const { main } = p;
  if (main.tool !== "busybox" || main.argv.length < 2) return tools.get(main.tool);
  main.argv.shift();
  [main.name] = main.argv;
  main.tool = tools.has(`busybox ${main.name}`) ? `busybox ${main.name}` : main.name;
  return tools.get(main.tool);
}
