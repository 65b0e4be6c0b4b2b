/** Shell patterns: * ? and […], matched without backtracking over more than the last star. */

/** Whether the text matches; a backslash in the pattern makes the next character plain. */
export function matches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let starP = -1;
  let starT = 0;
  while (t < text.length) {
    const step = p < pattern.length ? one(pattern, p, text[t]) : 0;
    if (pattern[p] === "*") {
      starP = ++p;
      starT = t;
    } else if (step > 0) {
      p += step;
      t++;
    } else if (starP >= 0) {
      p = starP;
      t = ++starT;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p >= pattern.length;
}

/** Characters of the pattern at `at` that match `char`; 0 when they do not. */
function one(pattern: string, at: number, char: string): number {
  const next = pattern[at];
  if (next === "?") return 1;
  if (next === "\\" && at + 1 < pattern.length) return pattern[at + 1] === char ? 2 : 0;
  if (next !== "[") return next === char && next !== "*" ? 1 : 0;
  const end = bracketEnd(pattern, at);
  if (end < 0) return char === "[" ? 1 : 0;
  return inBracket(pattern.slice(at + 1, end), char) ? end + 1 - at : 0;
}

function bracketEnd(pattern: string, at: number): number {
  let index = at + 1;
  if (pattern[index] === "!" || pattern[index] === "^") index++;
  if (pattern[index] === "]") index++;
  for (; index < pattern.length; index++) {
    if (pattern.startsWith("[:", index)) {
      const close = pattern.indexOf(":]", index);
      if (close < 0) return -1;
      index = close + 1;
    } else if (pattern[index] === "]") return index;
  }
  return -1;
}

const CLASSES: { [name: string]: RegExp } = {
  alpha: /[A-Za-z]/, digit: /[0-9]/, alnum: /[A-Za-z0-9]/, upper: /[A-Z]/, lower: /[a-z]/, space: /[ \t\n\v\f\r]/, blank: /[ \t]/,
  punct: /[!-/:-@[-`{-~]/, print: /[ -~]/, graph: /[!-~]/, cntrl: /[^ -~\x80-\xff]/, xdigit: /[0-9A-Fa-f]/,
};

function inBracket(set: string, char: string): boolean {
  const negated = set[0] === "!" || set[0] === "^";
  let found = false;
  for (let at = negated ? 1 : 0; at < set.length; at++) {
    if (set.startsWith("[:", at)) {
      const end = set.indexOf(":]", at);
      if (end > 0) {
        if (CLASSES[set.slice(at + 2, end)]?.test(char) === true) found = true;
        at = end + 1;
        continue;
      }
    }
    const from = set[at] === "\\" && at + 1 < set.length ? set[++at] : set[at];
    if (set[at + 1] === "-" && at + 2 < set.length) {
      at += 2;
      if (from <= char && char <= set[at]) found = true;
    } else if (from === char) found = true;
  }
  return found !== negated;
}

/** Makes every character of a text plain in a pattern. */
export function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}

/** Whether a pattern has anything but plain characters. */
export function isMagic(pattern: string): boolean {
  return /(^|[^\\])(\\\\)*[*?[]/.test(pattern);
}

/** A pattern without its backslashes. */
export function unescapePattern(pattern: string): string {
  return pattern.replace(/\\(.)/gs, "$1");
}
