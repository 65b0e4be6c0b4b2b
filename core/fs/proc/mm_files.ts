/** Files of /proc about memory; the texts are mm's own. */
import { freePages, totalPages } from "../../mm/page_alloc.ts";
import { meminfoText, minFreePages, slabinfoText, swapsText, vmallocinfoText, vmstatText } from "../../mm/meminfo.ts";
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

function zoneinfo(k: Kernel): string {
  const { mm } = k.state;
  const min = minFreePages(mm);
  return `Node 0, zone    DMA32\n  pages free     ${freePages(mm)}\n        boost    0\n        min      ${min}\n`
    + `        low      ${Math.floor((min * 5) / 4)}\n        high     ${Math.floor((min * 3) / 2)}\n        spanned  ${mm.ramPages}\n`
    + `        present  ${mm.ramPages}\n        managed  ${totalPages(mm)}\n        cma      0\n`;
}
procFile("zoneinfo", zoneinfo);

sysctlInteger("vm/min_free_kbytes", { value: (k) => minFreePages(k.state.mm) * 4, mode: 0o444 });
