/** Numbers that every kernel's processes share. */
import type { Kernel } from "../kernel.ts";

/** Tasks of a kernel, threads and the kernel's own included; and what the service allows processes. */
export const PROCESS_LIMIT = 4096;

export const INIT_PID = 1;
export const KTHREADD_PID = 2;

/** As Linux computes it: thread stacks of 16 KiB may take an eighth of the memory (set_max_threads). */
export function maxThreads(k: Kernel): number {
  const { ramPages, reservedPages } = k.state.mm;
  return Math.max(20, Math.floor((ramPages - reservedPages) / 32));
}
