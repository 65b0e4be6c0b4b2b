/** The smaller files of /proc/PID (proc(5)). */
import { EACCES, EINVAL } from "../../abi/errno.ts";
import { CAP_SYS_NICE } from "../../abi/capability.ts";
import { TASK_COMM_LEN } from "../../abi/limits.ts";
import { idleWait } from "../../irq/idle.ts";
import { wqWorkerComm } from "../../irq/workqueue.ts";
import type { Kernel } from "../../kernel.ts";
import { hex } from "../../lib/format.ts";
import { hashText53 } from "../../lib/hash.ts";
import { kstrtoull } from "../../lib/kstrto.ts";
import { mapsText, smapsRollupText, smapsText, statmNumbers } from "../../mm/proc.ts";
import { capable } from "../../sched/cred.ts";
import { taskTimes } from "../../sched/cpu_time.ts";
import { isFair, weightOf } from "../../sched/fair.ts";
import { groupOf, type Task } from "../../sched/task.ts";
import { ptraceMayAccess } from "./access.ts";
import { procPidFile } from "./registry.ts";

const terminated = (texts: readonly string[]): string => texts.map((text) => `${text}\0`).join("");

procPidFile("cmdline", (k, task) => (task.state === "zombie" ? "" : terminated(groupOf(k, task).cmdline)));
procPidFile("environ", (k, task) => (task.state === "zombie" ? "" : terminated(groupOf(k, task).environ)), { mode: 0o400, check: "read" });

procPidFile("comm", (k, task) => `${wqWorkerComm(k, task)}\n`, {
  mode: 0o644,
  // As Linux: a newline that echo sends along becomes part of the name.
  write: (_k, writer, task, text) => {
    if (writer.tgid !== task.tgid) return -EINVAL;
    const nul = text.indexOf("\0");
    task.comm = (nul < 0 ? text : text.slice(0, nul)).slice(0, TASK_COMM_LEN - 1);
    return text.length;
  },
});

/** Files about memory; a task without an address space has empty ones. */
const hasMemory = (task: Task): boolean => task.mm !== 0 && task.state !== "zombie";
procPidFile("maps", (k, task) => (hasMemory(task) ? mapsText(k, task) : ""), { check: "read" });
procPidFile("smaps", (k, task) => (hasMemory(task) ? smapsText(k, task) : ""), { check: "read" });
procPidFile("smaps_rollup", (k, task) => (hasMemory(task) ? smapsRollupText(k, task) : ""), { check: "read", processOnly: true });
procPidFile("statm", (k, task) => `${hasMemory(task) ? statmNumbers(k, task).join(" ") : "0 0 0 0 0 0 0"}\n`);

/** The function that a task sleeps in; "0" for none. */
function wchanOf(k: Kernel, task: Task): string {
  return task.state !== "sleeping" ? "0" : task.sleep?.wchan ?? idleWait(k, task) ?? "0";
}

procPidFile("wchan", (k, task, ctx) => (ptraceMayAccess(k, ctx, task) ? wchanOf(k, task) : "0"));

/** The system call that the task sleeps in: number and registers as they were at entry. */
interface CallLocals {
  nr: number;
  regs: (number | bigint)[];
}

procPidFile("syscall", (_k, task) => {
  if (task.state === "runnable" || task.state === "parked") return "running\n";
  const frame = task.frames.findLast(({ code }) => code === "syscall");
  if (frame === undefined) return "-1 0x0 0x0\n";
  const { nr, regs } = frame.locals as CallLocals;
  const args = Array.from({ length: 6 }, (_, i) => `0x${hex(regs[i] ?? 0)}`);
  return `${nr} ${args.join(" ")} 0x0 0x0\n`;
}, { mode: 0o400, check: "attach" });

/** A function with an offset and a length, the same ones for a name each time: code here has no addresses. */
function withOffset(name: string): string {
  const size = 0x40 + (hashText53(name) % 0x40) * 8;
  return `${name}+0x${(size >> 1).toString(16)}/0x${size.toString(16)}`;
}

/** What stands between a driver and the entry of its system call, by number: read. */
const UNDER_DRIVER: { [nr: number]: string[] } = { 0: ["vfs_read+0xa5/0x310", "ksys_read+0x6b/0xf0"] };

