/** dmesg of util-linux, from /dev/kmsg; -n, -C and -c ask syslog(2). */
import { errnoMessage, EAGAIN, EPIPE, EINVAL } from "../../abi/errno.ts";
import { O_NONBLOCK } from "../../abi/fcntl.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { fullTime, strftime } from "../listing.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";

const FACILITIES = ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const CLEAR = 5;
const CONSOLE_OFF = 6;
const CONSOLE_ON = 7;
const CONSOLE_LEVEL = 8;
const RECORD_MAX = 8192;
const SEEK_DATA = 3;
const SEEK_END = 2;

interface DmesgLocals {
  how: { [letter: string]: string };
  action: number;
  value: number;
  fd: number;
  /** Wall time at boot, ns, for -T. */
  bootNs: number;
  lastUs: number;
  lastMinute: number;
  any: boolean;
}

interface Entry {
  facility: number;
  level: number;
  us: number;
  text: string;
}

/** `<prio>,<sequence>,<microseconds>,<flags>;text`, with \xNN for what is not printable. */
function parseRecord(record: string): Entry {
  const semicolon = record.indexOf(";");
  const [prio, , us] = record.slice(0, semicolon).split(",");
  const [text] = record.slice(semicolon + 1).split("\n");
  const plain = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return { facility: Number(prio) >> 3, level: Number(prio) & 7, us: Number(us), text: plain };
}

const stamp = (us: number): string => `${String(Math.floor(us / 1_000_000)).padStart(5)}.${String(us % 1_000_000).padStart(6, "0")}`;

function laidOut(prefix: string, text: string): string {
  let escaped = "";
  for (const char of text) {
    const code = char.charCodeAt(0);
    escaped += (code >= 32 && code !== 127) || (code >= 9 && code <= 13) ? char : `\\x${code.toString(16).padStart(2, "0")}`;
  }
  // Further lines stand under the first; behind a newline that ends the text there is none.
  return `${prefix}${escaped.replaceAll(/\n(?=[^])/g, `\n${" ".repeat(prefix.length)}`)}\n`;
}

function wallTime(us: number): { date: string; month: string; clock: string } {
  const seconds = Math.floor(us / 1_000_000);
  return { date: fullTime(seconds), month: strftime("%b%d", seconds), clock: strftime("%H:%M", seconds) };
}

function timePrefix(l: DmesgLocals, entry: Entry): string {
  if ("t" in l.how) return "";
  if ("T" in l.how) return `[${wallTime(l.bootNs / 1000 + entry.us).date}] `;
  if (!("H" in l.how)) return `[${stamp(entry.us)}] `;
  const { month, clock } = wallTime(l.bootNs / 1000 + entry.us);
  const minute = Math.floor((l.bootNs / 1000 + entry.us) / 60_000_000);
  const delta = entry.us - l.lastUs;
  const shown = minute !== l.lastMinute ? `[${month} ${clock}] ` : `[${`+${Math.floor(delta / 1_000_000)}`.padStart(4)}.${String(delta % 1_000_000).padStart(6, "0")}] `;
  l.lastMinute = minute;
  l.lastUs = entry.us;
  return shown;
}

function jsonEntry({ facility, level, us, text }: Entry, l: DmesgLocals): string {
  const decoded = "x" in l.how;
  const prio = decoded ? `"fac": "${FACILITIES[facility] ?? facility}",\n         "pri": "${LEVELS[level]}"` : `"pri": ${facility * 8 + level}`;
  return `${l.any ? ",{" : "{"}\n         ${prio},\n         "time": ${stamp(us).padStart(12)},\n         "msg": ${JSON.stringify(text)}\n      }`;
}

