/** Kernel memory in one piece of addresses but not of frames (mm/vmalloc.c), and giving it to users. */
import { EINVAL } from "../abi/errno.ts";
import { GFP_KERNEL, __GFP_ZERO } from "../abi/gfp.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { assert, must } from "../lib/assert.ts";
import { callerOf } from "../sched/stack_trace.ts";
import { current } from "../sched/task.ts";
import { fatalSignalPending } from "../sched/wait_queue.ts";
import { warnAlloc, warnOnce } from "./alloc_report.ts";
import { allocationTrace, type AllocationTrace } from "./alloc_trace.ts";
import { allocFrame, frameBytes, putFrame, readFrame, totalPages } from "./page_alloc.ts";
import { vmInsertPage } from "./remap.ts";
import type { MmState } from "./state.ts";
import { VM_DONTDUMP, VM_DONTEXPAND, setVmaFlags, type Vma } from "./vma.ts";

export interface VmallocArea {
  id: number;
  owner: string;
  /** Bytes asked for. */
  size: number;
  /** Bytes from VMALLOC_START. */
  offset: number;
  frames: number[];
  /** Made by vmallocUser: it may be mapped to users (VM_USERMAP). */
  user: boolean;
  /** The function that asked for it, as %pS prints it. */
  caller: string;
  /** Of a module's: who asked for it, and when. */
  trace: AllocationTrace | null;
}

const VMALLOC_START = 0xffff_c900_0000_0000n;

/**
 * Allocates `size` bytes, zeroed; the area's id, or 0 when memory is out, which is told as warn_alloc tells it. 0 bytes are 0
 * too, with a warning once a boot.
 */
export function vmalloc(k: Kernel, size: number, owner: string, gfp = GFP_KERNEL): number {
  return allocArea(k, size, owner, gfp, false);
}

/** The same, for memory that `remapVmallocRange` may give to users. */
export function vmallocUser(k: Kernel, size: number, owner: string): number {
  return allocArea(k, size, owner, GFP_KERNEL | __GFP_ZERO, true);
}

function allocArea(k: Kernel, size: number, owner: string, gfp: number, user: boolean): number {
  const { mm } = k.state;
  const pages = Math.ceil(size / PAGE_SIZE);
  if (pages === 0) {
    warnOnce(k, "vmalloc.size", "", { file: "mm/vmalloc.c", line: 3145, symbol: "__vmalloc_node_range+0x4ff/0x8e0" }, [user ? "vmalloc_user+0x52/0x70" : "vmalloc+0x50/0x60"]);
    return 0;
  }
  if (pages > totalPages(mm)) {
    warnAlloc(k, gfp, `vmalloc error: size ${size}, exceeds total pages`);
    return 0;
  }
  const frames: number[] = [];
  for (let page = 0; page < pages; page++) {
    const task = current(k);
    const dying = task !== null && fatalSignalPending(task);
    const pfn = dying ? 0 : allocFrame(k, { use: "kernel" });
    if (pfn === 0) {
      for (const taken of frames) putFrame(k, taken);
      if (!dying) warnAlloc(k, gfp, `vmalloc error: size ${pages * PAGE_SIZE}, page order 0, failed to allocate pages`);
      return 0;
    }
    frames.push(pfn);
  }
  const id = mm.nextVmalloc++;
  const caller = owner === "kernel" ? "kvmalloc_node+0x4d/0xe0" : callerOf(k, current(k));
  mm.vmalloc.set(id, {
    id, owner, size, offset: takeAddresses(mm, (pages + 1) * PAGE_SIZE), frames, user, caller,
    trace: allocationTrace(k, owner, "__vmalloc_node_range+0x65f/0x8e0"),
  });
  return id;
}

/**
 * The lowest addresses that are free, with a guard page behind each area: where they begin, in bytes from VMALLOC_START.
 * Differs from Linux: what was freed can be had again at once, not only after a purge.
 */
function takeAddresses(mm: MmState, size: number): number {
  const at = mm.vmallocHoles.findIndex(([, room]) => room >= size);
  if (at < 0) {
    mm.vmallocEnd += size;
    return mm.vmallocEnd - size;
  }
  const hole = mm.vmallocHoles[at];
  const [offset] = hole;
  if (hole[1] === size) mm.vmallocHoles.splice(at, 1);
  else mm.vmallocHoles[at] = [offset + size, hole[1] - size];
  return offset;
}

