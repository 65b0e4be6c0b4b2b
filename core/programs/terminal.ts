/** A command on a terminal of its own, which the service reads and types on. */
import { ENOENT, errnoMessage } from "../abi/errno.ts";
import { O_RDWR } from "../abi/fcntl.ts";
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { TIOCSCTTY } from "../abi/ioctl.ts";
import { bytesName } from "../fs/names.ts";
import { newPty, ptyOf, resize, terminalId, typeOn } from "../drivers/pty.ts";
import type { Input, Json, Refusal } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import { base64Decode } from "../lib/bytes.ts";
import { createProgram } from "../process/create.ts";
import { NEXT } from "../sched/steps.ts";
import { commandWords, environment } from "./command.ts";
import { execvp } from "./files_lib.ts";
import { DATA_BASE, DATA_SIZE, programSteps, type Proc } from "./proc.ts";

interface TerminalLocals {
  argv: string[];
  env: string[];
  path: string;
  status: number;
}

/** What a login does: the terminal becomes all three streams and controls the session. */
const terminal = programSteps<TerminalLocals>("terminal", {
  memory: (p) => p.sys("mmap", DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
  closeIn: (p) => p.sys("close", 0),
  open: (p, { path }) => p.open(path, O_RDWR),
  opened: (p) => (p.ret < 0 ? 1 : p.sys("ioctl", 0, TIOCSCTTY, 0)),
  out: (p) => p.sys("dup2", 0, 1),
  err: (p) => p.sys("dup2", 0, 2),
  exec: (p, { argv, env }) => execvp(p as Proc, argv, env),
  failed: (p, l) => {
    l.status = p.ret === -ENOENT ? 127 : 126;
    return p.write(2, `sh: ${l.argv[0]}: ${p.ret === -ENOENT ? "not found" : errnoMessage(-p.ret)}\n`);
  },
  leave: (p, { status }) => p.sys("exit_group", status),
  never: () => NEXT,
});

type Opening = Extract<Input, { type: "openTty" }>;

const SIZE_MAX = 1_000;
const sizeOf = (value: number): number => Math.min(Math.max(1, Math.floor(value)), SIZE_MAX);

/** Starts a command on a fresh terminal. */
export function openTerminal(k: Kernel, { command, uid, member, home, rows, columns }: Opening): { pid: number; tty: number } | Refusal {
  const argv = commandWords(command as { [name: string]: Json });
  if (typeof argv === "string") return { refused: "invalid", detail: argv };
  const pty = newPty(k, { uid, gid: uid, service: true, member, rows: sizeOf(rows), columns: sizeOf(columns) });
  if (typeof pty === "number") return { refused: "limit", detail: "a session has no more terminals" };
  const env = [...environment(uid, home).filter((entry) => !entry.startsWith("TERM=")), "TERM=linux"];
  const locals: TerminalLocals = { argv, env, path: `/dev/pts/${pty.number}`, status: 0 };
  const task = createProgram(k, { comm: "login", uid, member, home, code: "process.program", locals: { code: terminal.name, locals } });
  if (typeof task === "number") {
    k.state.drivers.ptys.delete(pty.number);
    return { refused: "errno", errno: -task, detail: "the process could not be made" };
  }
  // The caller holds the other side as long as a program is on it.
  pty.masters = 0;
  return { pid: task.tid, tty: pty.number };
}

/** Types on a terminal: what waits for it counts as driven again. */
export function typeBytes(k: Kernel, number: number, base64: string): Refusal | null {
  const pty = ptyOf(k, number);
  const bytes = base64Decode(base64);
  if (pty?.service !== true) return { refused: "no-call", detail: `no terminal ${number}` };
  if (bytes === undefined) return { refused: "invalid", detail: "typing takes bytes in base64" };
  for (const { tgid, sid, threads } of k.state.sched.groups.values()) {
    if (sid !== pty.session || tgid === 0) continue;
    for (const tid of threads) {
      const task = k.state.sched.tasks.get(tid);
      if (task !== undefined) task.graceNs = k.state.time.nowNs;
    }
  }
  typeOn(k, pty, bytesName(bytes));
  return null;
}

export function resizeTerminal(k: Kernel, number: number, rows: number, columns: number): Refusal | null {
  const pty = ptyOf(k, number);
  if (pty?.service !== true) return { refused: "no-call", detail: `no terminal ${number}` };
  resize(k, pty, sizeOf(rows), sizeOf(columns));
  return null;
}

export interface TerminalView {
  tty: number;
  /** Names it for good, where the number is given again. */
  id: number;
  member: string;
  /** Session leader, 0 once it is gone. */
  pid: number;
  rows: number;
  columns: number;
  /** What was printed, one character a byte, and how many bytes came before it. */
  screen: string;
  dropped: number;
}

/** A terminal as its caller sees it; null when there is none. Pure. */
export function terminalView(k: Kernel, number: number): TerminalView | null {
  const pty = ptyOf(k, number);
  if (pty?.service !== true) return null;
  const { session, member, rows, columns, screen, dropped } = pty;
  return { tty: number, id: terminalId(pty), member, pid: session, rows, columns, screen, dropped };
}

/** What the terminal with this id has printed so far, or had when it went; null when that is forgotten. Pure. */
export function terminalScreen(k: Kernel, number: number, id: number): { screen: string; dropped: number; ended: boolean } | null {
  const live = terminalView(k, number);
  if (live?.id === id) return { screen: live.screen, dropped: live.dropped, ended: false };
  const gone = k.state.drivers.endedTerminals.find((one) => one.id === id);
  return gone === undefined ? null : { screen: gone.screen, dropped: gone.dropped, ended: true };
}