function show(p: Proc, l: DmesgLocals, entry: Entry): void {
  const { how } = l;
  const levels = how.l?.split(",");
  if (levels !== undefined && !levels.includes(LEVELS[entry.level])) return;
  if ("k" in how && entry.facility !== 0) return;
  if ("u" in how && entry.facility === 0) return;
  if ("J" in how) p.out(jsonEntry(entry, l));
  else if ("r" in how) p.out(laidOut(`<${entry.facility * 8 + entry.level}>[${stamp(entry.us)}] `, entry.text));
  else {
    const decoded = "x" in how ? `${(FACILITIES[entry.facility] ?? String(entry.facility)).padEnd(6)}:${LEVELS[entry.level].padEnd(6)}: ` : "";
    p.out(laidOut(decoded + timePrefix(l, entry), entry.text));
  }
  l.any = true;
}

function begin(p: Proc, args: string[]): DmesgLocals | number {
  const { has, problem } = getopt(args, "xrtTHJCcDEn:l:kuwWLP", {
    decode: "x", raw: "r", notime: "t", ctime: "T", human: "H", json: "J", clear: "C", "read-clear": "c", "console-off": "D", "console-on": "E",
    "console-level": "n", level: "l", kernel: "k", userspace: "u", follow: "w", "follow-new": "W", color: "L", nopager: "P",
  });
  if (problem !== "") return p.fail(problem);
  const bad = has.l?.split(",").find((level) => !LEVELS.includes(level));
  if (bad !== undefined) return p.fail(`unknown level '${bad}'`);
  const action = "C" in has ? CLEAR : "D" in has ? CONSOLE_OFF : "E" in has ? CONSOLE_ON : "n" in has ? CONSOLE_LEVEL : -1;
  const level = "n" in has ? (LEVELS.indexOf(has.n) >= 0 ? LEVELS.indexOf(has.n) + 1 : Number.parseInt(has.n, 10)) : 0;
  return { how: has, action, value: Number.isNaN(level) ? 0 : level, fd: -1, bootNs: 0, lastUs: 0, lastMinute: -1, any: false };
}

tool<DmesgLocals>("dmesg", "bin", begin, {
  action: (p, { action, value }) => (action < 0 ? to("clock") : p.sys("syslog", action, 0, value)),
  acted: (p) => {
    if (p.ret >= 0) return 0;
    p.warn(`klogctl: ${errnoMessage(-p.ret)}`);
    return 1;
  },
  clock: (p) => p.sys("clock_gettime", 0, { room: 16 }),
  boottime: (p, l) => {
    l.bootNs = seconds(p);
    return p.sys("clock_gettime", 1, { room: 16 });
  },
  open: (p, l) => {
    l.bootNs -= seconds(p);
    const follows = "w" in l.how || "W" in l.how;
    return p.open("/dev/kmsg", follows ? 0 : O_NONBLOCK);
  },
  opened: (p, l) => {
    if (p.ret < 0) return p.fail(`read kernel buffer failed: ${errnoMessage(-p.ret)}`);
    l.fd = p.ret;
    return p.sys("lseek", l.fd, 0, "W" in l.how ? SEEK_END : SEEK_DATA);
  },
  begin: (p, l) => {
    if ("J" in l.how) p.out("{\n   \"dmesg\": [\n      ");
    return NEXT;
  },
  read: (p, l) => p.read(l.fd, RECORD_MAX),
  got: (p, l) => {
    if (p.ret === -EPIPE) return to("read");
    if (p.ret > 0) {
      show(p, l, parseRecord(p.text(p.ret)));
      return to("flush");
    }
    if (p.ret !== -EAGAIN && p.ret !== 0 && p.ret !== -EINVAL) return p.fail(`read kernel buffer failed: ${errnoMessage(-p.ret)}`);
    if ("J" in l.how) p.out("\n   ]\n}\n");
    return "c" in l.how ? p.sys("syslog", CLEAR, 0, 0) : 0;
  },
  end: () => 0,
  // Who follows sees every record at once.
  flush: (p, l) => {
    if (!("w" in l.how) && !("W" in l.how)) return to("read");
    const { main } = p;
    const text = main.out;
    main.out = "";
    return p.write(1, text);
  },
  flushed: () => to("read"),
});

function seconds(p: Proc): number {
  const view = new DataView(p.took(16).slice().buffer);
  return Number(view.getBigInt64(0, true)) * 1_000_000_000 + Number(view.getBigInt64(8, true));
}
