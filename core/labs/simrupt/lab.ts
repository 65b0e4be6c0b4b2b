/** What the builds of simrupt share: the statics of the module, its two buffers, and in what the builds differ. */
import { PAGE_SIZE } from "../../abi/limits.ts";
import type { Kernel } from "../../kernel.ts";
import { CIRC_CNT, CIRC_SPACE, type CircBuf } from "../../lib/circ_buf.ts";
import { kfifoIn, kfifoIsFull, kfifoOut, type Kfifo } from "../../lib/kfifo.ts";
import { ratelimitOk, type Ratelimit } from "../../lib/ratelimit.ts";
import { must } from "../../lib/assert.ts";
import type { Variant } from "../../module/definition.ts";
import { moduleData } from "../../module/query.ts";
import { printk } from "../../sched/printk.ts";
import { jiffies } from "../../time/jiffies.ts";

export const NAME = "simrupt";
/** Time between two events of the simulated device. */
export const DELAY_MS = 100;
export const INFO = 6;
const WARNING = 4;

/** Statics of the module; timers, items, queues and locks by their ids. */
export interface Simrupt {
  dev: number;
  /** The last character, 0 before the first. */
  value: number;
  openCount: number;
  timer: number;
  tasklet: number;
  work: number;
  workqueue: number;
  /** Filled in interrupt context, emptied by the work item. */
  fastBuf: CircBuf;
  /** Filled by the work item, emptied by readers. */
  rxFifo: Kfifo;
  rxWait: number;
  readLock: number;
  producerLock: number;
  consumerLock: number;
  fastBufFull: Ratelimit;
  dropped: Ratelimit;
}

export function lab(k: Kernel): Simrupt {
  return moduleData<Simrupt>(k, NAME);
}

/** In what a build differs from the corrected one. */
export interface Build {
  openWord: string;
  /** The close that stops the timer: the last one, or, with the test the wrong way round, each but the last. */
  stops: "last" | "others";
  /** What a full fifo loses. */
  loses: "oldest" | "newest";
  /** The read answers `unsigned int`: its negative numbers come out as large positive ones. */
  unsignedRead: boolean;
}

const BUILDS: { [v in Variant]: Build } = {
  corrected: { openWord: "open", stops: "last", loses: "oldest", unsignedRead: false },
  seed: { openWord: "openm", stops: "others", loses: "newest", unsignedRead: true },
  upstream: { openWord: "open", stops: "last", loses: "oldest", unsignedRead: true },
};

export function build(k: Kernel): Build {
  return BUILDS[must(k.state.modules.loaded, NAME).variant];
}

/** 0x20 … 0x7e and again: 95 characters. */
export function nextValue(data: Simrupt): number {
  data.value = Math.max((data.value + 1) % 0x7f, 0x20);
  return data.value;
}

/** Whether there was room for the byte. */
export function fastBufPut(data: Simrupt, value: number): boolean {
  const ring = data.fastBuf;
  if (CIRC_SPACE(ring.head, ring.tail, PAGE_SIZE) === 0) return false;
  ring.buf[ring.head] = value;
  ring.head = (ring.head + 1) & (PAGE_SIZE - 1);
  return true;
}

/** The oldest byte, or -1. */
export function fastBufGet(data: Simrupt): number {
  const ring = data.fastBuf;
  if (CIRC_CNT(ring.head, ring.tail, PAGE_SIZE) === 0) return -1;
  const value = ring.buf[ring.tail];
  ring.tail = (ring.tail + 1) & (PAGE_SIZE - 1);
  return value;
}

export function fastBufClear(data: Simrupt): void {
  data.fastBuf.head = data.fastBuf.tail = 0;
}

/** Puts a byte where readers find it. */
export function produceData(k: Kernel, data: Simrupt, value: number): void {
  const { rxFifo } = data;
  if (build(k).loses === "oldest" && kfifoIsFull(rxFifo)) kfifoOut(rxFifo, 1);
  if (kfifoIn(rxFifo, Uint8Array.of(value)) === 0) warnRatelimited(k, data.dropped, "produce_data", "produce_data: 1 bytes dropped");
}

/** pr_warn_ratelimited of function `symbol`. */
export function warnRatelimited(k: Kernel, state: Ratelimit, symbol: string, text: string): void {
  const { ok, suppressed } = ratelimitOk(state, jiffies(k));
  if (suppressed > 0) printk(k, WARNING, `${symbol}: ${suppressed} callbacks suppressed`);
  if (ok) printk(k, WARNING, text);
}
