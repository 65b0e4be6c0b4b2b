/** /proc/ssmem: segments, who has them mapped where, and their frames. */
import { procFile } from "../../fs/proc/registry.ts";
import type { Kernel } from "../../kernel.ts";
import { column } from "../../lib/format.ts";
import { rightsText } from "../../mm/proc.ts";
import type { Vma } from "../../mm/vma.ts";
import { allVmas } from "../../mm/vma_list.ts";
import { ssmemOf, type Segment } from "./segments.ts";

interface Attachment {
  tgid: number;
  vma: Vma;
}

/** Mappings by segment id, in the order of processes and addresses. */
function attachments(k: Kernel): Map<number, Attachment[]> {
  const byId = new Map<number, Attachment[]>();
  const seen = new Set<number>();
  for (const { tgid, mm } of k.state.sched.tasks.values()) {
    const space = k.state.mm.spaces.get(mm);
    if (space === undefined || seen.has(mm)) continue;
    seen.add(mm);
    for (const vma of allVmas(space)) {
      if (!vma.ops.startsWith("ssmem.")) continue;
      const own = byId.get(vma.private) ?? [];
      own.push({ tgid, vma });
      byId.set(vma.private, own);
    }
  }
  return byId;
}

function segmentText({ id, pages, frames, attached }: Segment, mapped: Attachment[]): string {
  let text = `${column(id, 4)} ${column(pages, 5)} ${column(frames.size, 6)} ${column(attached, 8)}\n`;
  for (const { tgid, vma } of mapped) {
    text += `     pid ${tgid} ${vma.start.toString(16)}-${vma.end.toString(16)} ${rightsText(vma)}\n`;
  }
  for (const [page, pfn] of [...frames].sort(([a], [b]) => a - b)) text += `     page ${page} pfn ${pfn.toString(16)}\n`;
  return text;
}

procFile("ssmem", (k) => {
  let text = "  id pages frames attached\n";
  const mapped = attachments(k);
  const segments = [...(ssmemOf(k)?.segments.values() ?? [])].sort((a, b) => a.id - b.id);
  for (const segment of segments) text += segmentText(segment, mapped.get(segment.id) ?? []);
  return text;
});
