/** What must hold of slab caches and vmalloc between two inputs: objects and slabs add up, areas and holes fill their addresses. */
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";

/** What is broken, a sentence each; `page` is told each page of each slab. */
export function slabInvariants(k: Kernel, page: (pfn: number) => void): string[] {
  const { caches, objects } = k.state.mm;
  const wrong: string[] = [];
  const live = new Map<string, number>();
  for (const { cache } of objects.values()) live.set(cache, (live.get(cache) ?? 0) + 1);
  for (const [name, cache] of caches) {
    let used = 0;
    for (const slab of cache.slabs.values()) {
      used += slab.objects - slab.free.length;
      for (let at = 0; at < slab.pages; at++) page(slab.pfn + at);
      if (new Set(slab.free).size !== slab.free.length) wrong.push(`an object of slab ${slab.pfn} of ${name} is free twice`);
      if (slab.free.length === slab.objects) wrong.push(`slab ${slab.pfn} of ${name} is empty`);
      if (cache.partial.includes(slab.pfn) !== (slab.free.length > 0)) wrong.push(`slab ${slab.pfn} of ${name} has ${slab.free.length} free objects and is on the wrong list`);
    }
    if (used !== cache.live || used !== (live.get(name) ?? 0)) wrong.push(`cache ${name} counts ${cache.live} objects, its slabs hold ${used}, ${live.get(name) ?? 0} are found`);
  }
  for (const name of live.keys()) if (name !== "" && !caches.has(name)) wrong.push(`objects of cache ${name}, which is not there`);
  return [...wrong, ...vmallocInvariants(k)];
}

function vmallocInvariants(k: Kernel): string[] {
  const { vmalloc, vmallocHoles, vmallocEnd } = k.state.mm;
  const parts: [number, number][] = [...vmallocHoles];
  for (const { offset, frames } of vmalloc.values()) parts.push([offset, (frames.length + 1) * PAGE_SIZE]);
  let end = 0;
  for (const [offset, size] of parts.sort((a, b) => a[0] - b[0])) {
    if (offset !== end) return [`vmalloc addresses ${end} and ${offset} do not meet`];
    end += size;
  }
  return end === vmallocEnd ? [] : [`vmalloc addresses end at ${end}, not ${vmallocEnd}`];
}
