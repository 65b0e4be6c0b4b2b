/** What the kernel prints of its memory when that is out (lib/show_mem.c). */
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { ACTIVE_ANON, ACTIVE_FILE, INACTIVE_ANON, INACTIVE_FILE, UNEVICTABLE } from "./lru.ts";
import { freePages, totalPages } from "./page_alloc.ts";
import { slabPages } from "./slabinfo.ts";
import { freeSwapPages, swapPages } from "./swap.ts";
import { freeBlocks } from "./buddy.ts";

const kB = (pages: number): string => `${pages * 4}kB`;

/** The lists, the node, its zone and swap, as show_mem prints them. */
export function showMem(k: Kernel): void {
  const { mm } = k.state;
  const { used, watermarks } = mm;
  const on = (list: number): number => mm.lru[list].count;
  const tell = (line: string): void => printk(k, 4, line);
  tell("Mem-Info:");
  tell(`active_anon:${on(ACTIVE_ANON)} inactive_anon:${on(INACTIVE_ANON)} isolated_anon:0`);
  tell(` active_file:${on(ACTIVE_FILE)} inactive_file:${on(INACTIVE_FILE)} isolated_file:0`);
  tell(` unevictable:${on(UNEVICTABLE)} dirty:0 writeback:0`);
  const slab = slabPages(k);
  tell(` slab_reclaimable:${slab.reclaimable} slab_unreclaimable:${slab.unreclaimable}`);
  tell(` mapped:${used.shmem + used.file} shmem:${used.shmem} pagetables:${used.table}`);
  tell(" sec_pagetables:0 bounce:0");
  tell(" kernel_misc_reclaimable:0");
  tell(` free:${freePages(mm)} free_pcp:0 free_cma:0`);
  const lists = `active_anon:${kB(on(ACTIVE_ANON))} inactive_anon:${kB(on(INACTIVE_ANON))} active_file:${kB(on(ACTIVE_FILE))} ` +
    `inactive_file:${kB(on(INACTIVE_FILE))} unevictable:${kB(on(UNEVICTABLE))}`;
  tell(`Node 0 ${lists} isolated(anon):0kB isolated(file):0kB mapped:${kB(used.shmem + used.file)} dirty:0kB writeback:0kB ` +
    `shmem:${kB(used.shmem)} writeback_tmp:0kB kernel_stack:${kB(k.state.sched.tasks.size * 4)} pagetables:${kB(used.table)} ` +
    `sec_pagetables:0kB all_unreclaimable? ${freeSwapPages(k) === 0 ? "yes" : "no"}`);
  tell(`Node 0 DMA32 free:${kB(freePages(mm))} boost:0kB min:${kB(watermarks.min)} low:${kB(watermarks.low)} high:${kB(watermarks.high)} ` +
    `reserved_highatomic:0KB ${lists} writepending:0kB present:${kB(mm.ramPages)} managed:${kB(totalPages(mm))} mlocked:${kB(on(UNEVICTABLE))} ` +
    "bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:0kB");
  tell("lowmem_reserve[]: 0 0 0 0");
  const blocks = freeBlocks(mm);
  tell(`Node 0 DMA32: ${blocks.map((count, order) => `${count}*${4 << order}kB`).join(" ")} = ${kB(freePages(mm))}`);
  tell(`${used.file + used.shmem + mm.swap.cached} total pagecache pages`);
  tell(`${mm.swap.cached} pages in swap cache`);
  tell(`Free swap  = ${kB(freeSwapPages(k))}`);
  tell(`Total swap = ${kB(swapPages(k))}`);
  tell(`${mm.ramPages} pages RAM`);
  tell("0 pages HighMem/MovableOnly");
  tell(`${mm.reservedPages} pages reserved`);
}
