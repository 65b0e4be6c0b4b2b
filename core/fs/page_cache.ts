/** The page cache of regular files: frames by page offset, taken from memory as the file is written, mapped or set aside. */
import { EFBIG, ENOMEM, ENOSPC } from "../abi/errno.ts";
import { MAJOR, MINOR } from "../abi/dev_t.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { lruAdd } from "../mm/lru.ts";
import { allocFrame, frameBytes, frameOf } from "../mm/page_alloc.ts";
import { wholeBytes, zeroPage } from "../mm/page_content.ts";
import { peekShmem, putShmemPage, shmemFrame } from "../mm/shmem_swap.ts";
import { slotOf } from "../mm/swap.ts";
import { pathOf } from "./d_path.ts";
import { fileOf } from "./file.ts";
import { treeRoot } from "./fs_struct.ts";
import { inodeOf, type Inode } from "./inode.ts";
import type { SuperBlock } from "./mount.ts";

/**
 * The largest size of a file, bytes.
 * Differs from Linux: tmpfs takes 2^63-1; here sizes are numbers, and positions beyond this are EFBIG to write.
 */
export const MAX_FILE_SIZE = 2 ** 53 - PAGE_SIZE;

export function sbOfInode(k: Kernel, inode: Inode): SuperBlock {
  return must(k.state.fs.superBlocks, inode.sb);
}

/**
 * The bytes of one page of a file, only to be read; a hole is zeros. A page in swap comes back into memory, and is read where it
 * is when memory is out.
 */
export function pageBytes(k: Kernel, inode: Inode, pgoff: number): Uint8Array {
  const held = inode.pages?.get(pgoff);
  if (inode.pages === null || held === undefined) return zeroPage;
  const pfn = held > 0 ? held : shmemFrame(k, inode.pages, inode.id, pgoff);
  return peekShmem(k, pfn > 0 ? pfn : held);
}

/**
 * The frame of a page, allocated if it is a hole; -ENOSPC when the file system is full, -ENOMEM when memory is. Whoever may
 * cause faults before it is done with the frame takes a reference.
 */
export function pageForWrite(k: Kernel, inode: Inode, pgoff: number): number {
  const pages = inode.pages as Map<number, number>;
  const known = shmemFrame(k, pages, inode.id, pgoff);
  if (known !== 0) return known > 0 ? known : -ENOMEM;
  let pfn = inode.reserved?.get(pgoff);
  if (pfn === undefined) {
    pfn = newPage(k, inode);
    if (pfn < 0) return pfn;
  } else inode.reserved?.delete(pgoff);
  const { mm } = k.state;
  lruAdd(mm, pfn, frameOf(mm, pfn), inode.id, pgoff);
  pages.set(pgoff, pfn);
  return pfn;
}

function newPage(k: Kernel, inode: Inode): number {
  const sb = sbOfInode(k, inode);
  if (sb.maxPages !== 0 && sb.usedPages >= sb.maxPages) return -ENOSPC;
  const pfn = allocFrame(k, { use: "shmem" });
  if (pfn === 0) return -ENOMEM;
  sb.usedPages++;
  return pfn;
}

/** Sets a page aside without writing it (fallocate): 0, -ENOSPC or -ENOMEM. */
export function reservePage(k: Kernel, inode: Inode, pgoff: number): number {
  if (inode.pages?.has(pgoff) === true || inode.reserved?.has(pgoff) === true) return 0;
  const pfn = newPage(k, inode);
  if (pfn < 0) return pfn;
  (inode.reserved ??= new Map()).set(pgoff, pfn);
  return 0;
}

/** How many pages a file holds. */
export function heldPages(inode: Inode): number {
  return (inode.pages?.size ?? 0) + (inode.reserved?.size ?? 0);
}

/** Frees the pages from `first` to before `end`; mappings of them must be gone. */
export function freePages(k: Kernel, sb: SuperBlock, inode: Inode, first: number, end = Infinity): void {
  for (const pages of [inode.pages, inode.reserved]) {
    if (pages === null) continue;
    // Few pages to look for, or few to look at: whichever is less work.
    const gone = end - first < pages.size
      ? Array.from({ length: end - first }, (_, at) => first + at).filter((pgoff) => pages.has(pgoff))
      : [...pages.keys()].filter((pgoff) => pgoff >= first && pgoff < end);
    for (const pgoff of gone) {
      putShmemPage(k, must(pages, pgoff));
      pages.delete(pgoff);
    }
    sb.usedPages -= gone.length;
  }
}

