/** free, uptime, date, id, whoami, df, mount's list: what the kernel tells, laid out. */
import { errnoMessage } from "../../abi/errno.ts";
import { to } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { fullTime, ownerName, parseNames, strftime } from "../listing.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";

tool<{ text: string; unit: number }>("free", "bin", (p, args) => {
  const { has, problem } = getopt(args, "bkmgh");
  if (problem !== "") return p.fail(problem);
  return { text: "", unit: "b" in has ? 1 / 1024 : "m" in has ? 1024 : "g" in has ? 1 << 20 : 1 };
}, {
  read: () => slurp("/proc/meminfo", "text"),
  print: (p, { text, unit }) => {
    const kb = (name: string): number => Number(new RegExp(`^${name}: +([0-9]+)`, "m").exec(text)?.[1] ?? 0);
    const [total, unused, cached] = [kb("MemTotal"), kb("MemFree"), kb("Buffers") + kb("Cached") + kb("SReclaimable")];
    const row = (name: string, values: number[]): string =>
      `${name}${values.map((value, at) => String(Math.floor(value / unit)).padStart(at === 0 ? 19 - name.length : 12)).join("")}\n`;
    p.out("              total        used        free      shared  buff/cache   available\n");
    p.out(row("Mem:", [total, total - unused - cached, unused, kb("Shmem"), cached, kb("MemAvailable")]));
    p.out(row("Swap:", [kb("SwapTotal"), kb("SwapTotal") - kb("SwapFree"), kb("SwapFree")]));
    return 0;
  },
});

function seconds(p: Proc): number {
  return Number(new DataView(p.took(8).slice().buffer).getBigInt64(0, true));
}

tool<{ up: string; load: string; now: number }>("uptime", "bin", () => ({ up: "", load: "", now: 0 }), {
  clock: (p) => p.sys("clock_gettime", 0, { room: 16 }),
  up: (p, l) => {
    l.now = seconds(p);
    return slurp("/proc/uptime", "up");
  },
  load: () => slurp("/proc/loadavg", "load"),
  print: (p, { up, load, now }) => {
    const minutes = Math.floor(Number.parseFloat(up) / 60);
    const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
    const lasted = `${days > 0 ? `${days} day${days === 1 ? "" : "s"}, ` : ""}${hours > 0 ? `${String(hours).padStart(2)}:${String(rest).padStart(2, "0")}` : `${rest} min`}`;
    p.out(` ${strftime("%H:%M:%S", now)} up ${lasted},  load average: ${load.split(" ").slice(0, 3).join(", ")}\n`);
    return 0;
  },
});

tool<{ format: string | null }>("date", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "uRIs:d:", {});
  if (problem !== "") return p.fail(problem);
  if ("s" in has) return p.fail(`can't set date: ${errnoMessage(1)}`);
  const format = rest.find((word) => word.startsWith("+"));
  if (rest.length > 0 && format === undefined) return p.fail(`invalid date '${rest[0]}'`);
  return { format: format === undefined ? ("R" in has ? "%a, %d %b %Y %H:%M:%S +0000" : "I" in has ? "%F" : null) : format.slice(1) };
}, {
  clock: (p) => p.sys("clock_gettime", 0, { room: 16 }),
  print: (p, { format }) => {
    const ns = Number(new DataView(p.took(16).slice().buffer).getBigInt64(8, true));
    p.out(`${format === null ? fullTime(seconds(p), "UTC ") : strftime(format, seconds(p), ns)}\n`);
    return 0;
  },
});

