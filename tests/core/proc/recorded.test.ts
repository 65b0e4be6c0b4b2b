/** /proc field by field beside a recorded Linux 6.1: names of files and their modes, labels in their order, lines by their form. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { view } from "../../../core/index.ts";
import type { MachineOptions } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

const recorded = (name: string): string[] => readFileSync(join(import.meta.dirname, "recorded", `${name}.txt`), "latin1").split("\n").slice(1);

async function booted(options: MachineOptions = {}): Promise<{ machine: CoreMachine; pid: number; lines: (path: string) => string[] }> {
  const machine = new CoreMachine(options);
  const pid = await machine.createProcess();
  return { machine, pid, lines: (path) => machine.text(`/proc/${path}`).split("\n") };
}

/** What stands before the first colon, tab, `=` or number of a line. */
const label = (line: string): string => (/^\s*([^:=\t]*?)\s*(?:[:=\t]|\s-?[0-9]|$)/.exec(line)?.[1] ?? "").trim();
const labels = (lines: string[]): string[] => lines.map(label).filter((name) => name !== "" && name !== "[rc] 0");
/** A line with its numbers and names of files taken out. */
const form = (line: string): string =>
  line.replace(/^( *)[0-9a-f]+-[0-9a-f]+ : /, "$1N-N : ").replace(/0x[0-9a-f]+|\b[0-9a-f]{8,}\b|-?[0-9]+(\.[0-9]+)?/g, "N").replace(/(N, )+N/g, "N").replace(/(\bN +)+N\b/g, "N").replace(/ +/g, " ").trim();
/** A block of a file that has several, from the line that `starts` on. */
function block(lines: string[], starts: RegExp, ends: RegExp): string[] {
  const from = lines.findIndex((line) => starts.test(line));
  if (from < 0) throw new Error(`no line is ${starts}`);
  const length = lines.slice(from + 1).findIndex((line) => ends.test(line));
  return lines.slice(from, length < 0 ? undefined : from + 1 + length);
}

