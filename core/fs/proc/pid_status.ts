/** /proc/PID/status and limits: a process in lines that a person reads. */
import { PAGE_SIZE, RLIMIT_SIGPENDING } from "../../abi/limits.ts";
import { wqWorkerComm } from "../../irq/workqueue.ts";
import type { Kernel } from "../../kernel.ts";
import { queuedSignals } from "../../sched/signal.ts";
import { groupOf, type Task } from "../../sched/task.ts";
import { hex, ranges } from "../../lib/format.ts";
import { rssPages, type AddressSpace } from "../../mm/space.ts";
import { signalMasks, stateLetter } from "./pid_stat.ts";
import { procPidFile } from "./registry.ts";

const STATE_NAMES: { [letter: string]: string } = {
  R: "R (running)", S: "S (sleeping)", D: "D (disk sleep)", T: "T (stopped)", Z: "Z (zombie)", I: "I (idle)",
};

const field = (name: string, value: string | number): string => `${name}:\t${value}\n`;
const kb = (name: string, bytes: number): string => `${name}:\t${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`;
const pages = (name: string, count: number): string => kb(name, count * PAGE_SIZE);

/** What a process that has an address space adds. */
function memoryText(space: AddressSpace): string {
  const rss = rssPages(space);
  return pages("VmPeak", space.peakVm) + pages("VmSize", space.totalVm) + pages("VmLck", space.lockedVm) + pages("VmPin", 0)
    + pages("VmHWM", Math.max(space.peakRss, rss)) + pages("VmRSS", rss)
    + pages("RssAnon", space.rssAnon) + pages("RssFile", space.rssFile) + pages("RssShmem", space.rssShmem)
    + pages("VmData", space.dataVm) + pages("VmStk", space.stackVm) + pages("VmExe", 0) + pages("VmLib", space.execVm)
    + pages("VmPTE", space.tables) + pages("VmSwap", space.swapEnts) + pages("HugetlbPages", 0)
    + field("CoreDumping", 0) + field("THP_enabled", 1);
}

/** FDSize: descriptors that the table has room for, in steps as Linux grows it. */
function fdSize(k: Kernel, task: Task): number {
  const table = k.state.fs.fdTables.get(task.files);
  if (table === undefined) return task.kind === "kthread" ? 64 : 0;
  let size = 64;
  for (const fd of table.fds.keys()) while (fd >= size) size *= 2;
  return size;
}

/** The umask; 022 for those that have none of their own. */
function umaskOf(k: Kernel, task: Task): number {
  return k.state.fs.fsStructs.get(task.fs)?.umask ?? 0o022;
}

/** The pid of the parent process. */
function statusText(k: Kernel, task: Task): string {
  const group = groupOf(k, task);
  const { cred } = task;
  const signals = signalMasks(k, task);
  const caps = (name: string, set: bigint): string => field(name, hex(set, 16));
  const space = k.state.mm.spaces.get(task.mm);
  const limit = group.rlimits[RLIMIT_SIGPENDING]?.cur ?? 0;
  const zombie = task.state === "zombie";
  return field("Name", wqWorkerComm(k, task)) + (zombie ? "" : field("Umask", `0${umaskOf(k, task).toString(8).padStart(3, "0")}`))
    + field("State", STATE_NAMES[stateLetter(k, task)])
    + field("Tgid", task.tgid) + field("Ngid", 0) + field("Pid", task.tid) + field("PPid", group.parent) + field("TracerPid", 0)
    + field("Uid", [cred.uid, cred.euid, cred.suid, cred.fsuid].join("\t")) + field("Gid", [cred.gid, cred.egid, cred.sgid, cred.fsgid].join("\t"))
    + field("FDSize", fdSize(k, task)) + field("Groups", `${cred.groups.join(" ")} `)
    + field("NStgid", task.tgid) + field("NSpid", task.tid) + field("NSpgid", group.pgid) + field("NSsid", group.sid)
    + (space === undefined || zombie ? "" : memoryText(space))
    + field("Threads", group.threads.length)
    + field("SigQ", `${queuedSignals(k, cred.uid)}/${limit < 0 ? "18446744073709551615" : limit}`)
    + caps("SigPnd", signals.pending) + caps("ShdPnd", signals.shared) + caps("SigBlk", signals.blocked)
    + caps("SigIgn", signals.ignored) + caps("SigCgt", signals.caught)
    + caps("CapInh", cred.capInheritable) + caps("CapPrm", cred.capPermitted) + caps("CapEff", cred.capEffective)
    + caps("CapBnd", cred.capBounding) + caps("CapAmb", cred.capAmbient)
    + field("NoNewPrivs", task.noNewPrivs ? 1 : 0) + field("Seccomp", 0) + field("Seccomp_filters", 0)
    + field("Speculation_Store_Bypass", "not vulnerable") + field("SpeculationIndirectBranch", "always enabled")
    + field("Cpus_allowed", hex(task.affinity)) + field("Cpus_allowed_list", ranges(bitsOf(task.affinity)))
    + field("Mems_allowed", `${"00000000,".repeat(31)}00000001`) + field("Mems_allowed_list", 0)
    + field("voluntary_ctxt_switches", task.voluntarySwitches) + field("nonvoluntary_ctxt_switches", task.involuntarySwitches);
}

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < 32; bit++) if (mask >>> bit & 1) bits.push(bit);
  return bits;
}

procPidFile("status", statusText);

const LIMITS: readonly [number, string, string][] = [
  [0, "Max cpu time", "seconds"], [1, "Max file size", "bytes"], [2, "Max data size", "bytes"], [3, "Max stack size", "bytes"],
  [4, "Max core file size", "bytes"], [5, "Max resident set", "bytes"], [6, "Max processes", "processes"], [7, "Max open files", "files"],
  [8, "Max locked memory", "bytes"], [9, "Max address space", "bytes"], [10, "Max file locks", "locks"],
  [11, "Max pending signals", "signals"], [12, "Max msgqueue size", "bytes"], [13, "Max nice priority", ""],
  [14, "Max realtime priority", ""], [15, "Max realtime timeout", "us"],
];

function limitsText(k: Kernel, task: Task): string {
  const { rlimits } = groupOf(k, task);
  const show = (value: number | bigint): string => (value < 0 ? "unlimited" : String(value)).padEnd(20);
  let text = `${"Limit".padEnd(25)} ${"Soft Limit".padEnd(20)} ${"Hard Limit".padEnd(20)} ${"Units".padEnd(10)}\n`;
  for (const [resource, name, units] of LIMITS) {
    const { cur, max } = rlimits[resource];
    text += `${name.padEnd(25)} ${show(cur)} ${show(max)} ${units === "" ? "" : units.padEnd(10)}\n`;
  }
  return text;
}

procPidFile("limits", limitsText);