/** Addresses become a hole, or part of one, or part of what lies behind all areas. */
function giveAddresses(mm: MmState, offset: number, size: number): void {
  const holes = mm.vmallocHoles;
  let at = holes.findIndex(([start]) => start > offset);
  if (at < 0) at = holes.length;
  let [start, end] = [offset, offset + size];
  if (at < holes.length && holes[at][0] === end) end += holes.splice(at, 1)[0][1];
  if (at > 0 && holes[at - 1][0] + holes[at - 1][1] === start) [[start]] = holes.splice(--at, 1);
  if (end === mm.vmallocEnd) mm.vmallocEnd = start;
  else holes.splice(at, 0, [start, end - start]);
}

/** Frees an area; 0 is nothing. Pages that users have mapped live on until they are unmapped. */
export function vfree(k: Kernel, id: number): void {
  if (id === 0) return;
  const { mm } = k.state;
  const { frames, offset } = areaOf(k, id);
  for (const pfn of frames) putFrame(k, pfn);
  mm.vmalloc.delete(id);
  giveAddresses(mm, offset, (frames.length + 1) * PAGE_SIZE);
}

function areaOf(k: Kernel, id: number): VmallocArea {
  return must(k.state.mm.vmalloc, id);
}

/** The area's virtual address. */
export function vmallocAddress(k: Kernel, id: number): bigint {
  return VMALLOC_START + BigInt(areaOf(k, id).offset);
}

/** The frame of a byte of an area (vmalloc_to_pfn). */
export function vmallocToPfn(k: Kernel, id: number, offset: number): number {
  return areaOf(k, id).frames[Math.floor(offset / PAGE_SIZE)];
}

/** Copies `count` bytes at `offset` out of an area. */
export function readVmalloc(k: Kernel, id: number, offset: number, count: number): Uint8Array {
  const { frames } = areaOf(k, id);
  assert(offset >= 0 && offset + count <= frames.length * PAGE_SIZE, `reading ${count} bytes at ${offset} of vmalloc area ${id}`);
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count;) {
    const at = (offset + done) % PAGE_SIZE;
    const length = Math.min(count - done, PAGE_SIZE - at);
    bytes.set(readFrame(k, frames[Math.floor((offset + done) / PAGE_SIZE)]).subarray(at, at + length), done);
    done += length;
  }
  return bytes;
}

/** Copies bytes into an area at `offset`. */
export function writeVmalloc(k: Kernel, id: number, offset: number, bytes: Uint8Array): void {
  const { frames } = areaOf(k, id);
  assert(offset >= 0 && offset + bytes.length <= frames.length * PAGE_SIZE, `writing ${bytes.length} bytes at ${offset} of vmalloc area ${id}`);
  for (let done = 0; done < bytes.length;) {
    const at = (offset + done) % PAGE_SIZE;
    const length = Math.min(bytes.length - done, PAGE_SIZE - at);
    frameBytes(k, frames[Math.floor((offset + done) / PAGE_SIZE)]).set(bytes.subarray(done, done + length), at);
    done += length;
  }
}

/**
 * Maps an area from its page `pgoff` on over the whole of `vma`: 0, or -EINVAL when there is no such area, it is not for users
 * or too short; -EBUSY where something is mapped already (remap_vmalloc_range). The mapping may not grow afterwards.
 */
export function remapVmallocRange(k: Kernel, vma: Vma, id: number, pgoff: number): number {
  const area = k.state.mm.vmalloc.get(id);
  if (area === undefined || !area.user) return -EINVAL;
  const { frames } = area;
  const pages = (vma.end - vma.start) / PAGE_SIZE;
  if (pgoff + pages > frames.length) return -EINVAL;
  for (let page = 0; page < pages; page++) {
    const error = vmInsertPage(k, vma, vma.start + page * PAGE_SIZE, frames[pgoff + page]);
    if (error < 0) return error;
  }
  setVmaFlags(vma, vma.flags | VM_DONTEXPAND | VM_DONTDUMP);
  return 0;
}