tool<{ has: { [letter: string]: string }; users: string; groups: string }>("id", "bin", (p, args) => {
  const { has, problem } = getopt(args, "ugGnr");
  return problem === "" ? { has, users: "", groups: "" } : p.fail(problem);
}, {
  users: () => slurp("/etc/passwd", "users"),
  groups: () => slurp("/etc/group", "groups"),
  print: (p, { has, users, groups }) => {
    // What getuid, geteuid, getgid, getegid and getgroups answer.
    const { uid, euid, gid, egid, groups: others } = p.task.cred;
    const [userNames, groupNames] = [parseNames(users), parseNames(groups)];
    const named = (names: Map<number, string>, id: number): string => {
      const name = ownerName(names, id);
      return name === String(id) ? name : `${id}(${name})`;
    };
    const one = (names: Map<number, string>, id: number): string => ("n" in has ? ownerName(names, id) : String(id));
    if ("u" in has) p.out(`${one(userNames, "r" in has ? uid : euid)}\n`);
    else if ("g" in has) p.out(`${one(groupNames, "r" in has ? gid : egid)}\n`);
    else if ("G" in has) p.out(`${[...new Set([gid, ...others])].map((id) => one(groupNames, id)).join(" ")}\n`);
    else {
      const more = others.length > 0 ? ` groups=${[...new Set([gid, ...others])].map((id) => named(groupNames, id)).join(",")}` : "";
      const effective = `${euid === uid ? "" : ` euid=${named(userNames, euid)}`}${egid === gid ? "" : ` egid=${named(groupNames, egid)}`}`;
      p.out(`uid=${named(userNames, uid)} gid=${named(groupNames, gid)}${effective}${more}\n`);
    }
    return 0;
  },
});

tool<{ users: string }>("whoami", "bin", () => ({ users: "" }), {
  users: () => slurp("/etc/passwd", "users"),
  print: (p, { users }) => {
    p.out(`${ownerName(parseNames(users), p.task.cred.euid)}\n`);
    return 0;
  },
});

interface DfLocals {
  text: string;
  mounts: string[];
}

const STATFS = 120;

tool<DfLocals>("df", "bin", () => ({ text: "", mounts: [] }), {
  read: () => slurp("/proc/mounts", "text"),
  header: (p, l) => {
    p.out("Filesystem           1K-blocks      Used Available Use% Mounted on\n");
    l.mounts = l.text.split("\n").filter((line) => line !== "");
    return to("next");
  },
  next: (p, { mounts }) => (mounts.length === 0 ? 0 : p.sys("statfs", mounts[0].split(" ")[1], { room: STATFS })),
  row: (p, l) => {
    const [source, path] = (l.mounts.shift() ?? "").split(" ");
    const view = new DataView(p.took(STATFS).slice().buffer);
    const kb = (at: number): number => Math.floor((Number(view.getBigInt64(at, true)) * Number(view.getBigInt64(8, true))) / 1024);
    const [blocks, unused, available] = [kb(16), kb(24), kb(32)];
    if (p.ret < 0 || blocks === 0 || source === "rootfs") return to("next");
    const used = blocks - unused;
    const percent = Math.ceil((used * 100) / Math.max(1, used + available));
    p.out(`${source.padEnd(20)} ${String(blocks).padStart(9)} ${String(used).padStart(9)} ${String(available).padStart(9)} ${String(percent).padStart(3)}% ${path}\n`);
    return to("next");
  },
});

tool<{ name: string; value: string | null; text: string }>("sysctl", "sbin", (p, args) => {
  const word = args.find((one) => !one.startsWith("-"));
  if (word === undefined) return p.fail("missing operand");
  const equals = word.indexOf("=");
  return { name: equals < 0 ? word : word.slice(0, equals), value: equals < 0 ? null : word.slice(equals + 1), text: "" };
}, {
  read: (p, { name, value }) => {
    const path = `/proc/sys/${name.replaceAll(".", "/")}`;
    return value === null ? slurp(path, "text") : p.open(path, 1);
  },
  opened: (p, { name, value, text }) => {
    if (p.ret === -2) return p.fail(`error: '${name}' is an unknown key`);
    if (p.ret < 0) return p.fail(`error setting key '${name}': ${errnoMessage(-p.ret)}`);
    if (value !== null) return p.write(p.ret, `${value}\n`);
    p.out(`${name} = ${text.trimEnd().replaceAll("\n", `\n${name} = `)}\n`);
    return 0;
  },
  wrote: (p, { name, value }) => {
    if (p.ret < 0) return p.fail(`error setting key '${name}': ${errnoMessage(-p.ret)}`);
    p.out(`${name} = ${value}\n`);
    return 0;
  },
});
