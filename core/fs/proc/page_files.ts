/** /proc/kpagecount, kpageflags and kpagecgroup: eight bytes a page frame, at eight times its number (Documentation/admin-guide/mm/pagemap.rst). */
import { EINVAL } from "../../abi/errno.ts";
import { putU64 } from "../../lib/bytes.ts";
import type { Kernel } from "../../kernel.ts";
import { ACTIVE_ANON, ACTIVE_FILE, UNEVICTABLE } from "../../mm/lru.ts";
import { ZERO_PFN, type PageFrame } from "../../mm/page_alloc.ts";
import type { MmState } from "../../mm/state.ts";
import { copyToUser } from "../../mm/usercopy.ts";
import { fileOperations } from "../file.ts";
import { memLseek } from "./mem_lseek.ts";
import { procFile } from "./registry.ts";

const ENTRY = 8;
/** One call moves at most this much: what is longer is short, as any read may be. */
const CHUNK = 1 << 16;
/** Frames are told up to the end of the last section of memory: 128 MiB each. */
const SECTION_PAGES = 32_768;

// Bits of kpageflags (include/uapi/linux/kernel-page-flags.h).
const KPF_REFERENCED = 1n << 2n;
const KPF_UPTODATE = 1n << 3n;
const KPF_LRU = 1n << 5n;
const KPF_ACTIVE = 1n << 6n;
const KPF_SLAB = 1n << 7n;
const KPF_BUDDY = 1n << 10n;
const KPF_MMAP = 1n << 11n;
const KPF_ANON = 1n << 12n;
const KPF_SWAPCACHE = 1n << 13n;
const KPF_SWAPBACKED = 1n << 14n;
const KPF_UNEVICTABLE = 1n << 18n;
const KPF_NOPAGE = 1n << 20n;
const KPF_ZERO_PAGE = 1n << 24n;
const KPF_PGTABLE = 1n << 26n;
const KPF_RESERVED = 1n << 32n;
const KPF_MLOCKED = 1n << 33n;
/** Of an anonymous page this bit says that one process alone has it (PG_anon_exclusive). */
const KPF_MAPPEDTODISK = 1n << 34n;

/** The frame of a pfn; "reserved" for the kernel's own, "free", or null beyond memory. */
function frameAt(mm: MmState, pfn: number): PageFrame | "reserved" | "free" | null {
  if (pfn >= mm.ramPages) return null;
  if (pfn < mm.reservedPages) return "reserved";
  return mm.frames[pfn - mm.reservedPages] ?? "free";
}

/** What a frame is, as kpageflags tells. */
function flagsOf(mm: MmState, pfn: number): bigint {
  const frame = frameAt(mm, pfn);
  if (frame === null) return KPF_NOPAGE;
  if (frame === "reserved") return pfn === ZERO_PFN ? KPF_RESERVED | KPF_ZERO_PAGE : KPF_RESERVED;
  if (frame === "free") return KPF_BUDDY;
  const common = (frame.mapped > 0 ? KPF_MMAP : 0n) | lruFlags(frame);
  switch (frame.use) {
    case "anon": return KPF_UPTODATE | KPF_ANON | KPF_SWAPBACKED | common | (frame.mapped === 1 ? KPF_MAPPEDTODISK : 0n);
    case "file": return KPF_UPTODATE | common;
    case "shmem": return KPF_UPTODATE | KPF_SWAPBACKED | common;
    case "slab": return KPF_SLAB;
    case "table": return KPF_PGTABLE;
    case "kernel": return common;
  }
}

/** What reclaim knows of a page that may be taken back. */
function lruFlags({ lru }: PageFrame): bigint {
  if (lru === null) return 0n;
  return KPF_LRU | (lru.referenced ? KPF_REFERENCED : 0n) | (lru.list === ACTIVE_ANON || lru.list === ACTIVE_FILE ? KPF_ACTIVE : 0n)
    | (lru.list === UNEVICTABLE ? KPF_UNEVICTABLE | KPF_MLOCKED : 0n) | (lru.swap !== 0 ? KPF_SWAPCACHE : 0n);
}

/** How often a frame is mapped; slabs and page tables keep other things in that place. */
function mapcountOf(mm: MmState, pfn: number): bigint {
  const frame = frameAt(mm, pfn);
  return frame === null || typeof frame === "string" || frame.use === "slab" || frame.use === "table" ? 0n : BigInt(frame.mapped);
}

/** The file /proc/NAME with a number a frame. */
function frameFile(name: string, value: (mm: MmState, pfn: number) => bigint): void {
  const ops = `proc.${name}`;
  fileOperations(ops, {
    llseek: memLseek,
    read: (k: Kernel, task, _file, buf, count, at) => {
      const { mm } = k.state;
      const { pos } = at;
      if (BigInt(pos) % BigInt(ENTRY) !== 0n || count % ENTRY !== 0) return -EINVAL;
      const frames = Math.ceil(mm.ramPages / SECTION_PAGES) * SECTION_PAGES;
      if (typeof pos === "bigint" || pos >= frames * ENTRY) return 0;
      const bytes = new Uint8Array(Math.min(count, CHUNK, frames * ENTRY - pos));
      for (let done = 0; done < bytes.length; done += ENTRY) putU64(bytes, done, value(mm, (pos + done) / ENTRY));
      const copied = copyToUser(k, task, buf, bytes);
      if (copied > 0) at.pos = pos + copied;
      return copied;
    },
  });
  procFile(name, () => -EINVAL, { mode: 0o400, ops });
}

frameFile("kpagecount", mapcountOf);
frameFile("kpageflags", flagsOf);
// Nobody is in a memory control group but the root's, which has no number here.
frameFile("kpagecgroup", () => 0n);
