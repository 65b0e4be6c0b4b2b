/** The line discipline: what typing does (drivers/tty/n_tty.c, termios(3)). Pure but for the terminal's own record. */
import { SIGINT, SIGQUIT, SIGTSTP } from "../abi/signal.ts";
import type { Pty, Termios } from "./tty_state.ts";

export const ICRNL = 0o400;
const INLCR = 0o100;
const IGNCR = 0o200;
const OPOST = 0o1;
const ONLCR = 0o4;
const ISIG = 0o1;
const ICANON = 0o2;
const ECHO = 0o10;
const ECHOE = 0o20;
const ECHOK = 0o40;
const ECHONL = 0o100;
const NOFLSH = 0o200;
const ECHOCTL = 0o1000;
const ECHOKE = 0o4000;
const IEXTEN = 0o100000;

export const VINTR = 0;
const VQUIT = 1;
const VERASE = 2;
const VKILL = 3;
const VEOF = 4;
export const VTIME = 5;
export const VMIN = 6;
const VSUSP = 10;
const VEOL = 11;
const VWERASE = 14;
const NCCS = 19;

/** What is typed and not read is no longer than this. */
const INPUT_MAX = 4095;

/** Settings of a fresh terminal (tty_std_termios). */
export function freshTermios(): Termios {
  const cc = Array.from({ length: NCCS }, () => 0);
  const set: [number, number][] = [[VINTR, 3], [VQUIT, 28], [VERASE, 127], [VKILL, 21], [VEOF, 4], [VMIN, 1], [8, 17], [9, 19], [VSUSP, 26], [12, 18], [13, 15], [VWERASE, 23], [15, 22]];
  for (const [at, value] of set) cc[at] = value;
  return { iflag: ICRNL | 0o2000, oflag: OPOST | ONLCR, cflag: 0o277, lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN, cc };
}

export const isCanonical = ({ termios }: Pty): boolean => (termios.lflag & ICANON) !== 0;

/** Bytes as the terminal shows them. */
export function cooked({ termios }: Pty, text: string): string {
  return (termios.oflag & OPOST) !== 0 && (termios.oflag & ONLCR) !== 0 ? text.replaceAll("\n", "\r\n") : text;
}

function shown(char: string): string {
  const code = char.charCodeAt(0);
  return code < 32 && char !== "\n" && char !== "\t" ? `^${String.fromCharCode(code + 64)}` : code === 127 ? "^?" : char;
}

export interface Typed {
  /** What is echoed, before it is cooked. */
  echo: string;
  /** A signal for the foreground, 0 for none. */
  signals: number[];
}

/** Takes what is typed. */
export function receive(pty: Pty, bytes: string): Typed {
  const typed: Typed = { echo: "", signals: [] };
  for (const byte of bytes) take(pty, byte, typed);
  return typed;
}

function take(pty: Pty, byte: string, typed: Typed): void {
  const { iflag, lflag, cc } = pty.termios;
  let char = byte;
  if (char === "\r") {
    if ((iflag & IGNCR) !== 0) return;
    if ((iflag & ICRNL) !== 0) char = "\n";
  } else if (char === "\n" && (iflag & INLCR) !== 0) char = "\r";
  const code = char.charCodeAt(0);
  if ((lflag & ISIG) !== 0 && code !== 0) {
    const signal = code === cc[VINTR] ? SIGINT : code === cc[VQUIT] ? SIGQUIT : code === cc[VSUSP] ? SIGTSTP : 0;
    if (signal !== 0) {
      if ((lflag & NOFLSH) === 0) pty.edited = "";
      if ((lflag & ECHO) !== 0) typed.echo += shown(char);
      typed.signals.push(signal);
      return;
    }
  }
  if ((lflag & ICANON) === 0) {
    if (pty.input.length < INPUT_MAX) pty.input += char;
    if ((lflag & ECHO) !== 0) typed.echo += (lflag & ECHOCTL) !== 0 ? shown(char) : char;
    return;
  }
  if (code !== 0 && (code === cc[VERASE] || code === cc[VWERASE] || code === cc[VKILL])) return erase(pty, code, typed);
  if (code === cc[VEOF]) return endLine(pty);
  // The last place is for the end of a line.
  const taken = pty.edited.length + pty.input.length;
  if (taken < INPUT_MAX || (char === "\n" && taken === INPUT_MAX)) pty.edited += char;
  if ((lflag & ECHO) !== 0 || ((lflag & ECHONL) !== 0 && char === "\n")) typed.echo += (lflag & ECHOCTL) !== 0 ? shown(char) : char;
  if (char === "\n" || (code !== 0 && code === cc[VEOL])) endLine(pty);
}

function endLine(pty: Pty): void {
  if (pty.edited === "" && pty.lines.length > INPUT_MAX) return; // an end of file takes a place, too
  pty.input += pty.edited;
  pty.lines.push(pty.edited.length);
  pty.edited = "";
}

function erase(pty: Pty, code: number, typed: Typed): void {
  const { lflag, cc } = pty.termios;
  const before = pty.edited;
  if (code === cc[VERASE]) pty.edited = before.slice(0, -1);
  else pty.edited = code === cc[VKILL] ? "" : before.replace(/\S*\s*$/, "");
  if ((lflag & ECHO) === 0) return;
  for (const char of [...before.slice(pty.edited.length)].reverse()) typed.echo += "\b \b".repeat(shown(char).length);
}

/** What a read of at most `count` bytes takes; null when there is nothing yet. "" is the end of the input. */
export function takeInput(pty: Pty, count: number): string | null {
  if (!isCanonical(pty)) {
    if (pty.input === "") return null;
    const part = pty.input.slice(0, count);
    pty.input = pty.input.slice(part.length);
    pty.lines = [];
    return part;
  }
  const [length] = pty.lines;
  if (length === undefined) return null;
  const part = pty.input.slice(0, Math.min(length, count));
  pty.input = pty.input.slice(part.length);
  if (part.length === length) pty.lines.shift();
  else pty.lines[0] = length - part.length;
  return part;
}

/** Whether a read finds something. */
export function hasInput(pty: Pty): boolean {
  return isCanonical(pty) ? pty.lines.length > 0 : pty.input !== "";
}