describe("labels, all of them and in their order", () => {
  for (const name of ["meminfo", "vmstat", "softirqs"]) {
    // A head of columns, a processor each, says nothing of the rows.
    const rows = (lines: string[]): string[] => labels(lines.filter((line) => !/^ +CPU0/.test(line)));
    test(name, async () => expect(rows((await booted()).lines(name))).toEqual(rows(recorded(name))));
  }
  test("a zone of zoneinfo", async () => {
    const { lines } = await booted();
    const [us, linux] = [lines("zoneinfo"), recorded("zoneinfo")];
    expect(labels(block(us, /DMA32/, /^ {2}pages/))).toEqual(["Node", ...labels(block(linux, /per-node/, /^ {2}pages/))]);
    expect(labels(block(us, /^ {2}pages/, /pagesets/))).toEqual(labels(block(linux, /^ {2}pages/, /pagesets/)));
    expect(labels(block(us, /pagesets/, /cpu: 1/)).slice(0, 6)).toEqual(labels(block(linux, /pagesets/, /node_unre/)));
  });
  test("status, of a process and of a kernel thread", async () => {
    const { pid, lines } = await booted();
    expect(labels(lines(`${pid}/status`))).toEqual(labels(block(recorded("self"), /^Name:/, /^$/)));
    expect(labels(lines("2/status"))).toEqual(labels(block(recorded("kthread"), /^Name:/, /^nonvoluntary/)).concat("nonvoluntary_ctxt_switches"));
  });
  test("a mapping of smaps, and the rollup", async () => {
    const { pid, machine, lines } = await booted();
    machine.callNow(pid, "mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS", fd: -1 });
    const names = (all: string[]): string[] => labels(all).slice(1);
    expect(names(block(lines(`${pid}/smaps`), /^[0-9a-f]+-/, /^[0-9a-f]+-/))).toEqual(names(block(recorded("self-smaps"), /^[0-9a-f]+-/, /^[0-9a-f]+-/)));
    expect(names(lines(`${pid}/smaps_rollup`))).toEqual(names(block(recorded("self-smaps"), /rollup\]/, /^==/)));
  });
  test("limits, io, fdinfo", async () => {
    const { machine, pid, lines } = await booted();
    const words = (all: string[]): string[] => all.map((line) => line.slice(0, 26).trim()).filter((word) => word !== "");
    expect(words(lines(`${pid}/limits`))).toEqual(words(block(recorded("self"), /^Limit /, /^$/)));
    expect(labels(lines(`${pid}/io`))).toEqual(labels(block(recorded("self"), /^rchar/, /^$/)));
    const { ret: fd } = machine.callNow(pid, "openat", { pathname: "/dev/zero", flags: "O_RDONLY" }) as { ret: number };
    expect(labels(lines(`${pid}/fdinfo/${fd}`))).toEqual(labels(block(recorded("self-fdinfo"), /^pos:/, /^==/)));
  });
  test("a processor, but for what only that vendor tells", async () => {
    const own = ["microcode", "TLB size"];
    const names = labels(block((await booted()).lines("cpuinfo"), /^processor/, /^$/));
    expect(names).toEqual(labels(block(recorded("cpuinfo"), /^processor/, /^$/)).filter((name) => !own.includes(name)));
  });
  test("interrupts of the processors", async () => {
    const own = (lines: string[]): string[] => labels(lines).filter((name) => /^[A-Z]{3}$/.test(name));
    expect(own((await booted()).lines("interrupts"))).toEqual(own(recorded("interrupts")));
  });
  test("a processor's part of timer_list", async () => {
    const part = (lines: string[]): string[] => labels(lines.filter((line) => !line.startsWith(" #"))).slice(0, 74);
    expect(part((await booted()).lines("timer_list"))).toEqual(part(recorded("timer_list")));
  });
  test("an algorithm of crypto", async () => {
    const of = (lines: string[], type: string): string[] =>
      labels((lines.join("\n").split("\n\n").find((one) => one.includes(`: ${type}\n`)) ?? "").split("\n"));
    const { lines } = await booted();
    for (const type of ["shash", "cipher"]) expect(of(lines("crypto"), type)).toEqual(of(recorded("crypto"), type));
  });
});

describe("files that are the same", () => {
  for (const name of ["misc", "devices", "consoles", "dma", "execdomains", "fb", "partitions", "diskstats", "locks", "modules"]) {
    // The recorded kernel had no disk.
    test(name, async () => expect((await booted({ swapMiB: 0 })).lines(name)).toEqual(recorded(name)));
  }
});

test("swaps, without swap", () => {
  expect(new CoreMachine({ swapMiB: 0 }).text("/proc/swaps").split("\n")).toEqual(recorded("swaps"));
});

