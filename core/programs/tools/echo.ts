/** echo: its words, and backslashes with -e. The shell's own does the same. */
import { printer } from "../tool.ts";

const LETTERS: { [letter: string]: string } = { a: "\x07", b: "\b", e: "\x1b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\" };

/** A text with backslash escapes done; `stop` when \c ends all output. */
export function unescape(text: string, octal: "0" | "any"): { text: string; stop: boolean } {
  let done = "";
  for (let at = 0; at < text.length; at++) {
    const next = text[at + 1];
    if (text[at] !== "\\" || next === undefined) {
      done += text[at];
      continue;
    }
    if (next === "c") return { text: done, stop: true };
    const digits = (octal === "any" ? /^[0-7]{1,3}/ : /^0[0-7]{0,3}/).exec(text.slice(at + 1, at + 5))?.[0];
    const hex = /^x([0-9a-fA-F]{1,2})/.exec(text.slice(at + 1, at + 4))?.[0];
    if (digits !== undefined) {
      done += String.fromCharCode(Number.parseInt(digits, 8) & 255);
      at += digits.length;
    } else if (hex !== undefined) {
      done += String.fromCharCode(Number.parseInt(hex.slice(1), 16));
      at += hex.length;
    } else if (Object.hasOwn(LETTERS, next)) {
      done += LETTERS[next];
      at++;
    } else done += "\\";
  }
  return { text: done, stop: false };
}

/** What echo prints. */
export function echoText(args: readonly string[]): string {
  let newline = true;
  let escapes = false;
  let at = 0;
  for (; at < args.length && /^-[neE]+$/.test(args[at]); at++) {
    if (args[at].includes("n")) newline = false;
    for (const letter of args[at]) if (letter === "e" || letter === "E") escapes = letter === "e";
  }
  const text = args.slice(at).join(" ");
  if (!escapes) return newline ? `${text}\n` : text;
  const done = unescape(text, "0");
  return newline && !done.stop ? `${done.text}\n` : done.text;
}

printer("echo", "bin", (p, args) => {
  p.out(echoText(args));
  return 0;
});
