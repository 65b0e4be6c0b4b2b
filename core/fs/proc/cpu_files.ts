/** Files of /proc about CPUs, interrupts and load. */
import { USER_HZ } from "../../abi/limits.ts";
import { interruptCounts, softirqCounts } from "../../irq/counts.ts";
import type { Kernel } from "../../kernel.ts";
import { cpuAccount, type CpuAccount } from "../../sched/cpu_time.ts";
import type { Cpu } from "../../sched/state.ts";
import { NS_PER_SEC } from "../../time/clock.ts";
import { jiffies } from "../../time/jiffies.ts";
import { procFile } from "./registry.ts";

const NANOSECONDS_PER_TICK = NS_PER_SEC / USER_HZ;
const userTicks = (ns: number): number => Math.floor(Math.max(0, ns) / NANOSECONDS_PER_TICK);

/** user nice system idle iowait irq softirq steal guest guest_nice, in hundredths of a second. */
function cpuLine(name: string, { user, nice, system, idle, iowait, irq, softirq }: CpuAccount): string {
  return `${name} ${[user, nice, system, idle, iowait, irq, softirq, 0, 0, 0].map(userTicks).join(" ")}\n`;
}

function sumOf(accounts: CpuAccount[]): CpuAccount {
  const sum: CpuAccount = { user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0 };
  for (const one of accounts) for (const key of Object.keys(sum) as (keyof CpuAccount)[]) sum[key] += one[key];
  return sum;
}

/** Counts of hardware interrupts by line, for the sum in the intr line: 256 columns as the recorded kernel has. */
const INTERRUPT_LINES = 256;

function statText(k: Kernel): string {
  const { cpus, forks, tasks } = k.state.sched;
  const accounts = cpus.map((cpu) => cpuAccount(k, cpu));
  let running = 0;
  for (const task of tasks.values()) if (task.state === "runnable") running++;
  // As Linux: only those that wait for a disk (nr_iowait).
  const blocked = cpus.reduce((count, cpu) => count + cpu.ioWaiters, 0);
  const bootSeconds = k.state.time.realtimeOffsetNs / BigInt(NS_PER_SEC);
  return `${cpuLine("cpu ", sumOf(accounts))}${accounts.map((one, i) => cpuLine(`cpu${i}`, one)).join("")}`
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

function ranNs(k: Kernel, cpu: Cpu): number {
  const { user, nice, system } = cpuAccount(k, cpu);
  return user + nice + system;
}

/**
 * Version, the time in jiffies, and a line a CPU: six counters that stand still while kernel.sched_schedstats is 0, then the time that tasks
 * have had and have waited, and how often one got the CPU. Differs from Linux: no lines of scheduling domains.
 */
function schedstatText(k: Kernel): string {
  const lines = k.state.sched.cpus.map((cpu) => `cpu${cpu.id} 0 0 0 0 0 0 ${ranNs(k, cpu)} ${cpu.runDelayNs} ${cpu.runs}\n`);
  return `version 15\ntimestamp ${jiffies(k)}\n${lines.join("")}`;
}
procFile("schedstat", schedstatText);
