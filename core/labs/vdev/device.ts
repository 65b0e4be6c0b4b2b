/** What the two devices share: request numbers, a page-sized buffer an open, the mapping of it, the page-descriptor dump. */
import { EFAULT, EINVAL, ENOMEM, ENOTCONN } from "../../abi/errno.ts";
import { FASYNC, O_NONBLOCK } from "../../abi/fcntl.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { MSG_DONTWAIT } from "../../abi/socket.ts";
import { fasyncHelper } from "../../fs/fasync.ts";
import type { OpenFile } from "../../fs/file.ts";
import type { Kernel } from "../../kernel.ts";
import { kernelBytes, kfree, kmalloc, virtToPfn } from "../../mm/kmalloc.ts";
import { dumpPte, remapPfnRange } from "../../mm/remap.ts";
import { accessOk, type Addr } from "../../mm/usercopy.ts";
import type { Vma } from "../../mm/vma.ts";
import { moduleData } from "../../module/query.ts";
import { socketExists } from "../../net/ksocket.ts";
import { socketOf } from "../../net/socket.ts";
import { printk } from "../../sched/printk.ts";
import type { Task } from "../../sched/task.ts";
import { kclose } from "./ksocket.ts";

export const IOCTL_DESCRIPTOR = 0x12345676;
export const IOCTL_CREATESOCK = 0x12345677;
export const IOCTL_MMAP = 0x12345678;
export const IOCTL_EXIT = 0x12345679;
/** TCP port of the master device. */
export const DEFAULT_PORT = 2325;
/** The buffer on the stack of the report's read and write. */
export const BUF_SIZE = 512;
/** The buffer of an open, which mmap shows. */
export const MAP_SIZE = PAGE_SIZE;

export const ERR = 3;
export const WARNING = 4;
export const INFO = 6;

/** Statics of a module of this lab. `client` is the one connection of the builds that keep it in a global. */
export interface Statics {
  listener: number;
  client: number;
  /** What the last freed buffer held: the next one shows it when nobody clears it. */
  stale: Uint8Array | null;
}

export function statics(k: Kernel, module: string): Statics {
  return moduleData<Statics>(k, module);
}

export function freshStatics(): Statics {
  return { listener: 0, client: 0, stale: null };
}

/** What a corrected open file keeps beside its buffer. */
export interface Opened {
  /** Its own connection's socket, 0 for none. */
  connection: number;
}

export function opened(file: OpenFile): Opened {
  return file.data as Opened;
}

/** The connection of a corrected open, or -ENOTCONN. */
export function connectionOf(k: Kernel, file: OpenFile): number {
  const { connection } = opened(file);
  return connection !== 0 && socketExists(k, connection) ? connection : -ENOTCONN;
}

/** The new connection belongs to the open file; who asked for SIGIO hears of its bytes. */
export function keepConnection(k: Kernel, file: OpenFile, socket: number): void {
  opened(file).connection = socket;
  if ((file.flags & FASYNC) !== 0) fasyncHelper(k, file, true, socketOf(k, socket).fasync);
}

export function dropConnection(k: Kernel, task: Task, file: OpenFile): number {
  const connection = connectionOf(k, file);
  if (connection < 0) return connection;
  opened(file).connection = 0;
  kclose(k, task, connection);
  return 0;
}

export function fasyncOfConnection(k: Kernel, file: OpenFile, on: boolean): number {
  const connection = connectionOf(k, file);
  return connection < 0 ? 0 : fasyncHelper(k, file, on, socketOf(k, connection).fasync);
}

export function waitFlags(file: OpenFile): number {
  return (file.flags & O_NONBLOCK) !== 0 ? MSG_DONTWAIT : 0;
}

/** open: a cleared page of its own; -ENOMEM. */
export function openBuffer(k: Kernel, file: OpenFile, module: string): number {
  const buffer = kmalloc(k, MAP_SIZE, module);
  if (buffer === 0) return -ENOMEM;
  file.private = buffer;
  return 0;
}

/** release: the page is freed; what it held is kept for a build that does not clear. */
export function closeBuffer(k: Kernel, file: OpenFile, keep: Statics | null): void {
  if (file.private === 0) return;
  if (keep !== null) keep.stale = kernelBytes(k, file.private).slice(0, MAP_SIZE);
  kfree(k, file.private);
  file.private = 0;
}

/** The bytes of an open file's buffer: a live view. */
export function bufferOf(k: Kernel, file: OpenFile): Uint8Array {
  return kernelBytes(k, file.private);
}

/**
 * mmap: the buffer's page at once, no fault ever. The offset does not matter, for the lab's programs pass that of their file.
 * `bounded`: longer than the buffer is -EINVAL; else what lies behind it is mapped too.
 */
export function mapBuffer(k: Kernel, file: OpenFile, vma: Vma, bounded: boolean): number {
  const length = vma.end - vma.start;
  if (bounded && length > MAP_SIZE) return -EINVAL;
  const pfn = virtToPfn(k, file.private);
  vma.pgoff = pfn;
  return remapPfnRange(k, vma, vma.start, pfn, length, vma.prot);
}

/** The raw page-table entry of a user address, as `%lX` prints it, in the log. */
export function printDescriptor(k: Kernel, task: Task, prefix: string, address: Addr, level: number): void {
  const entry = typeof address === "number" && accessOk(address, 1) ? dumpPte(k, task, address) : "0";
  printk(k, level, `${prefix}${entry}`);
}

/** As printDescriptor, for a build that checks: -EFAULT for what is no user address. */
export function checkedDescriptor(k: Kernel, task: Task, prefix: string, address: Addr): number {
  if (!accessOk(address, 1)) return -EFAULT;
  printDescriptor(k, task, prefix, address, INFO);
  return 0;
}
