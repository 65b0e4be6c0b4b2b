/** sscanf as the kernel has it: %d %i %u %x %o %s %c %%, widths, %* and %n (lib/vsprintf.c). */

const isSpace = (char: string | undefined): boolean => char !== undefined && " \t\n\v\f\r".includes(char);

const DIGITS: { [conversion: string]: RegExp } = {
  d: /[-+]?[0-9]+/y, u: /[0-9]+/y, x: /[-+]?(?:0[xX])?[0-9a-fA-F]+/y, X: /[-+]?(?:0[xX])?[0-9a-fA-F]+/y, o: /[-+]?[0-7]+/y,
  i: /[-+]?(?:0[xX][0-9a-fA-F]+|[0-9]+)/y,
};

function integer(conversion: string, text: string): number {
  const negative = text.startsWith("-");
  const digits = text.replace(/^[-+]/, "");
  const hex = /^0[xX]/.test(digits);
  const base = conversion === "x" || conversion === "X" || (conversion === "i" && hex) ? 16 : conversion === "o" || (conversion === "i" && digits.startsWith("0")) ? 8 : 10;
  const value = parseInt(hex ? digits.slice(2) : digits, base);
  return negative ? -value : value;
}

/** The values read, in order; a mismatch ends it, so their number is what sscanf answers (%n not counted). */
export function sscanf(text: string, format: string): (number | string)[] {
  const values: (number | string)[] = [];
  let at = 0;
  const spec = /%(\*)?([0-9]+)?(?:hh|h|ll|l|z|t|L)?([a-zA-Z%])|\s+|[^%\s]/gy;
  for (let match = spec.exec(format); match !== null; match = spec.exec(format)) {
    const [whole, skip, width, conversion] = match;
    if (conversion === undefined || conversion === "%") {
      if (isSpace(whole)) while (isSpace(text[at])) at++;
      else if (text[at++] !== whole[0]) return values;
      continue;
    }
    if (conversion !== "c") while (isSpace(text[at])) at++;
    const room = text.slice(at, width === undefined ? undefined : at + Number(width));
    const found = conversion === "c" ? room.slice(0, Number(width ?? 1)) : conversion === "s" ? /^\S*/.exec(room)?.[0] ?? "" : matching(DIGITS[conversion], room);
    if (found === "") return values;
    at += found.length;
    if (skip === undefined) values.push(conversion === "c" || conversion === "s" ? found : integer(conversion, found));
  }
  return values;
}

function matching(pattern: RegExp | undefined, text: string): string {
  if (pattern === undefined) return "";
  pattern.lastIndex = 0;
  return pattern.exec(text)?.[0] ?? "";
}
