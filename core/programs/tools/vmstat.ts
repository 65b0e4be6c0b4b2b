/** vmstat of procps: who runs, memory, swap, the disk, interrupts and where the CPUs' time went. */
import { USER_HZ } from "../../abi/limits.ts";
import { to } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";
import { timespec } from "./sleep.ts";

const CLOCK_MONOTONIC = 1;
const NS = 1_000_000_000;
/** Lines between two headers where the screen's height is not known. */
const SCREEN = 21;

const UNITS: { [name: string]: number } = { k: 1000, K: 1024, m: 1_000_000, M: 1 << 20 };

/** What only grows, of which later lines show the growth. */
interface Counts {
  /** Hundredths of a second: user and nice, system with interrupts, idle, waiting for the disk, stolen. */
  cpu: number[];
  swapIn: number;
  swapOut: number;
  pagesIn: number;
  pagesOut: number;
  interrupts: number;
  switches: number;
}

interface VmstatLocals {
  /** Seconds between two lines, and how many lines there are; 0 for no end. */
  delay: number;
  count: number;
  line: number;
  active: boolean;
  oneHeader: boolean;
  skipFirst: boolean;
  unit: number;
  stat: string;
  vmstat: string;
  meminfo: string;
  before: Counts | null;
}

const USAGE = `
Usage:
 vmstat [options] [delay [count]]

Options:
 -a, --active           active/inactive memory
 -n, --one-header       do not redisplay header
 -S, --unit <char>      define display unit
 -y, --no-first         skips first line of output

For more details see vmstat(8).
`;

function usage(p: Proc, problem = ""): number {
  if (problem !== "") p.warn(problem);
  p.err(USAGE);
  return 1;
}

tool<VmstatLocals>("vmstat", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "anyS:", { active: "a", "one-header": "n", "no-first": "y", unit: "S" });
  if (problem !== "") return usage(p, problem);
  const unit = UNITS[has.S ?? "K"];
  if (unit === undefined) return p.fail("-S requires k, K, m or M (default is KiB)");
  const bad = rest.slice(0, 2).find((word) => !/^[0-9]{1,9}$/.test(word));
  if (bad !== undefined) return p.fail(`failed to parse argument: '${bad}'`);
  if (rest.length > 2) return usage(p);
  const [delay, count] = rest.map(Number);
  if (delay === 0) return p.fail("delay must be positive integer");
  // As procps: without a delay there is one line, without a count no end.
  return {
    delay: delay ?? 1, count: delay === undefined ? 1 : count === undefined ? 0 : Math.max(1, count), line: 0, active: "a" in has, oneHeader: "n" in has,
    skipFirst: "y" in has, unit, stat: "", vmstat: "", meminfo: "", before: null,
  };
}, {
  header: (p, l) => {
    if (l.line === 0 || (!l.oneHeader && l.line % SCREEN === 0)) p.out(header(l.active));
    return slurp("/proc/stat", "stat");
  },
  vm: () => slurp("/proc/vmstat", "vmstat"),
  memory: () => slurp("/proc/meminfo", "meminfo"),
  print: (p, l) => {
    const now = counts(l);
    if (!(l.skipFirst && l.line === 0)) p.out(lineOf(l, now));
    l.before = now;
    l.line++;
    if (l.count > 0 && l.line >= l.count) return 0;
    return p.sys("clock_nanosleep", CLOCK_MONOTONIC, 0, timespec(l.delay * NS), 0);
  },
  again: () => to("header"),
});

function header(active: boolean): string {
  return "procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----\n"
    + ` r  b   swpd   free  ${active ? "inact active" : " buff  cache"}   si   so    bi    bo   in   cs us sy id wa st\n`;
}

/** The number behind a name at the beginning of a line. */
function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:? +([0-9]+)`, "m").exec(text)?.[1] ?? 0);
}

function counts({ stat, vmstat }: VmstatLocals): Counts {
  const [user, nice, system, idle, iowait, irq, softirq, steal] = stat.slice(0, stat.indexOf("\n")).split(/ +/).slice(1).map(Number);
  return {
    cpu: [user + nice, system + irq + softirq, idle, iowait, steal],
    swapIn: field(vmstat, "pswpin"), swapOut: field(vmstat, "pswpout"), pagesIn: field(vmstat, "pgpgin"), pagesOut: field(vmstat, "pgpgout"),
    interrupts: field(stat, "intr"), switches: field(stat, "ctxt"),
  };
}

/** A report: since the machine's start, rates by the time of all its CPUs together; later ones since the line before, by the delay. */
function lineOf({ stat, meminfo, before, delay, unit, active }: VmstatLocals, now: Counts): string {
  const cpu = now.cpu.map((ticks, at) => Math.max(0, ticks - (before?.cpu[at] ?? 0)));
  let all = cpu.reduce((sum, ticks) => sum + ticks, 0);
  if (all === 0) [all, cpu[2]] = [1, 1];
  const rate = (name: Exclude<keyof Counts, "cpu">, scale = 1): number => {
    const grown = Math.floor((now[name] - (before?.[name] ?? 0)) * scale);
    return before === null ? Math.floor((grown * USER_HZ + (all >> 1)) / all) : Math.floor((grown + (delay >> 1)) / delay);
  };
  const size = (kib: number): number => Math.floor((kib * 1024) / unit);
  const cached = field(meminfo, "Cached") + field(meminfo, "SReclaimable");
  const pageSize = 4096 / unit;
  const columns: [value: number, width: number][] = [
    // vmstat itself runs as it looks.
    [Math.max(0, field(stat, "procs_running") - 1), 2], [field(stat, "procs_blocked"), 2],
    [size(field(meminfo, "SwapTotal") - field(meminfo, "SwapFree")), 6], [size(field(meminfo, "MemFree")), 6],
    [size(active ? field(meminfo, "Inactive") : field(meminfo, "Buffers")), 6], [size(active ? field(meminfo, "Active") : cached), 6],
    [rate("swapIn", pageSize), 4], [rate("swapOut", pageSize), 4], [rate("pagesIn"), 5], [rate("pagesOut"), 5],
    [rate("interrupts"), 4], [rate("switches"), 4],
    ...cpu.map((ticks): [number, number] => [Math.floor((100 * ticks + (all >> 1)) / all), 2]),
  ];
  return `${columns.map(([value, width]) => String(value).padStart(width)).join(" ")}\n`;
}