/** ` [simrupt]` of a function that a module's code sleeps in. */
function moduleOf(k: Kernel, task: Task): string {
  const owner = task.frames.at(-1)?.code.split(".")[0] ?? "";
  return k.state.modules.loaded.has(owner) ? ` [${owner}]` : "";
}

function stackText(k: Kernel, task: Task): string {
  const wchan = wchanOf(k, task);
  if (task.state !== "sleeping" || (task.sleep === null && wchan === "0")) return "";
  const module = moduleOf(k, task);
  const functions = wchan === "0" ? [] : [`${withOffset(wchan)}${module}`];
  const call = task.frames.findLast(({ code }) => code === "syscall");
  const middle = module === "" || call === undefined ? [] : UNDER_DRIVER[(call.locals as CallLocals).nr] ?? [];
  const below = task.kind === "kthread" ? ["kthread+0xd8/0x100", "ret_from_fork+0x22/0x30"]
    : call !== undefined ? [...middle, "do_syscall_64+0x5d/0xb0", "entry_SYSCALL_64_after_hwframe+0x6e/0xd8"] : [];
  return [...functions, ...below].map((line) => `[<0>] ${line}\n`).join("");
}
procPidFile("stack", stackText, { mode: 0o400, check: "attach" });

procPidFile("personality", (_k, task) => `${hex(task.personality, 8)}\n`, { mode: 0o400, check: "attach" });
procPidFile("loginuid", () => "4294967295", 0o644);
procPidFile("sessionid", () => "4294967295");
procPidFile("cgroup", () => "");
procPidFile("cpuset", () => "/\n");
procPidFile("coredump_filter", () => "00000033\n", 0o644);
procPidFile("autogroup", () => "", { mode: 0o644, processOnly: true });
procPidFile("auxv", (_k, task) => (hasMemory(task) ? "\0".repeat(16) : ""), { mode: 0o400, check: "read" });
procPidFile("setgroups", () => "allow\n", { mode: 0o644, processOnly: true });
for (const name of ["uid_map", "gid_map"]) procPidFile(name, () => "         0          0 4294967295\n", 0o644);

procPidFile("timerslack_ns", (_k, task) => `${task.timerSlackNs}\n`, {
  mode: 0o666, processOnly: true,
  write: (_k, writer, task, text) => {
    const parsed = kstrtoull(text, 10);
    if ("errno" in parsed) return parsed.errno;
    if (writer.tgid !== task.tgid && !capable(writer, CAP_SYS_NICE)) return -EACCES;
    task.timerSlackNs = parsed.value === 0n ? DEFAULT_SLACK_NS : Number(parsed.value);
    return text.length;
  },
});
const DEFAULT_SLACK_NS = 50_000;

/** Differs from Linux: transfers are not counted by process. */
procPidFile("io", () => "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n", { mode: 0o400, check: "read" });

const row = (name: string, value: string | number): string => `${name.padEnd(45)}:${String(value).padStart(21)}\n`;
const milliseconds = (ns: number): string => `${Math.floor(ns / 1e6)}.${String(Math.floor(ns % 1e6)).padStart(6, "0")}`;

/** What the scheduler tells of a task; averages are not kept here. */
function schedText(k: Kernel, task: Task): string {
  const head = `${task.comm} (${task.tid}, #threads: ${groupOf(k, task).threads.length})\n`;
  const { utimeNs, stimeNs } = taskTimes(k, task);
  const { se, policy } = task;
  return `${head}${"-".repeat(67)}\n`
    + row("se.exec_start", milliseconds(task.readyNs)) + row("se.vruntime", milliseconds(se.vruntime))
    + row("se.sum_exec_runtime", milliseconds(utimeNs + stimeNs)) + row("se.nr_migrations", se.migrations) + row("nr_switches", task.voluntarySwitches + task.involuntarySwitches)
    + row("nr_voluntary_switches", task.voluntarySwitches) + row("nr_involuntary_switches", task.involuntarySwitches)
    + row("se.load.weight", weightOf(task) * 1024) + row("policy", policy) + row("prio", isFair(task) ? 120 + task.nice : 99 - task.rtPriority);
}
procPidFile("sched", schedText, 0o644);
