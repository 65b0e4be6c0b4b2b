/** /proc/buddyinfo, pagetypeinfo and zoneinfo: the free memory of the one zone that the machine has (mm/vmstat.c). */
import type { Kernel } from "../../kernel.ts";
import { column } from "../../lib/format.ts";
import { freeBlocks, freeBlocksByType, ORDERS, PAGEBLOCK_PAGES } from "../../mm/buddy.ts";
import { vmstatText } from "../../mm/meminfo.ts";
import { freePages, totalPages } from "../../mm/page_alloc.ts";
import { procFile } from "./registry.ts";

const counts = (numbers: readonly number[]): string => numbers.map((count) => `${column(count, 6)} `).join("");

procFile("buddyinfo", (k) => `Node 0, zone    DMA32 ${counts(freeBlocks(k.state.mm))}\n`);

const MIGRATE_TYPES = ["Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA", "Isolate"];

function pagetypeinfo(k: Kernel): string {
  const { unmovable, movable, unmovableBlocks, movableBlocks } = freeBlocksByType(k.state.mm);
  const none = new Array<number>(ORDERS).fill(0);
  const head = `Page block order: 9\nPages per block:  ${PAGEBLOCK_PAGES}\n\n${"Free pages count per migrate type at order".padEnd(43)}`
    + `${counts(none.map((_, order) => order))}\n`;
  const rows = MIGRATE_TYPES.map((type) =>
    `Node    0, zone    DMA32, type ${type.padStart(12)} ${counts(type === "Unmovable" ? unmovable : type === "Movable" ? movable : none)}\n`);
  const blocks = MIGRATE_TYPES.map((type) => `${column(type === "Unmovable" ? unmovableBlocks : type === "Movable" ? movableBlocks : 0, 12)} `);
  return `${head}${rows.join("")}\nNumber of blocks type ${MIGRATE_TYPES.map((type) => `${type.padStart(12)} `).join("")}\nNode 0, zone    DMA32 ${blocks.join("")}\n`;
}
procFile("pagetypeinfo", pagetypeinfo, { mode: 0o400 });

/** Counters of a zone, and of its node: the names are those of vmstat. */
const isZoneCounter = (name: string): boolean => /^(nr_free_pages|nr_zone_|nr_mlock|nr_bounce|nr_zspages|nr_free_cma|numa_(hit|miss|foreign|interleave|local|other)$)/.test(name);

function zoneinfo(k: Kernel): string {
  const { mm } = k.state;
  const { min, low, high } = mm.watermarks;
  const counters = vmstatText(k).trimEnd().split("\n").map((line) => line.split(" "));
  const end = counters.findIndex(([name]) => name === "nr_dirty_threshold");
  const rows = (zone: boolean): string => counters.slice(0, end).filter(([name]) => isZoneCounter(name) === zone)
    .map(([name, value]) => `      ${name.padEnd(12)} ${value}\n`).join("");
  const pagesets = k.state.sched.cpus.map(({ id }) => `    cpu: ${id}\n              count: 0\n              high:  ${low}\n              batch: 63\n  vm stats threshold: 12\n`);
  return `Node 0, zone    DMA32\n  per-node stats\n${rows(false)}  pages free     ${freePages(mm)}\n        boost    0\n        min      ${min}\n`
    + `        low      ${low}\n        high     ${high}\n        spanned  ${mm.ramPages}\n`
    + `        present  ${mm.ramPages}\n        managed  ${totalPages(mm)}\n        cma      0\n        protection: (0, 0, 0, 0, 0)\n${rows(true)}`
    + `  pagesets\n${pagesets.join("")}  node_unreclaimable:  0\n  start_pfn:           0\n`;
}
procFile("zoneinfo", zoneinfo);
