/** Files of /proc about memory; the texts are mm's own. */
import { freePages, totalPages } from "../../mm/page_alloc.ts";
import { meminfoText, minFreePages, swapsText, vmstatText } from "../../mm/meminfo.ts";
import { slabinfoText } from "../../mm/slabinfo.ts";
import { vmallocinfoText } from "../../mm/vmallocinfo.ts";
import type { Kernel } from "../../kernel.ts";
import { column } from "../../lib/format.ts";
import { procFile } from "./registry.ts";
import { sysctlInteger } from "./sysctl.ts";

procFile("meminfo", meminfoText);
procFile("vmstat", vmstatText);
procFile("swaps", swapsText);
procFile("slabinfo", slabinfoText, { mode: 0o400 });
procFile("vmallocinfo", vmallocinfoText, { mode: 0o400 });

const ORDERS = 11;

/** Free memory as blocks of 1, 2, 4 … 1024 pages, the largest first: frames here have no places to be scattered over. */
function buddyinfo(k: Kernel): string {
  let left = freePages(k.state.mm);
  const blocks: number[] = [];
  for (let order = ORDERS - 1; order >= 0; order--) {
    const count = Math.floor(left / 2 ** order);
    blocks.unshift(count);
    left -= count * 2 ** order;
  }
  return `Node 0, zone    DMA32 ${blocks.map((count) => `${column(count, 6)} `).join("")}\n`;
}
procFile("buddyinfo", buddyinfo);

/** Counters of a zone, and of its node: the names are those of vmstat. */
const isZoneCounter = (name: string): boolean => /^(nr_free_pages|nr_zone_|nr_mlock|nr_bounce|nr_zspages|nr_free_cma|numa_(hit|miss|foreign|interleave|local|other)$)/.test(name);

function zoneinfo(k: Kernel): string {
  const { mm } = k.state;
  const min = minFreePages(mm);
  const counters = vmstatText(k).trimEnd().split("\n").map((line) => line.split(" "));
  const end = counters.findIndex(([name]) => name === "nr_dirty_threshold");
  const rows = (zone: boolean): string => counters.slice(0, end).filter(([name]) => isZoneCounter(name) === zone)
    .map(([name, value]) => `      ${name.padEnd(12)} ${value}\n`).join("");
  const low = Math.floor((min * 5) / 4);
  const high = Math.floor((min * 3) / 2);
  const pagesets = k.state.sched.cpus.map(({ id }) => `    cpu: ${id}\n              count: 0\n              high:  0\n              batch: 63\n  vm stats threshold: 12\n`);
  return `Node 0, zone    DMA32\n  per-node stats\n${rows(false)}  pages free     ${freePages(mm)}\n        boost    0\n        min      ${min}\n`
    + `        low      ${low}\n        high     ${high}\n        spanned  ${mm.ramPages}\n`
    + `        present  ${mm.ramPages}\n        managed  ${totalPages(mm)}\n        cma      0\n        protection: (0, 0, 0, 0)\n${rows(true)}`
    + `  pagesets\n${pagesets.join("")}  node_unreclaimable:  0\n  start_pfn:           4096\n`;
}
procFile("zoneinfo", zoneinfo);

sysctlInteger("vm/min_free_kbytes", { value: (k) => minFreePages(k.state.mm) * 4, mode: 0o444 });
