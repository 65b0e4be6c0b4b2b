/** Recorded scenarios of system calls: their format, and reading them without rounding a number. */

export type Value = null | boolean | number | bigint | string | Value[] | { [key: string]: Value };

export interface Step {
  as: string;
  call: string;
  args: { [name: string]: Value };
  ret: Value;
  errno: string | null;
  /** Name that the result gets: one, or one a descriptor. */
  bind?: string | string[];
  /** Name of the process that a fork makes. */
  child?: string;
  /** The call had not returned after about 120 ms. */
  blocked?: boolean;
  /** What another kernel answered; either is right. */
  alt?: { [field: string]: Value };
  [output: string]: Value | undefined;
}

export interface Scenario {
  name: string;
  area: string;
  steps: Step[];
}

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** JSON.parse that keeps integers beyond 2^53-1 as bigints. */
export function parseExact(text: string): Value {
  let at = 0;
  const fail = (): never => {
    throw new SyntaxError(`malformed JSON at ${at}: ${text.slice(at, at + 40)}`);
  };
  const space = (): void => {
    while (at < text.length && " \t\r\n".includes(text[at])) at++;
  };
  const string = (): string => {
    let end = at + 1;
    while (text[end] !== "\"") {
      if (end >= text.length) fail();
      end += text[end] === "\\" ? 2 : 1;
    }
    const value = JSON.parse(text.slice(at, end + 1)) as string;
    at = end + 1;
    return value;
  };
  const word = <T extends Value>(name: string, value: T): T => {
    if (!text.startsWith(name, at)) fail();
    at += name.length;
    return value;
  };
  const value = (): Value => {
    space();
    const first = text[at];
    if (first === "\"") return string();
    if (first === "{") return object();
    if (first === "[") return array();
    if (first === "t") return word("true", true);
    if (first === "f") return word("false", false);
    if (first === "n") return word("null", null);
    NUMBER.lastIndex = at;
    const [digits] = NUMBER.exec(text) ?? fail();
    at += digits.length;
    const number = Number(digits);
    return Number.isSafeInteger(number) || /[.eE]/.test(digits) ? number : BigInt(digits);
  };
  const object = (): Value => {
    const record: { [key: string]: Value } = {};
    at++;
    for (space(); text[at] !== "}"; space()) {
      if (text[at] !== "\"") fail();
      const key = string();
      space();
      if (text[at++] !== ":") fail();
      record[key] = value();
      space();
      if (text[at] === ",") at++;
      else if (text[at] !== "}") fail();
    }
    at++;
    return record;
  };
  const array = (): Value => {
    const items: Value[] = [];
    at++;
    for (space(); text[at] !== "]"; space()) {
      items.push(value());
      space();
      if (text[at] === ",") at++;
      else if (text[at] !== "]") fail();
    }
    at++;
    return items;
  };
  const whole = value();
  space();
  if (at !== text.length) fail();
  return whole;
}

/** The scenarios of a file, one a line. */
export function parseScenarios(text: string): Scenario[] {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => parseExact(line) as unknown as Scenario);
}
