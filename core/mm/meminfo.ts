/** What /proc shows of the machine's memory: meminfo, vmstat, swaps. */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { kilobytes } from "../lib/format.ts";
import { commitLimitPages } from "./accounting.ts";
import { freePages, totalPages } from "./page_alloc.ts";
import { slabPages } from "./slabinfo.ts";
import { ACTIVE_ANON, ACTIVE_FILE, INACTIVE_ANON, INACTIVE_FILE, UNEVICTABLE } from "./lru.ts";
import { partitionPages, swapInfo } from "./swap.ts";
import type { MmState } from "./state.ts";

const KB_PER_PAGE = PAGE_SIZE / 1024;

/** Pages of files and drivers that some process has mapped. */
function mappedPages(mm: MmState): number {
  let count = 0;
  for (const frame of mm.frames) if (frame !== null && frame.mapped > 0 && frame.use !== "anon") count++;
  return count;
}

/** MemAvailable: what could be had without swapping (si_mem_available). */
function availablePages(mm: MmState): number {
  const { low, high } = mm.watermarks;
  return Math.max(0, freePages(mm) - high + mm.used.file - Math.min(Math.floor(mm.used.file / 2), low));
}

/** /proc/meminfo */
export function meminfoText(k: Kernel): string {
  const { mm, machine } = k.state;
  const { anon, file, shmem, table } = mm.used;
  const slab = slabPages(k);
  const swap = swapInfo(k);
  const lists = mm.lru.map(({ count }) => count);
  let vmallocPages = 0;
  for (const area of mm.vmalloc.values()) vmallocPages += area.frames.length;
  const ram = mm.ramPages * KB_PER_PAGE;
  const small = Math.min(ram, 8192);
  const pages: [name: string, pages: number][] = [
    ["MemTotal", totalPages(mm)], ["MemFree", freePages(mm)], ["MemAvailable", availablePages(mm)],
    ["Buffers", 0], ["Cached", file + shmem], ["SwapCached", mm.swap.cached],
    ["Active", lists[ACTIVE_ANON] + lists[ACTIVE_FILE]], ["Inactive", lists[INACTIVE_ANON] + lists[INACTIVE_FILE]],
    ["Active(anon)", lists[ACTIVE_ANON]], ["Inactive(anon)", lists[INACTIVE_ANON]],
    ["Active(file)", lists[ACTIVE_FILE]], ["Inactive(file)", lists[INACTIVE_FILE]],
    ["Unevictable", lists[UNEVICTABLE]], ["Mlocked", lockedPages(mm)],
    ["SwapTotal", swap.total], ["SwapFree", swap.free], ["Zswap", 0], ["Zswapped", 0], ["Dirty", 0], ["Writeback", 0],
    ["AnonPages", anon], ["Mapped", mappedPages(mm)], ["Shmem", shmem],
    ["KReclaimable", slab.reclaimable], ["Slab", slab.reclaimable + slab.unreclaimable], ["SReclaimable", slab.reclaimable],
    ["SUnreclaim", slab.unreclaimable],
    ["KernelStack", k.state.sched.tasks.size * 4], ["PageTables", table], ["SecPageTables", 0],
    ["NFS_Unstable", 0], ["Bounce", 0], ["WritebackTmp", 0],
    ["CommitLimit", commitLimitPages(k)], ["Committed_AS", mm.committedPages],
  ];
  return pages.map(([name, count]) => kilobytes(name, count * KB_PER_PAGE)).join("")
    + kilobytes("VmallocTotal", 34359738367) + kilobytes("VmallocUsed", vmallocPages * KB_PER_PAGE) + kilobytes("VmallocChunk", 0)
    + kilobytes("Percpu", machine.cpus * 260) + kilobytes("HardwareCorrupted", 0)
    + ["AnonHugePages", "ShmemHugePages", "ShmemPmdMapped", "FileHugePages", "FilePmdMapped"].map((name) => kilobytes(name, 0)).join("")
    + ["Total", "Free", "Rsvd", "Surp"].map((name) => `${`HugePages_${name}:`.padEnd(16)}${"0".padStart(8)}\n`).join("")
    + kilobytes("Hugepagesize", 2048) + kilobytes("Hugetlb", 0)
    + kilobytes("DirectMap4k", small) + kilobytes("DirectMap2M", ram - small) + kilobytes("DirectMap1G", 0);
}

function lockedPages(mm: MmState): number {
  let pages = 0;
  for (const space of mm.spaces.values()) pages += space.lockedVm;
  return pages;
}

