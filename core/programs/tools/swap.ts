/** swapon and swapoff of util-linux. Labels and UUIDs of swap are not known here, and no /etc/fstab names any. */
import { ENOENT, ENOMEM, ENXIO, EPERM, errnoMessage } from "../../abi/errno.ts";
import { O_CLOEXEC } from "../../abi/fcntl.ts";
import { isBlockDevice } from "../../abi/stat.ts";
import { SWAP_FLAG_PREFER, SWAP_FLAG_PRIO_MASK } from "../../abi/swap.ts";
import { to } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";

/** A line of /proc/swaps. */
interface Swap {
  name: string;
  type: string;
  /** KiB */
  size: number;
  used: number;
  priority: string;
}

function parseSwaps(text: string): Swap[] {
  return text.split("\n").slice(1).filter((line) => line !== "").map((line) => {
    const [path, type, size, used, priority] = line.split(/\s+/);
    const name = path.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
    return { name, type, size: Number(size), used: Number(used), priority };
  });
}

/** A number of bytes with one digit behind the point at most, and a letter: 64M, 1.5G. */
function humanSize(bytes: number): string {
  let unit = 0;
  while (unit < 4 && bytes >= 1024 ** (unit + 1)) unit++;
  const tenths = unit === 0 ? bytes * 10 : Math.floor((Math.floor(bytes / 1024 ** (unit - 1)) * 10 + 512) / 1024);
  return `${tenths % 10 === 0 ? tenths / 10 : `${Math.floor(tenths / 10)}.${tenths % 10}`}${"BKMGT"[unit]}`;
}

const COLUMNS: { [name: string]: { right: boolean; value: (swap: Swap, bytes: boolean) => string } } = {
  NAME: { right: false, value: ({ name }) => name },
  TYPE: { right: false, value: ({ type }) => type },
  SIZE: { right: true, value: ({ size }, bytes) => (bytes ? String(size * 1024) : humanSize(size * 1024)) },
  USED: { right: true, value: ({ used }, bytes) => (bytes ? String(used * 1024) : humanSize(used * 1024)) },
  PRIO: { right: true, value: ({ priority }) => priority },
  UUID: { right: false, value: () => "" },
  LABEL: { right: false, value: () => "" },
};

interface Shown {
  columns: string[];
  bytes: boolean;
  headings: boolean;
  raw: boolean;
}

/** The table of `swapon --show`; nothing at all when no swap is on. */
function table(swaps: Swap[], { columns, bytes, headings, raw }: Shown): string {
  if (swaps.length === 0) return "";
  const rows = swaps.map((swap) => columns.map((name) => COLUMNS[name].value(swap, bytes)));
  if (headings) rows.unshift(columns);
  if (raw) return rows.map((row) => `${row.join(" ")}\n`).join("");
  const widths = columns.map((_name, at) => Math.max(...rows.map((row) => row[at].length)));
  const cell = (text: string, at: number): string => (COLUMNS[columns[at]].right ? text.padStart(widths[at]) : text.padEnd(widths[at]));
  return rows.map((row) => `${row.map(cell).join(" ").trimEnd()}\n`).join("");
}

/** /proc/swaps as `swapon -s` tells it again. */
function summary(swaps: Swap[]): string {
  if (swaps.length === 0) return "";
  const tab = (kib: number): string => (kib < 10_000_000 ? "\t" : "");
  return `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n${swaps.map(({ name, type, size, used, priority }) =>
    `${name.padEnd(39)} ${type === "partition" ? type : `${type}\t`}\t${size}\t${tab(size)}${used}\t${tab(used)}${priority}\n`).join("")}`;
}

function tryHelp(p: Proc, problem: string, status: number): number {
  p.err(`${p.name}: ${problem}\nTry '${p.name} --help' for more information.\n`);
  return status;
}

interface SwaponLocals extends Shown {
  mode: "show" | "summary" | "on";
  text: string;
  devices: string[];
  next: number;
  flags: number;
  ifExists: boolean;
  verbose: boolean;
  fd: number;
  status: number;
}

const LONG = {
  all: "a", summary: "s", show: "S", priority: "p", verbose: "v", noheadings: "N", raw: "R", bytes: "B", ifexists: "e", fixpgsz: "f", discard: "d", options: "o",
};

