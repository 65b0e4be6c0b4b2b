/** /proc/PID/mem and pagemap: a process's memory and page table as files, at the offset of the address (proc(5)). */
import { EACCES, EFAULT, EINVAL, EIO, ESRCH } from "../../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../../abi/capability.ts";
import { PAGE_SIZE, TASK_SIZE } from "../../abi/limits.ts";
import { getU32, putU64 } from "../../lib/bytes.ts";
import type { Kernel } from "../../kernel.ts";
import { peekUser } from "../../mm/access.ts";
import { frameOf } from "../../mm/page_alloc.ts";
import { forEachPte, isSwapEntry, PTE_SPECIAL, ptePfn, ptePresent } from "../../mm/page_table.ts";
import { SCRATCH_BASE } from "../../mm/space.ts";
import { copyFromUserPartial, copyToUser, writeUser } from "../../mm/usercopy.ts";
import { vmaAt } from "../../mm/vma.ts";
import type { Task } from "../../sched/task.ts";
import { fileOperations, type FileOperations, type OpenFile } from "../file.ts";
import { walkContext } from "../fs_struct.ts";
import { inodeOf } from "../inode.ts";
import { hasCapability } from "../permission.ts";
import { ptraceMayAccess } from "./access.ts";
import { memLseek } from "./mem_lseek.ts";
import { procPidFile } from "./registry.ts";

/** One call moves at most this much: what is longer is short, as any read may be. */
const CHUNK = 1 << 16;
const ENTRY = 8;

/** The process behind an open file: the last directory of the path that is a number; null when it is gone. */
function targetOf(k: Kernel, file: OpenFile): Task | null {
  const parts = inodeOf(k, file.inode).key.split("/");
  const task = k.state.sched.tasks.get(Number(parts[1] === "task" ? parts[2] : parts[0]));
  return task ?? null;
}

/** As Linux: a kernel thread's opens, and has nothing to read. */
const open: FileOperations["open"] = (k, task, file) => {
  const target = targetOf(k, file);
  if (target === null) return -ESRCH;
  return target.mm === 0 || ptraceMayAccess(k, walkContext(k, task), target) ? 0 : -EACCES;
};

/** The bytes at `addr` as far as they are mapped, page by page. */
function mappedBytes(k: Kernel, target: Task, addr: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let done = 0;
  while (done < count && addr + done < SCRATCH_BASE) {
    const length = Math.min(count - done, PAGE_SIZE - ((addr + done) % PAGE_SIZE));
    const piece = peekUser(k, target, addr + done, length);
    if (piece === null) break;
    bytes.set(piece, done);
    done += length;
  }
  return bytes.subarray(0, done);
}

fileOperations("proc.mem", {
  open,
  llseek: memLseek,
  read: (k, task, file, buf, count, at) => {
    const target = targetOf(k, file);
    if (target === null || target.mm === 0) return 0;
    if (count === 0) return 0;
    if (typeof at.pos === "bigint" || at.pos >= TASK_SIZE) return -EIO;
    const bytes = mappedBytes(k, target, at.pos, Math.min(count, CHUNK));
    if (bytes.length === 0) return -EIO;
    const copied = copyToUser(k, task, buf, bytes);
    if (copied > 0) at.pos += copied;
    return copied;
  },
  write: (k, task, file, buf, count, at) => {
    const target = targetOf(k, file);
    if (target === null || target.mm === 0) return 0;
    if (typeof at.pos === "bigint" || at.pos >= SCRATCH_BASE) return -EIO;
    const bytes = copyFromUserPartial(k, task, buf, Math.min(count, CHUNK));
    if (bytes.length === 0) return count === 0 ? 0 : -EFAULT;
    // Differs from Linux: what the process itself may not write is not written by force either.
    const { done } = writeUser(k, target, at.pos, bytes);
    if (done === 0) return -EIO;
    at.pos += done;
    return done;
  },
});

const PRESENT = 1n << 63n;
const SWAPPED = 1n << 62n;
const FILE_OR_SHARED = 1n << 61n;
const EXCLUSIVE = 1n << 56n;
const SOFT_DIRTY = 1n << 55n;

/** Type and offset of a place in swap share the bits of the frame: the one partition is of type 0 (MAX_SWAPFILES_SHIFT). */
const SWAP_TYPE_BITS = 5n;

/**
 * What an entry of the page table tells: nothing, a place in swap, or a page that is there, how it is shared, and its frame.
 * Places and frames are for those who may know.
 */
function entryOf(k: Kernel, low: number, high: number, showFrames: boolean): bigint {
  const pfn = ptePfn(low, high);
  if (isSwapEntry(low)) return SWAPPED | SOFT_DIRTY | (showFrames ? BigInt(pfn) << SWAP_TYPE_BITS : 0n);
  if (!ptePresent(low)) return 0n;
  // Of what a driver mapped by number, and of the zero page, nothing more is known.
  const frame = (low & PTE_SPECIAL) === 0 ? frameOf(k.state.mm, pfn) : null;
  const shared = frame !== null && frame.use !== "anon" ? FILE_OR_SHARED : 0n;
  const once = frame !== null && frame.mapped === 1 ? EXCLUSIVE : 0n;
  return PRESENT | SOFT_DIRTY | shared | once | (showFrames ? BigInt(pfn) : 0n);
}

/** One entry a page from `first` on. */
function pagemap(k: Kernel, target: Task, first: number, count: number, showFrames: boolean): Uint8Array {
  const bytes = new Uint8Array(count * ENTRY);
  const space = k.state.mm.spaces.get(target.mm);
  if (space === undefined) return bytes;
  const start = first * PAGE_SIZE;
  forEachPte(k.state.mm, space, start, start + count * PAGE_SIZE, (table, index, addr) => {
    putU64(bytes, (addr / PAGE_SIZE - first) * ENTRY, entryOf(k, table[index], table[index + 1], showFrames));
  });
  for (let page = 0; page < count; page++) {
    const at = page * ENTRY;
    // As Linux: pages that are not there but belong to a mapping are soft-dirty too.
    if (getU32(bytes, at + 4) === 0 && vmaAt(space, start + page * PAGE_SIZE) !== null) putU64(bytes, at, SOFT_DIRTY);
  }
  return bytes;
}

fileOperations("proc.pagemap", {
  open,
  llseek: memLseek,
  read: (k, task, file, buf, count, at) => {
    const target = targetOf(k, file);
    if (target === null || target.mm === 0) return 0;
    const pos = at.pos;
    if (typeof pos === "bigint" || pos % ENTRY !== 0 || count % ENTRY !== 0) return -EINVAL;
    const first = pos / ENTRY;
    const entries = Math.min(count / ENTRY, CHUNK / ENTRY, TASK_SIZE / PAGE_SIZE - first);
    if (entries <= 0) return 0;
    const copied = copyToUser(k, task, buf, pagemap(k, target, first, entries, hasCapability(task.cred, CAP_SYS_ADMIN)));
    if (copied > 0) at.pos = pos + copied;
    return copied;
  },
});

procPidFile("mem", () => -EINVAL, { mode: 0o600, ops: "proc.mem" });
procPidFile("pagemap", () => -EINVAL, { mode: 0o400, ops: "proc.pagemap" });