/** The lines of /proc/vmstat in their order; those that no value is kept for are 0. */
const VMSTAT = `nr_free_pages nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file nr_zone_active_file nr_zone_unevictable
nr_zone_write_pending nr_mlock nr_bounce nr_zspages nr_free_cma numa_hit numa_miss numa_foreign numa_interleave numa_local numa_other
nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable nr_slab_reclaimable nr_slab_unreclaimable
nr_isolated_anon nr_isolated_file workingset_nodes workingset_refault_anon workingset_refault_file workingset_activate_anon
workingset_activate_file workingset_restore_anon workingset_restore_file workingset_nodereclaim nr_anon_pages nr_mapped nr_file_pages
nr_dirty nr_writeback nr_writeback_temp nr_shmem nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages nr_file_pmdmapped
nr_anon_transparent_hugepages nr_vmscan_write nr_vmscan_immediate_reclaim nr_dirtied nr_written nr_throttled_written
nr_kernel_misc_reclaimable nr_foll_pin_acquired nr_foll_pin_released nr_kernel_stack nr_page_table_pages nr_sec_page_table_pages
nr_swapcached pgpromote_success pgpromote_candidate nr_dirty_threshold nr_dirty_background_threshold pgpgin pgpgout pswpin pswpout
pgalloc_dma pgalloc_dma32 pgalloc_normal pgalloc_movable pgalloc_device allocstall_dma allocstall_dma32 allocstall_normal
allocstall_movable allocstall_device pgskip_dma pgskip_dma32 pgskip_normal pgskip_movable pgskip_device pgfree pgactivate pgdeactivate
pglazyfree pgfault pgmajfault pglazyfreed pgrefill pgreuse pgsteal_kswapd pgsteal_direct pgdemote_kswapd pgdemote_direct pgscan_kswapd
pgscan_direct pgscan_direct_throttle pgscan_anon pgscan_file pgsteal_anon pgsteal_file zone_reclaim_failed pginodesteal slabs_scanned
kswapd_inodesteal kswapd_low_wmark_hit_quickly kswapd_high_wmark_hit_quickly pageoutrun pgrotated drop_pagecache drop_slab oom_kill
numa_pte_updates numa_huge_pte_updates numa_hint_faults numa_hint_faults_local numa_pages_migrated pgmigrate_success pgmigrate_fail
thp_migration_success thp_migration_fail thp_migration_split compact_migrate_scanned compact_free_scanned compact_isolated compact_stall
compact_fail compact_success compact_daemon_wake compact_daemon_migrate_scanned compact_daemon_free_scanned htlb_buddy_alloc_success
htlb_buddy_alloc_fail unevictable_pgs_culled unevictable_pgs_scanned unevictable_pgs_rescued unevictable_pgs_mlocked
unevictable_pgs_munlocked unevictable_pgs_cleared unevictable_pgs_stranded thp_fault_alloc thp_fault_fallback thp_fault_fallback_charge
thp_collapse_alloc thp_collapse_alloc_failed thp_file_alloc thp_file_fallback thp_file_fallback_charge thp_file_mapped thp_split_page
thp_split_page_failed thp_deferred_split_page thp_split_pmd thp_scan_exceed_none_pte thp_scan_exceed_swap_pte thp_scan_exceed_share_pte
thp_split_pud thp_zero_page_alloc thp_zero_page_alloc_failed thp_swpout thp_swpout_fallback balloon_inflate balloon_deflate
balloon_migrate swap_ra swap_ra_hit ksm_swpin_copy cow_ksm zswpin zswpout direct_map_level2_splits direct_map_level3_splits nr_unstable`.split(/\s/);

/** /proc/vmstat */
export function vmstatText(k: Kernel): string {
  const { mm } = k.state;
  const { anon, file, shmem, table } = mm.used;
  const slab = slabPages(k);
  const { events } = mm;
  const [inactiveAnon, activeAnon, inactiveFile, activeFile, unevictable] = mm.lru.map(({ count }) => count);
  const values: { [name: string]: number } = {
    nr_free_pages: freePages(mm), nr_mlock: lockedPages(mm), nr_zone_inactive_anon: inactiveAnon, nr_zone_active_anon: activeAnon,
    nr_zone_inactive_file: inactiveFile, nr_zone_active_file: activeFile, nr_zone_unevictable: unevictable,
    numa_hit: events.pgalloc, numa_local: events.pgalloc, nr_inactive_anon: inactiveAnon, nr_active_anon: activeAnon,
    nr_inactive_file: inactiveFile, nr_active_file: activeFile, nr_unevictable: unevictable, nr_swapcached: mm.swap.cached,
    nr_slab_reclaimable: slab.reclaimable, nr_slab_unreclaimable: slab.unreclaimable, nr_anon_pages: anon, nr_mapped: mappedPages(mm), nr_file_pages: file + shmem, nr_shmem: shmem,
    nr_kernel_stack: k.state.sched.tasks.size * 16, nr_page_table_pages: table,
    pgalloc_dma32: events.pgalloc, pgfree: events.pgfree, pgactivate: events.pgactivate, pgdeactivate: events.pgdeactivate,
    pgrefill: events.pgrefill, pswpin: events.pswpin, pswpout: events.pswpout,
    pglazyfree: events.pglazyfree, pglazyfreed: events.pglazyfreed, workingset_refault_anon: events.pswpin, workingset_activate_anon: events.workingsetActivate, pgpgin: events.pswpin * KB_PER_PAGE, pgpgout: events.pswpout * KB_PER_PAGE,
    nr_vmscan_write: events.pswpout, pgscan_kswapd: events.pgscanKswapd, pgscan_direct: events.pgscanDirect,
    pgscan_anon: events.pgscanKswapd + events.pgscanDirect, pgsteal_kswapd: events.pgstealKswapd, pgsteal_direct: events.pgstealDirect,
    pgsteal_anon: events.pgstealKswapd + events.pgstealDirect, pageoutrun: events.pageoutrun, allocstall_normal: events.allocstall,
    pgfault: events.pgfault, pgmajfault: events.pgmajfault, pgreuse: events.pgreuse, drop_pagecache: events.dropPagecache,
    drop_slab: events.dropSlab, oom_kill: events.oomKill,
  };
  return VMSTAT.map((name) => `${name} ${values[name] ?? 0}\n`).join("");
}

/** /proc/swaps: the one partition while it is on, or on its way off. */
export function swapsText(k: Kernel): string {
  const head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
  const { on, leaving, name, priority, slots } = k.state.mm.swap;
  if (!on && leaving === 0) return head;
  const [size, used] = [partitionPages(k), slots.size].map((pages) => pages * KB_PER_PAGE);
  const path = name.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
  return `${head}${path.padEnd(39)} partition\t${size}\t\t${used}\t\t${priority}\n`;
}
