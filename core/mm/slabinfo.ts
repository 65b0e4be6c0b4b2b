/** /proc/slabinfo: kmalloc's caches and those of modules as they are, the kernel's own by what it has of each thing. */
import { PAGE_SIZE } from "../abi/limits.ts";
import { S_IFMT, S_IFSOCK } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { column } from "../lib/format.ts";
import { kmallocName, KMALLOC_SIZES } from "./kmalloc.ts";
import { cachePages, newCache, slabOrder, type KmemCache } from "./slab.ts";
import { allVmas } from "./vma_list.ts";

/** A cache of the kernel's own: bytes of an object, how many there are, and whether pressure can shrink it. */
interface Row {
  name: string;
  size: number;
  count: (k: Kernel) => number;
  reclaimable?: boolean;
}

const socketsOf = (proto: RegExp) => (k: Kernel): number => {
  let count = 0;
  for (const socket of k.state.net.sockets.values()) if (proto.test(socket.proto)) count++;
  return count;
};

type InodeCache = "proc" | "shmem" | "sock" | "other";

/** The cache that inodes of a file system lie in. */
function inodeCache(type: string, mode: number): InodeCache {
  if (type === "proc") return "proc";
  if (type === "tmpfs" || type === "devtmpfs" || type === "rootfs") return "shmem";
  return type === "anonfs" && (mode & S_IFMT) === S_IFSOCK ? "sock" : "other";
}

const inodesOf = (cache: InodeCache) => (k: Kernel): number => {
  const { inodes, superBlocks } = k.state.fs;
  let count = 0;
  for (const { sb, mode } of inodes.values()) if (inodeCache(superBlocks.get(sb)?.type ?? "", mode) === cache) count++;
  return count;
};

const anonVmas = (k: Kernel): number => {
  const families = new Set<number>();
  for (const space of k.state.mm.spaces.values()) for (const { anonVma } of allVmas(space)) if (anonVma !== 0) families.add(anonVma);
  return families.size;
};

const sum = <T>(values: Iterable<T>, of: (value: T) => number): number => {
  let total = 0;
  for (const value of values) total += of(value);
  return total;
};

/** The newest first, as the list grows; sizes are those of a 6.1 for x86-64. */
const ROWS: readonly Row[] = [
  { name: "UNIX", size: 1088, count: socketsOf(/^unix/) },
  { name: "eventpoll_pwq", size: 64, count: (k) => k.state.fs.epollItems.size },
  { name: "eventpoll_epi", size: 128, count: (k) => k.state.fs.epollItems.size },
  { name: "inotify_inode_mark", size: 80, count: (k) => k.state.fs.watches.size },
  { name: "posix_timers_cache", size: 248, count: (k) => sum(k.state.sched.groups.values(), ({ posixTimers }) => posixTimers.length) },
  { name: "UDP", size: 1152, count: socketsOf(/^udp/) },
  { name: "tw_sock_TCP", size: 272, count: (k) => k.state.net.timeWaits.size },
  { name: "TCP", size: 2304, count: socketsOf(/^tcp/) },
  { name: "sock_inode_cache", size: 832, count: inodesOf("sock"), reclaimable: true },
  { name: "file_lock_cache", size: 216, count: (k) => sum(k.state.fs.locks.values(), (list) => list.length) },
  { name: "proc_inode_cache", size: 712, count: inodesOf("proc"), reclaimable: true },
  { name: "sigqueue", size: 80, count: (k) => sum(k.state.sched.tasks.values(), ({ pending }) => pending.length) + sum(k.state.sched.groups.values(), ({ pending }) => pending.length) },
  { name: "shmem_inode_cache", size: 760, count: inodesOf("shmem") },
  { name: "mnt_cache", size: 320, count: (k) => k.state.fs.mounts.size },
  { name: "filp", size: 256, count: (k) => k.state.fs.files.size },
  { name: "inode_cache", size: 640, count: inodesOf("other"), reclaimable: true },
  { name: "dentry", size: 192, count: (k) => k.state.fs.dentries.size, reclaimable: true },
  { name: "vm_area_struct", size: 152, count: (k) => k.state.mm.vmaCount },
  { name: "mm_struct", size: 1216, count: (k) => k.state.mm.spaces.size },
  { name: "fs_cache", size: 64, count: (k) => k.state.fs.fsStructs.size },
  { name: "files_cache", size: 704, count: (k) => k.state.fs.fdTables.size },
  { name: "signal_cache", size: 1152, count: (k) => k.state.sched.groups.size },
  { name: "sighand_cache", size: 2112, count: (k) => k.state.sched.handlers.size },
  { name: "task_struct", size: 9728, count: (k) => k.state.sched.tasks.size },
  { name: "cred_jar", size: 192, count: (k) => k.state.sched.tasks.size },
  { name: "anon_vma", size: 104, count: anonVmas },
  { name: "pid", size: 128, count: (k) => k.state.sched.tasks.size },
  { name: "vmap_area", size: 64, count: (k) => k.state.mm.vmalloc.size },
];