tool<SwaponLocals>("swapon", "sbin", (p, args) => {
  const { has, rest, problem } = getopt(args, "asvefdp:o:", LONG);
  if (problem !== "") return tryHelp(p, problem, 1);
  const columns = (has.S || "NAME,TYPE,SIZE,USED,PRIO").toUpperCase().split(",");
  const unknown = columns.find((name) => !Object.hasOwn(COLUMNS, name));
  if (unknown !== undefined) return p.fail(`unknown column: ${unknown.toLowerCase()}`);
  const given = has.p ?? /(?:^|,)pri=(-?[0-9]+)/.exec(has.o ?? "")?.[1];
  if (given !== undefined && !/^-?[0-9]+$/.test(given)) return p.fail("failed to parse priority");
  const priority = Number(given ?? -1);
  const nothing = rest.length === 0 && !("a" in has);
  return {
    columns, bytes: "B" in has, headings: !("N" in has), raw: "R" in has, mode: "s" in has ? "summary" : "S" in has || nothing ? "show" : "on",
    text: "", devices: rest, next: 0, flags: priority < 0 ? 0 : SWAP_FLAG_PREFER | Math.min(priority, SWAP_FLAG_PRIO_MASK),
    ifExists: "e" in has, verbose: "v" in has, fd: -1, status: 0,
  };
}, {
  what: (_p, { mode }) => (mode === "on" ? to("next") : to("list")),
  next: (p, l) => {
    if (l.next >= l.devices.length) return l.status;
    const device = l.devices[l.next];
    if (l.verbose) p.out(`swapon ${device}\n`);
    return p.open(device, O_CLOEXEC);
  },
  opened: (p, l) => {
    l.fd = p.ret;
    // The disk's own node cannot be opened to look at: the call sees what there is.
    if (p.ret >= 0 || p.ret === -ENXIO) return to("look");
    if (p.ret === -ENOENT && l.ifExists) return to("after");
    p.warn(`cannot open ${l.devices[l.next]}: ${errnoMessage(-p.ret)}`);
    return to("refused");
  },
  look: (p, l) => p.statOf(l.devices[l.next]),
  looked: (p, l) => {
    if (p.ret < 0) return to("refused");
    const { st_mode } = p.stat();
    const mask = isBlockDevice(st_mode) ? 0o7007 : 0o7077;
    const octal = (mode: number): string => mode.toString(8).padStart(4, "0");
    if ((st_mode & mask) !== 0) p.warn(`${l.devices[l.next]}: insecure permissions ${octal(st_mode & 0o7777)}, ${octal(~mask & 0o666)} suggested.`);
    return l.fd < 0 ? to("on") : p.read(l.fd);
  },
  header: (p, l) => {
    const known = p.ret >= 4096 && p.text(4096).slice(-10) === "SWAPSPACE2";
    if (known) return to("close");
    p.warn(`${l.devices[l.next]}: read swap header failed`);
    l.status = 255;
    return to("skip");
  },
  close: (p, l) => p.sys("close", l.fd),
  on: (p, l) => p.sys("swapon", l.devices[l.next], l.flags),
  done: (p, l) => {
    if (p.ret >= 0) return to("after");
    p.warn(`${l.devices[l.next]}: swapon failed: ${errnoMessage(-p.ret)}`);
    return to("refused");
  },
  refused: (_p, l) => {
    l.status = 255;
    return to("after");
  },
  skip: (p, l) => p.sys("close", l.fd),
  after: (_p, l) => {
    l.next++;
    return to("next");
  },
  list: () => slurp("/proc/swaps", "text"),
  print: (p, l) => {
    const swaps = parseSwaps(l.text);
    p.out(l.mode === "summary" ? summary(swaps) : table(swaps, l));
    return 0;
  },
});

interface SwapoffLocals {
  all: boolean;
  text: string;
  devices: string[];
  next: number;
  verbose: boolean;
  failed: number;
  status: number;
}

/** What swapoff ends with: see "EXIT STATUS" of swapoff(8). */
const STATUS = { memory: 2, failure: 4, usage: 16, allFailed: 32, someFailed: 64 };

tool<SwapoffLocals>("swapoff", "sbin", (p, args) => {
  const { has, rest, problem } = getopt(args, "av", { all: "a", verbose: "v" });
  if (problem !== "") return tryHelp(p, problem, STATUS.usage);
  if (rest.length === 0 && !("a" in has)) return tryHelp(p, "bad usage", STATUS.usage);
  return { all: "a" in has, text: "", devices: rest, next: 0, verbose: "v" in has, failed: 0, status: 0 };
}, {
  next: (p, l) => {
    if (l.next >= l.devices.length) return to(l.all ? "list" : "end");
    if (l.verbose) p.out(`swapoff ${l.devices[l.next]}\n`);
    return p.sys("swapoff", l.devices[l.next]);
  },
  done: (p, l) => {
    const device = l.devices[l.next++];
    if (p.ret >= 0) return to("next");
    if (p.ret === -EPERM) return p.fail("Not superuser.", STATUS.usage);
    p.warn(`${device}: swapoff failed: ${errnoMessage(-p.ret)}`);
    l.status |= p.ret === -ENOMEM ? STATUS.memory : STATUS.failure;
    return to("next");
  },
  end: (_p, { status }) => status,
  list: () => slurp("/proc/swaps", "text"),
  listed: (_p, l) => {
    l.devices = parseSwaps(l.text).map(({ name }) => name).reverse();
    l.next = 0;
    return to("each");
  },
  each: (p, l) => {
    if (l.next < l.devices.length) {
      if (l.verbose) p.out(`swapoff ${l.devices[l.next]}\n`);
      return p.sys("swapoff", l.devices[l.next]);
    }
    return l.failed === 0 ? l.status : l.status | (l.failed === l.devices.length ? STATUS.allFailed : STATUS.someFailed);
  },
  // With --all only a lack of memory is told of in words.
  gone: (p, l) => {
    const device = l.devices[l.next++];
    if (p.ret === -EPERM) return p.fail("Not superuser.", STATUS.usage);
    if (p.ret === -ENOMEM) p.warn(`${device}: swapoff failed: ${errnoMessage(ENOMEM)}`);
    if (p.ret < 0) l.failed++;
    return to("each");
  },
});