/** Zeroes the bytes from `from` to before `to` of one page, if it is there. */
export function zeroRange(k: Kernel, inode: Inode, from: number, to: number): void {
  const pgoff = Math.floor(from / PAGE_SIZE);
  const held = inode.pages?.get(pgoff);
  if (inode.pages === null || held === undefined || to <= from) return;
  const pfn = held > 0 ? held : shmemFrame(k, inode.pages, inode.id, pgoff);
  // Where no memory is left to bring it to, its place in swap is changed.
  const bytes = pfn > 0 ? frameBytes(k, pfn) : wholeBytes(slotOf(k.state.mm, -held));
  bytes.fill(0, from % PAGE_SIZE, (from % PAGE_SIZE) + (to - from));
}

/** Up to `count` bytes of a file at `pos`, fewer at its end; holes are zeros. Pages in swap come back into memory. */
export function readBytes(k: Kernel, inode: Inode, pos: number, count: number): Uint8Array {
  return gather(inode, pos, count, (pgoff) => pageBytes(k, inode, pgoff));
}

/** The same for a look that changes nothing: pages in swap stay there. */
export function peekBytes(k: Kernel, inode: Inode, pos: number, count: number): Uint8Array {
  return gather(inode, pos, count, (pgoff) => peekShmem(k, inode.pages?.get(pgoff) ?? 0));
}

function gather({ size }: Inode, pos: number, count: number, page: (pgoff: number) => Uint8Array): Uint8Array {
  const length = Math.max(0, Math.min(count, size - pos));
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const offset = (pos + done) % PAGE_SIZE;
    const piece = Math.min(PAGE_SIZE - offset, length - done);
    bytes.set(page(Math.floor((pos + done) / PAGE_SIZE)).subarray(offset, offset + piece), done);
    done += piece;
  }
  return bytes;
}

/** Writes kernel bytes at `pos`, growing the file; how many got there, or an errno when none did. */
export function writeBytes(k: Kernel, inode: Inode, pos: number, bytes: Uint8Array): number {
  if (pos + bytes.length > MAX_FILE_SIZE) return -EFBIG;
  let done = 0;
  while (done < bytes.length) {
    const pfn = pageForWrite(k, inode, Math.floor((pos + done) / PAGE_SIZE));
    if (pfn < 0) {
      if (done === 0) return pfn;
      break;
    }
    const offset = (pos + done) % PAGE_SIZE;
    const piece = Math.min(PAGE_SIZE - offset, bytes.length - done);
    frameBytes(k, pfn).set(bytes.subarray(done, done + piece), offset);
    done += piece;
  }
  inode.size = Math.max(inode.size, pos + done);
  return done;
}

/** Sets the size: what is beyond a smaller one is freed, in mappings too, and reads as zeros when the file grows again. */
export function setSize(k: Kernel, inode: Inode, size: number): void {
  const old = inode.size;
  inode.size = size;
  if (size >= old && inode.reserved === null) return;
  const first = Math.ceil(size / PAGE_SIZE);
  if (size < old) {
    zeroRange(k, inode, size, first * PAGE_SIZE);
    k.tables.hooks.unmapFileRange(k, inode.id, first);
  }
  if (size <= old) freePages(k, sbOfInode(k, inode), inode, first);
}

/** The frame that a mapping of a file sees at `pgoff`; allocated when a hole. Hook of memory management. */
export function filePage(k: Kernel, fileId: number, pgoff: number): { pfn: number } | "sigbus" | "oom" {
  const inode = inodeOf(k, fileOf(k, fileId).inode);
  if (inode.pages === null || pgoff >= Math.ceil(inode.size / PAGE_SIZE)) return "sigbus";
  const pfn = pageForWrite(k, inode, pgoff);
  // As Linux: a full tmpfs is SIGBUS to a store, memory that is out is the OOM killer's matter.
  return pfn > 0 ? { pfn } : pfn === -ENOMEM ? "oom" : "sigbus";
}

/** What /proc/PID/maps shows of a mapped file. Hook of memory management. */
export function fileMapName(k: Kernel, fileId: number): { major: number; minor: number; ino: number; path: string } {
  const file = fileOf(k, fileId);
  const inode = inodeOf(k, file.inode);
  const { dev } = sbOfInode(k, inode);
  return { major: MAJOR(dev), minor: MINOR(dev), ino: inode.ino, path: pathOf(k, file, { root: treeRoot(k) }) };
}

/** Every frame that the page cache and pipes hold, one item a reference. Hook of memory management. */
export function* pageCacheFrames(k: Kernel): Iterable<number> {
  for (const inode of k.state.fs.inodes.values()) {
    if (inode.pages !== null) for (const held of inode.pages.values()) if (held > 0) yield held;
    if (inode.reserved !== null) yield* inode.reserved.values();
  }
  for (const { ring, spare } of k.state.fs.pipes.values()) {
    for (const { pfn } of ring) yield pfn;
    if (spare !== 0) yield spare;
  }
}
