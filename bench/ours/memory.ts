/** Page faults of the core, ns of host time each, and the host's memory behind emulated pages. Prints one JSON object; wants --expose-gc. */
import { storeUser } from "../../core/mm/access.ts";
import { call, feed, newBench, type Bench } from "./kernel.ts";

const PAGE = 4096;
const PAGES = 16_384;
const ROUNDS = 5;
/** The machine whose pages carry a byte each, and how much of it they are. */
const LARGE_MIB = 1024;
const LARGE_PAGES = 250_000;

function map(bench: Bench, pages: number, more = ""): number {
  const { ret } = call(bench, "mmap", { length: pages * PAGE, prot: "PROT_READ|PROT_WRITE", flags: `MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE${more}` });
  return Number(ret);
}

const BYTE = Uint8Array.of(1);

/** Stores a byte to each page, as the task's own instructions would; ns for one. */
function touch({ k, pid }: Bench, area: number, pages: number): number {
  const task = k.state.sched.tasks.get(pid);
  if (task === undefined) throw new Error("no task");
  Object.assign(k.turn, { task, current: pid });
  const began = process.hrtime.bigint();
  for (let page = 0; page < pages; page++) {
    if (storeUser(k, task, area + page * PAGE, BYTE).done !== 1) throw new Error(`page ${page} cannot be stored to`);
  }
  const ns = Number(process.hrtime.bigint() - began);
  Object.assign(k.turn, { task: null, current: 0 });
  return ns / pages;
}

/** First stores to fresh pages, and to pages that a child shares. */
function faults(): { minor: number; cow: number } {
  const bench = newBench({ ramMiB: 256, swapMiB: 0 });
  const best = { minor: Infinity, cow: Infinity };
  for (let round = 0; round < ROUNDS; round++) {
    const area = map(bench, PAGES);
    best.minor = Math.min(best.minor, touch(bench, area, PAGES));
    const child = Number(call(bench, "fork").ret);
    best.cow = Math.min(best.cow, touch(bench, area, PAGES));
    feed(bench.k, { type: "killProcess", pid: child });
    call(bench, "munmap", { addr: `0x${area.toString(16)}`, length: PAGES * PAGE });
  }
  return best;
}

/** Bytes of the host that are in use. */
function inUse(): number {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Bytes of the host behind each of many pages. */
function kept(machine: { ramMiB: number }, pages: number, fill: (bench: Bench) => void): number {
  const bench = newBench({ ...machine, swapMiB: 0 });
  const before = inUse();
  fill(bench);
  const bytes = inUse() - before;
  if (bench.k.state.mm.used.anon < pages) throw new Error(`${bench.k.state.mm.used.anon} pages of ${pages} are in use`);
  return bytes / pages;
}

const { minor, cow } = faults();
const zero = kept({ ramMiB: 256 }, PAGES, (bench) => void map(bench, PAGES, "|MAP_POPULATE"));
const byte = kept({ ramMiB: LARGE_MIB }, LARGE_PAGES, (bench) => void touch(bench, map(bench, LARGE_PAGES), LARGE_PAGES));
console.log(JSON.stringify({ minor, cow, zero, byte, largeMiB: (byte * LARGE_PAGES) / 2 ** 20, largePages: LARGE_PAGES }));
