/** Files of /proc about CPUs, interrupts and load. */
import { USER_HZ } from "../../abi/limits.ts";
import { interruptCounts, softirqCounts } from "../../irq/counts.ts";
import type { Kernel } from "../../kernel.ts";
import type { Cpu } from "../../sched/state.ts";
import { NS_PER_SEC, now, ticks } from "../../time/clock.ts";
import { procFile } from "./registry.ts";

const NANOSECONDS_PER_TICK = NS_PER_SEC / USER_HZ;
const userTicks = (ns: number): number => Math.floor(Math.max(0, ns) / NANOSECONDS_PER_TICK);

/** The share of all CPU time that was spent in user mode, 0 to 1. */
function userShare(k: Kernel): number {
  let userNs = 0;
  let allNs = 0;
  for (const { utimeNs, stimeNs } of k.state.sched.tasks.values()) {
    userNs += Math.max(0, utimeNs);
    allNs += Math.max(0, utimeNs + stimeNs);
  }
  for (const group of k.state.sched.groups.values()) {
    userNs += group.deadUtimeNs + group.childUtimeNs;
    allNs += group.deadUtimeNs + group.childUtimeNs + group.deadStimeNs + group.childStimeNs;
  }
  return allNs === 0 ? 0 : userNs / allNs;
}

/** user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second. */
function cpuLine(name: string, times: { user: number; system: number; idle: number }): string {
  return `${name} ${times.user} 0 ${times.system} ${times.idle} 0 0 0 0 0 0\n`;
}

/** Counts of hardware interrupts by line, for the sum in the intr line: 256 columns as the recorded kernel has. */
const INTERRUPT_LINES = 256;

function statText(k: Kernel): string {
  const { cpus, forks, tasks } = k.state.sched;
  const share = userShare(k);
  const times = cpus.map((cpu) => {
    const user = userTicks(cpu.busyNs * share);
    return { user, system: userTicks(cpu.busyNs) - user, idle: userTicks(now(k) - cpu.busyNs) };
  });
  const sum = { user: 0, system: 0, idle: 0 };
  for (const { user, system, idle } of times) {
    sum.user += user;
    sum.system += system;
    sum.idle += idle;
  }
  let running = 0;
  let blocked = 0;
  for (const task of tasks.values()) {
    if (task.state === "runnable") running++;
    if (task.state === "sleeping" && task.sleep?.mode === "uninterruptible" && task.kind !== "kthread") blocked++;
  }
  const bootSeconds = k.state.time.realtimeOffsetNs / BigInt(NS_PER_SEC);
  return `${cpuLine("cpu ", sum)}${times.map((one, i) => cpuLine(`cpu${i}`, one)).join("")}`
    + `intr ${interruptCounts(k, INTERRUPT_LINES).join(" ")}\n`
    + `ctxt ${cpus.reduce((count, cpu) => count + cpu.contextSwitches, 0)}\nbtime ${bootSeconds}\nprocesses ${forks}\n`
    + `procs_running ${Math.max(1, running)}\nprocs_blocked ${blocked}\nsoftirq ${softirqCounts(k).join(" ")}\n`;
}
procFile("stat", statText);

const FLAGS = "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx lm rep_good nopl cpuid "
  + "pni cx16 hypervisor lahf_lm";

function cpuinfoOf(cpu: Cpu, count: number): string {
  const rows: [string, string | number][] = [
    ["processor\t", cpu.id], ["vendor_id\t", "syslab"], ["cpu family\t", 6], ["model\t\t", 1], ["model name\t", "syslab emulated x86-64 CPU"],
    ["stepping\t", 1], ["cpu MHz\t\t", "1000.000"], ["cache size\t", "512 KB"], ["physical id\t", 0], ["siblings\t", count],
    ["core id\t\t", cpu.id], ["cpu cores\t", count], ["apicid\t\t", cpu.id], ["initial apicid\t", cpu.id], ["fpu\t\t", "yes"],
    ["fpu_exception\t", "yes"], ["cpuid level\t", 13], ["wp\t\t", "yes"], ["flags\t\t", FLAGS], ["bugs\t\t", ""], ["bogomips\t", "2000.00"],
    ["clflush size\t", 64], ["cache_alignment\t", 64], ["address sizes\t", "40 bits physical, 48 bits virtual"], ["power management", ""],
  ];
  return `${rows.map(([name, value]) => `${name}:${value === "" ? "" : ` ${value}`}\n`).join("")}\n`;
}
procFile("cpuinfo", (k) => k.state.sched.cpus.map((cpu) => cpuinfoOf(cpu, k.state.sched.cpus.length)).join(""));

/** Version, the time in jiffies, and a line a CPU. */
function schedstatText(k: Kernel): string {
  const lines = k.state.sched.cpus.map((cpu) => `cpu${cpu.id} 0 0 0 0 0 0 ${Math.floor(cpu.busyNs)} 0 ${cpu.contextSwitches}\n`);
  return `version 15\ntimestamp ${2 ** 32 - 300 * k.state.machine.hz + ticks(k)}\n${lines.join("")}`;
}
procFile("schedstat", schedstatText);