describe("lines of a form that Linux has", () => {
  const check = (us: string[], linux: string[]): void => {
    const forms = new Set(linux.map(form));
    for (const line of us) expect(forms, line).toContain(form(line));
  };
  for (const name of ["buddyinfo", "key-users", "ioports", "iomem", "uptime", "loadavg"]) {
    test(name, async () => check((await booted()).lines(name), recorded(name)));
  }
  test("stat and schedstat", async () => {
    const { lines } = await booted();
    expect(labels(lines("stat")).map((name) => name.replace(/[0-9]+$/, ""))).toEqual(["cpu", "cpu", "cpu", "intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq"]);
    expect(lines("schedstat").slice(0, 3).map(form)).toEqual(recorded("schedstat").slice(0, 3).map(form));
  });
  test("mounts and mountinfo", async () => {
    const { pid, lines } = await booted();
    for (const line of lines("mounts").slice(0, -1)) expect(line.split(" ")).toHaveLength(6);
    for (const line of lines(`${pid}/mountinfo`).slice(0, -1)) expect(line).toMatch(/^\d+ \d+ \d+:\d+ \S+ \S+ r[wo]\S* - \S+ \S+ r[wo]\S*$/);
  });
  test("heads of sysvipc, net and slabinfo", async () => {
    const { lines } = await booted();
    expect(["shm", "sem", "msg"].map((name) => lines(`sysvipc/${name}`)[0])).toEqual(recorded("sysvipc").slice(0, 3));
    const net = recorded("net");
    expect(lines("net/tcp")[0].trimEnd()).toBe(net[0].trimEnd());
    expect(lines("net/udp")[0].trimEnd()).toBe(net[1].trimEnd());
    expect(lines("net/unix")[0]).toBe(net[2]);
    expect(labels(lines("net/sockstat"))).toEqual(labels(block(net, /^sockets/, /^Ip:/)));
    expect(lines("slabinfo").slice(0, 2)).toEqual(recorded("slabinfo").slice(0, 2));
  });
  test("numa_maps", async () => {
    const { machine, pid, lines } = await booted();
    machine.callNow(pid, "mmap", { addr: "0x18000000", length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED", fd: -1 });
    machine.callNow(pid, "store", { addr: 0x18000000, buf: "x" });
    expect(lines(`${pid}/numa_maps`)).toContain("18000000 default anon=1 dirty=1 N0=1 kernelpagesize_kB=4");
  });
  test("timers", async () => {
    const { machine, pid, lines } = await booted();
    machine.callNow(pid, "timer_create", { clockid: "CLOCK_MONOTONIC", sevp: null });
    expect(lines(`${pid}/timers`)).toEqual(["ID: 0", expect.stringMatching(/^signal: 14\/[0-9a-f]{16}$/), `notify: signal/pid.${pid}`, "ClockID: 1", ""]);
  });
});

describe("what each machine has its own of, in the recorded form", () => {
  test("version", async () => {
    const shape = /^Linux version 6\.1\.0-\S+ \(\S+@\S+\) \(gcc-12 \(Debian 12\.2\.0\S*\)(?: 12\.2\.0)?, GNU ld .*2\.40\)? #1 SMP PREEMPT_DYNAMIC \S+ 6\.1\.\S+(?: \(\S+\))?$/;
    for (const [line] of [(await booted()).lines("version"), recorded("version")]) expect(line).toMatch(shape);
  });
  test("filesystems", async () => {
    const [us, linux] = [(await booted()).lines("filesystems").slice(0, -1), recorded("filesystems").filter((line) => line !== "")];
    for (const line of [...us, ...linux.filter((one) => one !== "[rc] 0")]) expect(line).toMatch(/^(nodev)?\t[a-z0-9]+$/);
    const shared = linux.filter((line) => us.includes(line));
    expect(us.filter((line) => linux.includes(line))).toEqual(shared);
    expect(shared.length).toBeGreaterThan(8);
  });
  test("mounts: options by their names", async () => {
    const options = (lines: string[], type: string): string[] =>
      (lines.find((line) => line.split(" ")[2] === type) ?? "").split(" ")[3]?.split(",").map((option) => option.replace(/=.*/, "")) ?? [];
    const { lines } = await booted();
    for (const type of ["rootfs", "devtmpfs", "tmpfs"]) expect(options(lines("mounts"), type), type).toEqual(options(recorded("mounts"), type));
  });
  test("the head of cgroups", async () => expect((await booted()).lines("cgroups")[0]).toBe(recorded("cgroups")[0]));
  test("a sleeping process", async () => {
    const { machine, pid, lines } = await booted();
    expect(machine.callNow(pid, "clock_nanosleep", { clockid: "CLOCK_REALTIME", flags: 0, request: { tv_sec: 50, tv_nsec: 0 } })).toMatchObject({ state: "sleeping" });
    const [wchan, syscall, ...rest] = recorded("blocked");
    expect(machine.text(`/proc/${pid}/wchan`)).toBe(wchan);
    const fields = (line: string): string[] => line.split(" ").map((word) => word.replace(/[0-9a-f]+$/, "N"));
    expect(fields(lines(`${pid}/syscall`)[0]!)).toEqual(fields(syscall!));
    const stat = rest.find((line) => line.includes(" (sleep) S "))!;
    expect(lines(`${pid}/stat`)[0]!.split(" ")).toHaveLength(stat.split(" ").length);
  });
  test("a zombie", async () => {
    const { machine, pid, lines } = await booted();
    const { ret: child } = machine.callNow(pid, "fork", {}) as unknown as { ret: number };
    machine.callNow(child, "exit_group", { status: 0 });
    const dead = recorded("blocked").findLast((line) => line.includes(" Z "))!.split(" ");
    const ours = lines(`${child}/stat`)[0]!.split(" ");
    expect(ours).toHaveLength(dead.length);
    // Sizes, limits and addresses are gone; the signal that it ends with is SIGCHLD.
    const fixed = [22, 23, 24, 25, 26, 27, 28, 29, 37];
    expect(fixed.map((at) => ours[at])).toEqual(fixed.map((at) => dead[at]));
    const status = block(recorded("blocked"), /^CapInh/, /^nonvoluntary/);
    expect(labels(lines(`${child}/status`)).slice(-status.length - 1, -1)).toEqual(labels(status).slice(0, status.length));
  });
});

/** Names and modes as `ls -l` tells them. */
function listing(lines: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const [, mode, name] = /^([-dl][-rwxst]{9}) +\d+ \S+ +\S+ +\d+ \S+ +\d+ \S+ ([^ ]+)/.exec(line) ?? [];
    if (name !== undefined && !/^[0-9.]+$/.test(name)) found.set(name, mode);
  }
  return found;
}

function modeText(mode: number): string {
  const type = { 0o40000: "d", 0o120000: "l", 0o100000: "-" }[mode & 0o170000] ?? "?";
  return type + [..."rwxrwxrwx"].map((letter, at) => ((mode >> (8 - at)) & 1) === 1 ? letter : "-").join("");
}

/** Of the recorded names, those that are not here, and those whose mode is another. */
function unlike(machine: CoreMachine, pid: number, path: string, wanted: Map<string, string>): string[] {
  const seen = view(machine.kernel, { uid: 0 }, path);
  const ours = new Set("entries" in seen && seen.kind === "directory" ? seen.entries.map(({ name }) => name) : []);
  return [...wanted].flatMap(([name, mode]) => {
    if (!ours.has(name) && name !== "self" && name !== "thread-self") return [`no ${name}`];
    const { statbuf } = machine.callNow(pid, "newfstatat", { pathname: `${path}/${name}`, flags: "AT_SYMLINK_NOFOLLOW" }) as unknown as { statbuf: { st_mode: number } };
    const told = modeText(Number(statbuf.st_mode));
    return told === mode ? [] : [`${name} is ${told}, not ${mode}`];
  });
}

describe("what is there, and who may open it", () => {
  test("/proc, but for memory as files", async () => {
    const { machine, pid } = await booted();
    expect(unlike(machine, pid, "/proc", listing(recorded("ls")))).toEqual(["no kcore"]);
  });
  test("/proc/PID", async () => {
    const { machine, pid } = await booted();
    const all = listing(block(recorded("self"), /arch_status/, /^map_files:|^$/));
    expect(all.size).toBeGreaterThan(50);
    expect(unlike(machine, pid, `/proc/${pid}`, all)).toEqual([]);
  });
  test("/proc/sys/kernel and vm", async () => {
    const { machine } = await booted();
    for (const directory of ["kernel", "vm"]) {
      const names = block(recorded("sysvipc"), new RegExp(`^/proc/sys/${directory}:$`), /^$|^[0-9]{10}/).slice(1);
      const seen = view(machine.kernel, { uid: 0 }, `/proc/sys/${directory}`);
      const ours = "entries" in seen && seen.kind === "directory" ? seen.entries.map(({ name }) => name) : [];
      expect(names.filter((name) => !ours.includes(name) && !/apparmor/.test(name))).toEqual([]);
    }
  });
});
