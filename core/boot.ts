/** Booting a machine: a column of calls from nothing to a kernel that waits for its first process. */
import { LINUX_BANNER } from "./abi/release.ts";
import { bootDrivers } from "./drivers/boot.ts";
import { driverInit } from "./drivers/state.ts";
import { bootFs } from "./fs/boot.ts";
import { fsInit } from "./fs/state.ts";
import { freshTurn } from "./turn.ts";
import type { BootInput, Output } from "./input.ts";
import { ipcInit } from "./ipc/state.ts";
import { bootCpuThreads, bootUnbound } from "./irq/boot.ts";
import { irqInit } from "./irq/state.ts";
import type { Kernel } from "./kernel.ts";
import { seedRng } from "./lib/rng.ts";
import { DEFAULT_MACHINE } from "./machine.ts";
import { mmInit } from "./mm/state.ts";
import { bootModules } from "./module/boot.ts";
import { moduleInit } from "./module/state.ts";
import { netInit } from "./net/state.ts";
import { bootPrograms } from "./programs/image.ts";
import { createTask, kthread } from "./process/create.ts";
import { processInit } from "./process/state.ts";
import { credOf } from "./sched/cred.ts";
import { logInit, printk } from "./sched/printk.ts";
import { schedInit } from "./sched/state.ts";
import { callInit } from "./syscalls/state.ts";
import { tables } from "./tables.ts";
import { timeInit } from "./time/state.ts";
import { newFdTable } from "./fs/fd_table.ts";
import { newFsStruct } from "./fs/fs_struct.ts";
import { newSpace } from "./mm/space.ts";
import { LOG_WAIT, MODULE_WAIT } from "./sched/boot_queues.ts";

/** A machine with default choices made; booting costs no kernel time that anybody sees. */
export function boot({ machine: options, realtimeNs }: BootInput): { kernel: Kernel; output: Output } {
  const machine = { ...DEFAULT_MACHINE, ...options };
  const sched = schedInit(machine);
  const kernel: Kernel = {
    state: {
      machine, rng: seedRng(machine.seed), log: logInit(LOG_WAIT), sched, time: timeInit(machine, BigInt(realtimeNs)), irq: irqInit(machine),
      mm: mmInit(machine), fs: fsInit(), net: netInit(), ipc: ipcInit(), process: processInit(), drivers: driverInit(), modules: moduleInit(MODULE_WAIT),
      calls: callInit(), labs: new Map(),
    },
    tables,
    turn: freshTurn(0),
  };
  printBanner(kernel); // the first lines of dmesg
  bootFs(kernel); // the tree: /, /dev, /proc, /sys, /tmp
  startInit(kernel); // pid 1, which adopts orphans
  startThreads(kernel); // kthreadd and the threads that ps shows
  bootModules(kernel); // the files of the modules
  bootPrograms(kernel); // the files of the programs
  bootDrivers(kernel); // /dev/null and its like, and what /proc/misc lists
  restClocks(kernel);
  return { kernel, output: { ended: [], events: [], nowNs: 0, more: false } };
}

function printBanner(k: Kernel): void {
  printk(k, 5, LINUX_BANNER);
  printk(k, 6, "Command line: root=tmpfs console=ttyS0");
  printk(k, 6, `Memory: ${(k.state.mm.ramPages - k.state.mm.reservedPages) * 4}K/${k.state.mm.ramPages * 4}K available`);
}

function startInit(k: Kernel): void {
  const init = createTask(k, { comm: "init", kind: "program", cred: credOf(0), parent: 0 });
  init.files = newFdTable(k);
  init.fs = newFsStruct(k);
  init.mm = newSpace(k);
  init.state = "sleeping";
}

/** Kernel threads of a small machine, in the order in which a kernel makes them. */
function startThreads(k: Kernel): void {
  const start = (...names: string[]): void => names.forEach((name) => kthread(k, name));
  start("kthreadd", "fput", "rcu_gp", "mm_percpu_wq", "rcu_preempt");
  for (let cpu = 0; cpu < k.state.machine.cpus; cpu++) {
    start(`cpuhp/${cpu}`, `migration/${cpu}`);
    bootCpuThreads(k, cpu);
  }
  start("kdevtmpfs", "kauditd", "khungtaskd", "oom_reaper", "writeback", "kcompactd0");
  const kswapd = kthread(k, "kswapd0");
  if (typeof kswapd === "object") k.state.mm.kswapd = kswapd.tid;
  bootUnbound(k);
}

/** Time begins when the machine is up. */
function restClocks(k: Kernel): void {
  k.state.time.nowNs = k.state.time.doneNs = 0;
  for (const cpu of k.state.sched.cpus) cpu.clockNs = cpu.irqNs = 0;
  for (const record of k.state.log.records) record.ns = 0;
}
