/** ps as busybox prints it, from /proc; and killall's and pidof's way to find processes by name. */
import { to } from "../../sched/steps.ts";
import { readdir, slurp, type Entry } from "../files_lib.ts";
import { ownerName, parseNames } from "../listing.ts";
import { getopt } from "../options.ts";
import type { Proc, ToolStep } from "../proc.ts";
import { tool } from "../tool.ts";

interface Process {
  pid: number;
  ppid: number;
  uid: number;
  comm: string;
  state: string;
  args: string;
  vsz: number;
  rss: number;
  pgid: number;
  sid: number;
  nice: number;
  /** utime and stime together, ticks. */
  ticks: number;
}

interface PsLocals {
  columns: string[];
  names: string[];
  signal: number;
  entries: Entry[];
  next: number;
  users: string;
  stat: string;
  status: string;
  cmdline: string;
  found: Process[];
  failed: number;
}

function processOf(l: PsLocals): Process | null {
  const open = l.stat.indexOf("(");
  const close = l.stat.lastIndexOf(")");
  if (open < 0 || close < 0) return null;
  const fields = l.stat.slice(close + 2).split(" ");
  // As busybox: 15 characters, though a worker of the kernel shows more.
  const comm = l.stat.slice(open + 1, close).slice(0, 15);
  const words = l.cmdline.split("\0").filter((word, at, all) => word !== "" || at < all.length - 1);
  const uid = Number(/^Uid:\t([0-9]+)/m.exec(l.status)?.[1] ?? 0);
  // As busybox: a name that the first word does not end in stands in braces before it.
  const base = (words[0] ?? "").replace(/^.*\//, "").replace(/^-/, "");
  const args = words.length === 0 || l.cmdline === "" ? `[${comm}]` : base.slice(0, 15) === comm ? words.join(" ") : `{${comm}} ${words.join(" ")}`;
  return {
    pid: Number(l.stat.slice(0, open)), ppid: Number(fields[1]), uid, comm, state: fields[0], args, vsz: Math.floor(Number(fields[20]) / 1024), rss: Number(fields[21]) * 4,
    pgid: Number(fields[2]), sid: Number(fields[3]), nice: Number(fields[16]), ticks: Number(fields[11]) + Number(fields[12]),
  };
}

/** Reads /proc; the step after these finds the processes in `found`. */
const gather: { [step: string]: ToolStep<PsLocals> } = {
  users: () => slurp("/etc/passwd", "users"),
  list: () => readdir("/proc", "entries"),
  sorted: (_p, l) => {
    l.entries = l.entries.filter(({ name }) => /^[0-9]+$/.test(name)).sort((a, b) => Number(a.name) - Number(b.name));
    return to("next");
  },
  next: (_p, l) => {
    if (l.next >= l.entries.length) return to("told");
    l.stat = l.status = l.cmdline = "";
    return slurp(`/proc/${l.entries[l.next].name}/stat`, "stat");
  },
  status: (_p, l) => slurp(`/proc/${l.entries[l.next].name}/status`, "status"),
  cmdline: (_p, l) => slurp(`/proc/${l.entries[l.next].name}/cmdline`, "cmdline"),
  take: (_p, l) => {
    l.next++;
    const one = processOf(l);
    if (one !== null) l.found.push(one);
    return to("next");
  },
};

function blank(columns: string[], names: string[], signal = 0): PsLocals {
  return { columns, names, signal, entries: [], next: 0, users: "", stat: "", status: "", cmdline: "", found: [], failed: 0 };
}

interface Column {
  title: string;
  width: number;
  /** Numbers stand at the right. */
  right: boolean;
  value(process: Process, user: string): string;
}

const clock = (ticks: number): string => {
  const seconds = Math.floor(ticks / 100);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

const COLUMNS: { [name: string]: Column } = {
  pid: { title: "PID", width: 5, right: true, value: ({ pid }) => String(pid) },
  ppid: { title: "PPID", width: 5, right: true, value: ({ ppid }) => String(ppid) },
  user: { title: "USER", width: 8, right: false, value: (_, user) => user },
  uid: { title: "UID", width: 5, right: true, value: ({ uid }) => String(uid) },
  comm: { title: "COMMAND", width: 16, right: false, value: ({ comm }) => comm },
  args: { title: "COMMAND", width: 24, right: false, value: ({ args }) => args },
  stat: { title: "STAT", width: 4, right: false, value: ({ state }) => state },
  state: { title: "S", width: 1, right: false, value: ({ state }) => state },
  vsz: { title: "VSZ", width: 5, right: true, value: ({ vsz }) => String(vsz) },
  rss: { title: "RSS", width: 5, right: true, value: ({ rss }) => String(rss) },
  pgid: { title: "PGID", width: 5, right: true, value: ({ pgid }) => String(pgid) },
  sid: { title: "SID", width: 5, right: true, value: ({ sid }) => String(sid) },
  nice: { title: "NI", width: 5, right: true, value: ({ nice }) => String(nice) },
  time: { title: "TIME", width: 6, right: false, value: ({ ticks }) => clock(ticks) },
};
const OTHER: { [name: string]: string } = { cmd: "args", command: "args", ni: "nice", s: "state", pgrp: "pgid", ucmd: "comm", uname: "user" };

function print(p: Proc, l: PsLocals): number {
  const users = parseNames(l.users);
  const columns = l.columns.map((name) => COLUMNS[OTHER[name] ?? name]);
  const line = (texts: string[]): string => texts.map((text, at) => {
    if (at === texts.length - 1) return columns[at].right ? text.padStart(columns[at].width) : text;
    return columns[at].right ? text.padStart(columns[at].width) : text.padEnd(columns[at].width);
  }).join(" ");
  p.out(`${columns.map(({ title, width }, at) => (at === columns.length - 1 ? title : title.padEnd(width))).join(" ")}\n`);
  for (const process of l.found) p.out(`${line(columns.map((column) => column.value(process, ownerName(users, process.uid))))}\n`);
  return 0;
}

tool<PsLocals>("ps", "bin", (p, args) => {
  const { all } = getopt(args.map((word) => (/^[a-z]+$/.test(word) ? `-${word}` : word)), "o:efauxlwTAH", {});
  const given = all.filter(([letter]) => letter === "o").flatMap(([, value]) => value.split(",").map((name) => name.replace(/=.*$/, "")));
  const bad = given.find((name) => COLUMNS[OTHER[name] ?? name] === undefined);
  if (bad !== undefined) return p.fail(`bad -o argument '${bad}'`);
  return blank(given.length > 0 ? given : ["pid", "user", "args"], []);
}, { ...gather, told: (p, l) => print(p, l) });

const byName = ({ found, names }: PsLocals, own: number): Process[] => found.filter(({ comm, pid }) => pid !== own && names.includes(comm));

tool<PsLocals>("pidof", "bin", (_p, args) => blank([], args.filter((word) => !word.startsWith("-"))), {
  ...gather,
  told: (p, l) => {
    const pids = byName(l, p.task.tgid).map(({ pid }) => pid).reverse();
    if (pids.length > 0) p.out(`${pids.join(" ")}\n`);
    return pids.length > 0 ? 0 : 1;
  },
});

export { gather, blank, byName, type PsLocals };