/** A line's numbers. */
interface Line {
  name: string;
  active: number;
  objects: number;
  size: number;
  perSlab: number;
  pagesPerSlab: number;
  slabs: number;
  reclaimable: boolean;
}

function lineOf(cache: KmemCache): Line {
  const { name, live, size, perSlab, order, slabs } = cache;
  return { name, active: live, objects: sum(slabs.values(), (slab) => slab.objects), size, perSlab, pagesPerSlab: 2 ** order, slabs: slabs.size, reclaimable: false };
}

function countedLine(k: Kernel, name: string, size: number, active: number, reclaimable: boolean): Line {
  const pagesPerSlab = 2 ** slabOrder(size, k.state.machine.cpus);
  const perSlab = Math.floor((pagesPerSlab * PAGE_SIZE) / size);
  const slabs = Math.ceil(active / perSlab);
  return { name, active, objects: slabs * perSlab, size, perSlab, pagesPerSlab, slabs, reclaimable };
}

function lines(k: Kernel): Line[] {
  const { caches } = k.state.mm;
  const { cpus } = k.state.machine;
  const made = [...caches.values()].filter(({ name }) => !name.startsWith("kmalloc-")).reverse().map(lineOf);
  const counted = ROWS.map(({ name, size, count, reclaimable = false }) => countedLine(k, name, size, count(k), reclaimable));
  const kmalloc = KMALLOC_SIZES.map((size) => lineOf(caches.get(kmallocName(size)) ?? newCache(kmallocName(size), "kernel", size, size, cpus))).reverse();
  const all = made.length + counted.length + kmalloc.length + 2;
  return [...made, ...counted, ...kmalloc, countedLine(k, "kmem_cache_node", 64, all, false), countedLine(k, "kmem_cache", 256, all, false)];
}

/** Pages of all slabs, by what pressure can shrink: SReclaimable and SUnreclaim of meminfo. */
export function slabPages(k: Kernel): { reclaimable: number; unreclaimable: number } {
  const pages = { reclaimable: 0, unreclaimable: 0 };
  for (const { name, reclaimable, slabs, pagesPerSlab } of lines(k)) {
    const cache = k.state.mm.caches.get(name);
    pages[reclaimable ? "reclaimable" : "unreclaimable"] += cache === undefined ? slabs * pagesPerSlab : cachePages(cache);
  }
  return pages;
}

/**
 * /proc/slabinfo. Differs from Linux: objects that a CPU holds ready count as free, and what the kernel keeps of tasks, files and
 * the like lies in its own memory: it is counted in Slab, and takes nothing from MemFree.
 */
export function slabinfoText(k: Kernel): string {
  const head = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables "
    + "<limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n";
  return head + lines(k).map(({ name, active, objects, size, perSlab, pagesPerSlab, slabs }) =>
    `${name.padEnd(17)} ${column(active, 6)} ${column(objects, 6)} ${column(size, 6)} ${column(perSlab, 4)} ${column(pagesPerSlab, 4)} : `
    + `tunables ${column(0, 4)} ${column(0, 4)} ${column(0, 4)} : slabdata ${column(slabs, 6)} ${column(slabs, 6)} ${column(0, 6)}\n`).join("");
}
