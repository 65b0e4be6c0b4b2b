/** JSON as the contract wants it: a number that a double would round is refused, not rounded. */
import { Problem, invalid } from "./errors.ts";

/** Only a long run of digits or an exponent can be beyond 2^53-1. */
const SUSPICIOUS = /\d{16}|\d[eE]/;
/** Deeper than anything that the contract knows; what recurses later must not run out of stack. */
const MAX_DEPTH = 64;

/**
 * Parses a body.
 * @throws Problem 400 where the text is not JSON, 422 where a number is beyond ±(2^53-1)
 */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(400, "invalid", `The body is not JSON: ${(error as Error).message}`);
  }
  // Each level takes two characters: most bodies need no walk.
  if (text.length > 2 * MAX_DEPTH || SUSPICIOUS.test(text)) walk(text);
  return value;
}

/** Walks the tokens of a text that is known to be JSON, and refuses rounded numbers and deep nesting. */
function walk(text: string): void {
  const path: (string | number)[] = [];
  let key = "";
  for (let at = 0; at < text.length; at++) {
    const top = path.length - 1;
    if (top >= MAX_DEPTH) throw invalid(`The body is nested deeper than ${MAX_DEPTH} levels.`);
    switch (text[at]) {
      case "{": path.push('""'); break;
      case "[": path.push(0); break;
      case "}": case "]": path.pop(); break;
      case ",": if (typeof path[top] === "number") path[top] = (path[top] as number) + 1; break;
      case ":": path[top] = key; break;
      case '"': {
        const end = endOfString(text, at);
        if (typeof path[top] === "string") key = text.slice(at, end + 1);
        at = end;
        break;
      }
      case "-": case "0": case "1": case "2": case "3": case "4": case "5": case "6": case "7": case "8": case "9": {
        let end = at + 1;
        while (end < text.length && "0123456789+-.eE".includes(text[end]!)) end++;
        const value = Number(text.slice(at, end));
        if (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER) throw rounded(text.slice(at, end), path);
        at = end - 1;
      }
    }
  }
}

/** Index of the quote that closes the string opened at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

function rounded(token: string, path: (string | number)[]): Problem {
  const shown = token.length > 40 ? `${token.slice(0, 40)}…` : token;
  const where = path.map((part) => `/${typeof part === "number" ? part : (JSON.parse(part) as string)}`).join("");
  const message = `${shown} is beyond ±(2^53-1): write it as a decimal or "0x…" string`;
  return invalid(message, [{ path: where, message }]);
}
