/** /proc/sys/vm: what may be written and within which bounds (kernel/sysctl.c, mm/). */
import { CAP_SYS_RAWIO } from "../../abi/capability.ts";
import { EINVAL, EPERM } from "../../abi/errno.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import type { Kernel } from "../../kernel.ts";
import { setWatermarks } from "../../mm/state.ts";
import type { VmSysctl } from "../../mm/vm_sysctl.ts";
import { capable } from "../../sched/cred.ts";
import { printk } from "../../sched/printk.ts";
import type { Task } from "../../sched/task.ts";
import { sysctlInteger, sysctlIntegers, sysctlText, type IntegerSysctl } from "./sysctl.ts";

const INFO = 6;
const WRITE_ONLY = 0o200;
/** An unsigned long, as far as a number goes. */
const ULONG = { min: 0, max: Number.MAX_SAFE_INTEGER };
const PERCENT = { min: 0, max: 100 };
const FLAG = { min: 0, max: 1 };

type Numbers = { [name in keyof VmSysctl as VmSysctl[name] extends number ? name : never]: number };

/** A number of VmSysctl; `check` may refuse it with an errno, or change others that depend on it. */
function vmNumber(path: string, field: keyof Numbers, bounds: Pick<IntegerSysctl, "min" | "max">, also: (vm: VmSysctl, value: number, k: Kernel) => void = () => undefined): void {
  sysctlInteger(`vm/${path}`, {
    value: (k) => k.state.mm.vm[field], ...bounds,
    set: (k, value) => {
      k.state.mm.vm[field] = value;
      also(k.state.mm.vm, value, k);
      return 0;
    },
  });
}

vmNumber("swappiness", "swappiness", { min: 0, max: 200 });
vmNumber("min_free_kbytes", "minFreeKbytes", { min: 0 }, (_vm, _value, k) => setWatermarks(k.state.mm));
vmNumber("watermark_scale_factor", "watermarkScaleFactor", { min: 1, max: 3000 }, (_vm, _value, k) => setWatermarks(k.state.mm));
vmNumber("vfs_cache_pressure", "vfsCachePressure", { min: 0 });
vmNumber("page-cluster", "pageCluster", { min: 0 });
vmNumber("max_map_count", "maxMapCount", { min: 0 });
sysctlInteger("vm/mmap_min_addr", {
  value: (k) => k.state.mm.vm.mmapMinAddr, ...ULONG,
  set: (k, value, writer) => {
    if (!capable(writer, CAP_SYS_RAWIO)) return -EPERM;
    k.state.mm.vm.mmapMinAddr = value;
    return 0;
  },
});
vmNumber("panic_on_oom", "panicOnOom", { min: 0, max: 2 });
vmNumber("oom_kill_allocating_task", "oomKillAllocatingTask", {});
vmNumber("oom_dump_tasks", "oomDumpTasks", {});
vmNumber("admin_reserve_kbytes", "adminReserveKbytes", ULONG);
vmNumber("user_reserve_kbytes", "userReserveKbytes", ULONG);

sysctlInteger("vm/overcommit_memory", {
  value: (k) => k.state.mm.overcommitMemory, min: 0, max: 2,
  set: (k, value) => {
    k.state.mm.overcommitMemory = value;
    return 0;
  },
});
// As Linux: any number is taken, and what was written last of ratio and kbytes counts.
sysctlInteger("vm/overcommit_ratio", {
  value: (k) => k.state.mm.overcommitRatio,
  set: (k, value) => {
    k.state.mm.overcommitRatio = value;
    k.state.mm.vm.overcommitKbytes = 0;
    return 0;
  },
});
vmNumber("overcommit_kbytes", "overcommitKbytes", ULONG, (_vm, _value, k) => { k.state.mm.overcommitRatio = 0; });

vmNumber("dirty_ratio", "dirtyRatio", PERCENT, (vm) => { vm.dirtyBytes = 0; });
vmNumber("dirty_bytes", "dirtyBytes", { ...ULONG, min: 2 * PAGE_SIZE }, (vm) => { vm.dirtyRatio = 0; });
vmNumber("dirty_background_ratio", "dirtyBackgroundRatio", PERCENT, (vm) => { vm.dirtyBackgroundBytes = 0; });
vmNumber("dirty_background_bytes", "dirtyBackgroundBytes", { ...ULONG, min: 1 }, (vm) => { vm.dirtyBackgroundRatio = 0; });
vmNumber("dirty_expire_centisecs", "dirtyExpireCentisecs", { min: 0 });
vmNumber("dirty_writeback_centisecs", "dirtyWritebackCentisecs", {});

/** 1: pages of files, 2: dentries and inodes, 3: both; 4: say nothing from now on. */
function dropCaches(k: Kernel, value: number, writer: Task): number {
  const { vm, events } = k.state.mm;
  if ((value & 1) !== 0) events.dropPagecache++;
  if ((value & 2) !== 0) events.dropSlab++;
  if (!vm.dropCachesQuiet) printk(k, INFO, `${writer.comm} (${writer.tid}): drop_caches: ${value}`);
  if ((value & 4) !== 0) vm.dropCachesQuiet = true;
  return 0;
}
sysctlInteger("vm/drop_caches", { value: 0, mode: WRITE_ONLY, min: 1, max: 4, set: dropCaches });

/** Kept and told; nothing here looks at them. */
const KEPT: { [name: string]: Omit<IntegerSysctl, "set"> } = {
  compact_unevictable_allowed: { value: 1, ...FLAG }, compaction_proactiveness: { value: 20, ...PERCENT }, dirtytime_expire_seconds: { value: 43_200, min: 0 },
  extfrag_threshold: { value: 500, min: 0, max: 1000 }, hugetlb_optimize_vmemmap: { value: 0, ...FLAG }, hugetlb_shm_group: { value: 0 },
  laptop_mode: { value: 0 }, legacy_va_layout: { value: 0, min: 0 }, memory_failure_early_kill: { value: 0, ...FLAG },
  memory_failure_recovery: { value: 1, ...FLAG }, min_slab_ratio: { value: 5, ...PERCENT }, min_unmapped_ratio: { value: 1, ...PERCENT },
  mmap_rnd_bits: { value: 28, mode: 0o600, min: 28, max: 32 }, mmap_rnd_compat_bits: { value: 8, mode: 0o600, min: 8, max: 16 },
  nr_hugepages: { value: 0, mode: 0o444 }, nr_hugepages_mempolicy: { value: 0 }, nr_overcommit_hugepages: { value: 0 }, numa_stat: { value: 1, ...FLAG },
  page_lock_unfairness: { value: 5, min: 0 }, stat_interval: { value: 1 }, stat_refresh: { value: 0, mode: 0o600 },
  unprivileged_userfaultfd: { value: 0, ...FLAG }, watermark_boost_factor: { value: 15_000, min: 0 }, zone_reclaim_mode: { value: 0, min: 0 },
};
for (const [name, row] of Object.entries(KEPT)) sysctlInteger(`vm/${name}`, row);
sysctlInteger("vm/compact_memory", { value: 0, mode: WRITE_ONLY, set: () => 0 });
// As Linux: 0, or at least 8.
sysctlInteger("vm/percpu_pagelist_high_fraction", {
  value: (k) => k.state.mm.vm.percpuHighFraction, min: 0,
  set: (k, value) => {
    if (value > 0 && value < 8) return -EINVAL;
    k.state.mm.vm.percpuHighFraction = value;
    return 0;
  },
});
sysctlText("vm/numa_zonelist_order", () => "Node");
sysctlIntegers("vm/lowmem_reserve_ratio", [256, 256, 32, 0, 0], 0o644);
