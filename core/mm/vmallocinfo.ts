/** /proc/vmallocinfo: the areas of vmalloc by address (mm/vmalloc.c). */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { column } from "../lib/format.ts";
import { hashedAddress } from "./alloc_report.ts";
import { vmallocAddress } from "./vmalloc.ts";

/** An area's list of pages is itself in vmalloc memory when it is longer than a page. */
const POINTERS_PER_PAGE = PAGE_SIZE / 8;

/** One line an area: its addresses as %pK prints them, its size with the guard page, who asked for it, what it is. */
export function vmallocinfoText(k: Kernel): string {
  const areas = [...k.state.mm.vmalloc.values()].sort((a, b) => a.offset - b.offset);
  return areas.map(({ id, frames, caller, user }) => {
    const start = vmallocAddress(k, id);
    const size = (frames.length + 1) * PAGE_SIZE;
    const words = [caller, `pages=${frames.length}`, "vmalloc", ...(user ? ["user"] : []), ...(frames.length > POINTERS_PER_PAGE ? ["vpages"] : []), `N0=${frames.length}`];
    return `0x${hashedAddress(k, start)}-0x${hashedAddress(k, start + BigInt(size))} ${column(size, 7)} ${words.join(" ")}\n`;
  }).join("");
}
