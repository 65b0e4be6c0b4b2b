/** The common /proc files as JSON: what a program would otherwise parse itself. */
import { invalid } from "../errors.ts";

type Parsed = Record<string, unknown>;
type Parser = (text: string) => Parsed;

const lines = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");
const words = (line: string): string[] => line.trim().split(/\s+/);
/** A decimal number where it is one that is exact, else the word. */
const value = (word: string): number | string => (/^-?\d+(\.\d+)?$/.test(word) && Number.isSafeInteger(Math.trunc(Number(word))) ? Number(word) : word);

/** `Name: value` lines; `kB` is dropped, so the numbers are KiB. */
const colons: Parser = (text) => Object.fromEntries(lines(text).map((line) => {
  const at = line.indexOf(":");
  const rest = line.slice(at + 1).trim().replace(/ kB$/, "");
  const parts = rest.split(/\s+/);
  return [line.slice(0, at).trim(), parts.length > 1 ? parts.map(value) : value(rest)];
}));

/** `name value` lines. */
const pairs: Parser = (text) => Object.fromEntries(lines(text).map((line) => {
  const [name = "", ...rest] = words(line);
  return [name, rest.length === 1 ? value(rest[0]!) : rest.map(value)];
}));

const table = (field: string, names: string[]): Parser => (text) => ({
  [field]: lines(text).map((line) => Object.fromEntries(words(line).map((word, at) => [names[at] ?? `field${at}`, value(word)]))),
});

const CPU = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestNice"];

const stat: Parser = (text) => {
  const cpus: Parsed[] = [];
  const all: Parsed = {};
  for (const line of lines(text)) {
    const [name = "", ...rest] = words(line);
    if (/^cpu\d*$/.test(name)) {
      const times = Object.fromEntries(rest.map((word, at) => [CPU[at] ?? `field${at}`, value(word)]));
      if (name === "cpu") all["cpu"] = times;
      else cpus.push(times);
    } else all[name] = rest.length === 1 ? value(rest[0]!) : rest.map(value);
  }
  return { ...all, cpus };
};

const devices: Parser = (text) => {
  const found: { [kind: string]: { major: number | string; name: string }[] } = { character: [], block: [] };
  let kind = "character";
  for (const line of lines(text)) {
    if (line.endsWith(":")) kind = line.startsWith("Block") ? "block" : "character";
    else {
      const [major = "", name = ""] = words(line);
      found[kind]!.push({ major: value(major), name });
    }
  }
  return found;
};

/** A heading of CPUs, then `name: count count … text`. */
const perCpu: Parser = (text) => {
  const [heading = "", ...rest] = lines(text);
  const cpus = words(heading).length;
  return {
    rows: rest.map((line) => {
      const [name = "", ...parts] = words(line);
      return { name: name.replace(/:$/, ""), counts: parts.slice(0, cpus).map(value), text: parts.slice(cpus).join(" ") };
    }),
  };
};

const maps: Parser = (text) => ({
  mappings: lines(text).map((line) => {
    const [range = "", perms = "", offset = "", dev = "", inode = "", ...path] = words(line);
    const [start = "", end = ""] = range.split("-");
    return { start: `0x${start}`, end: `0x${end}`, perms, offset: `0x${offset}`, dev, inode: value(inode), path: path.join(" ") };
  }),
});

const PID_STAT = [
  "pid", "comm", "state", "ppid", "pgrp", "session", "tty_nr", "tpgid", "flags", "minflt", "cminflt", "majflt", "cmajflt", "utime", "stime",
  "cutime", "cstime", "priority", "nice", "num_threads", "itrealvalue", "starttime", "vsize", "rss", "rsslim",
];

const pidStat: Parser = (text) => {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const fields = [text.slice(0, open).trim(), text.slice(open + 1, close), ...words(text.slice(close + 1))];
  return Object.fromEntries(fields.map((word, at) => [PID_STAT[at] ?? `field${at + 1}`, at === 1 ? word : value(word)]));
};

const one = (names: string[]): Parser => (text) => Object.fromEntries(words(text).map((word, at) => [names[at] ?? `field${at}`, value(word)]));

const PARSERS: [RegExp, Parser][] = [
  [/^meminfo$/, colons],
  [/^vmstat$/, pairs],
  [/^stat$/, stat],
  [/^uptime$/, one(["uptime", "idle"])],
  [/^loadavg$/, one(["one", "five", "fifteen", "running", "lastPid"])],
  [/^version$/, (text) => ({ version: text.trim() })],
  [/^modules$/, table("modules", ["name", "size", "refcount", "usedBy", "state", "address", "taint"])],
  [/^devices$/, devices],
  [/^misc$/, table("devices", ["minor", "name"])],
  [/^(interrupts|softirqs)$/, perCpu],
  [/^(mounts|\d+\/mounts)$/, table("mounts", ["source", "target", "type", "options", "freq", "passno"])],
  [/^filesystems$/, (text) => ({ filesystems: lines(text).map((line) => ({ name: words(line).at(-1), nodev: line.startsWith("nodev") })) })],
  [/^swaps$/, (text) => table("swaps", ["filename", "type", "size", "used", "priority"])(lines(text).slice(1).join("\n"))],
  [/^cpuinfo$/, (text) => ({ processors: text.split("\n\n").filter((part) => part.trim() !== "").map(colons) })],
  [/^\d+(\/task\/\d+)?\/status$/, colons],
  [/^\d+(\/task\/\d+)?\/stat$/, pidStat],
  [/^\d+\/statm$/, one(["size", "resident", "shared", "text", "lib", "data", "dt"])],
  [/^\d+\/maps$/, maps],
  [/^\d+\/io$/, colons],
  [/^\d+\/(comm|wchan)$/, (text) => ({ value: text.trim() })],
  [/^\d+\/cmdline$/, (text) => ({ argv: text.split("\0").filter((word) => word !== "") })],
];

/** @throws Problem 422 for a file that has no such form */
export function procJson(path: string, text: string): Parsed {
  const inside = /^\/+proc\/+(.*)$/.exec(path)?.[1]?.replace(/\/+/g, "/") ?? "";
  for (const [pattern, parser] of PARSERS) if (pattern.test(inside)) return parser(text);
  throw invalid(`${path} has no JSON form here.`, [{ path: "/query/format", message: "json is for the common files of /proc" }]);
}
