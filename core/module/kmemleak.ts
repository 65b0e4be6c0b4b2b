/** /sys/kernel/debug/kmemleak: modules' memory that nobody can find any more (Documentation/dev-tools/kmemleak.rst). */
import { EFAULT, EINVAL, EPERM } from "../abi/errno.ts";
import { debugfsOperations } from "../fs/debugfs/debugfs.ts";
import { fileOperations } from "../fs/file.ts";
import { bytesName } from "../fs/names.ts";
import { singleOpen } from "../fs/seq_file.ts";
import type { Kernel } from "../kernel.ts";
import { hex, hexBytes } from "../lib/format.ts";
import { kstrtoull, kstrtouint } from "../lib/kstrto.ts";
import { hashText53 } from "../lib/hash.ts";
import { hashedAddress } from "../mm/alloc_report.ts";
import { traceLines, type AllocationTrace } from "../mm/alloc_trace.ts";
import { kernelAddress, readKernel } from "../mm/kmalloc.ts";
import { copyFromUserPartial } from "../mm/usercopy.ts";
import { readVmalloc, vmallocAddress } from "../mm/vmalloc.ts";
import { printk } from "../sched/printk.ts";
import { jiffies, jiffiesToMsecs } from "../time/jiffies.ts";
import { referencedNumbers } from "./references.ts";

const NOTICE = 5;
const INFO = 6;
/** Nothing younger is suspected while its module is there: its address may be on the way (MSECS_MIN_AGE). */
const MIN_AGE_MS = 5000;
const PAGE = 4096;

/** What kmemleak knows of an allocation: kmalloc's, a cache's or vmalloc's. */
interface Tracked {
  id: number;
  owner: string;
  address: bigint;
  /** Bytes that are the owner's to use. */
  size: number;
  trace: AllocationTrace;
  content: (count: number) => Uint8Array;
}

/** All that are tracked, the oldest first. */
function trackedObjects(k: Kernel): Tracked[] {
  const { objects, vmalloc } = k.state.mm;
  const found: Tracked[] = [];
  for (const { id, owner, room, size, cache, trace } of objects.values()) {
    if (trace === null) continue;
    found.push({ id, owner, address: kernelAddress(k, id), size: cache === "" ? size : room, trace, content: (count) => readKernel(k, id, 0, count) });
  }
  for (const { id, owner, frames, trace } of vmalloc.values()) {
    if (trace === null) continue;
    found.push({ id, owner, address: vmallocAddress(k, id), size: frames.length * PAGE, trace, content: (count) => readVmalloc(k, id, 0, count) });
  }
  return found.sort((a, b) => a.trace.jiffies - b.trace.jiffies);
}

function ageMs(k: Kernel, { jiffies: since }: AllocationTrace): number {
  return jiffiesToMsecs(k, jiffies(k) - since);
}

function tell(k: Kernel, count: number): void {
  if (count > 0) printk(k, INFO, `kmemleak: ${count} new suspected memory leaks (see /sys/kernel/debug/kmemleak)`);
}

/**
 * A module goes: what it allocated and did not free is lost with its variables, and is told at once.
 * Differs from Linux, where the next scan finds it, after ten minutes at most.
 */
export function reportOrphans(k: Kernel, owner: string): void {
  if (!k.state.mm.kmemleak.enabled) return;
  const lost = trackedObjects(k).filter((one) => one.owner === owner && one.trace.leak === "");
  for (const { trace } of lost) trace.leak = "reported";
  tell(k, lost.length);
}

/**
 * Looks for every tracked allocation in what the kernel and its modules keep; one that is nowhere, and not just made, is a leak.
 * Differs from Linux: one such scan is enough, and none comes by itself.
 */
function scan(k: Kernel): void {
  const all = trackedObjects(k);
  const found = referencedNumbers(k, new Set(all.map(({ id }) => id)));
  let fresh = 0;
  for (const { id, owner, trace } of all) {
    const lost = !k.state.modules.loaded.has(owner) || (!found.has(id) && ageMs(k, trace) >= MIN_AGE_MS);
    if (lost && trace.leak === "") {
      trace.leak = "reported";
      fresh++;
    } else if (!lost && trace.leak === "reported" && found.has(id)) trace.leak = "";
  }
  tell(k, fresh);
}

/** clear: what was reported until now is not shown again. */
function clear(k: Kernel): void {
  for (const { trace } of trackedObjects(k)) if (trace.leak === "reported") trace.leak = "cleared";
}

const ROW = 16;
/** Where the characters stand behind the 16 bytes of a row. */
const ASCII_COLUMN = 49;
const DUMPED = 32;

function hexDump({ size, content }: Tracked): string {
  const bytes = content(Math.min(size, DUMPED));
  let text = `  hex dump (first ${bytes.length} bytes):\n`;
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = bytes.subarray(at, at + ROW);
    const characters = Array.from(row, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
    text += `    ${hexBytes(row).padEnd(ASCII_COLUMN)}${characters.join("")}\n`;
  }
  return text;
}

/** `[<%pK>] %pS` of each function; an address stands for a function's text. */
function backtrace(k: Kernel, { trace }: Tracked): string {
  return traceLines(k, trace).map((line) => `    [<${hashedAddress(k, BigInt(hashText53(line)))}>] ${line}\n`).join("");
}

function unreferenced(k: Kernel, tracked: Tracked): string {
  const { address, size, trace } = tracked;
  const age = ageMs(k, trace);
  return `unreferenced object 0x${hex(address)} (size ${size}):\n`
    + `  comm "${trace.comm}", pid ${trace.pid}, jiffies ${trace.jiffies} (age ${Math.floor(age / 1000)}.${String(age % 1000).padStart(3, "0")}s)\n`
    + `${hexDump(tracked)}  backtrace:\n${backtrace(k, tracked)}`;
}

/** Differs from Linux: of very many leaks the oldest are shown. */
const SHOWN = 1000;

/** What the file shows: each leak that was reported and not cleared since. */
function leaksText(k: Kernel): string {
  return trackedObjects(k).filter(({ trace }) => trace.leak === "reported").slice(0, SHOWN).map((one) => unreferenced(k, one)).join("");
}

/** dump=ADDRESS: what is known of one allocation, in the log; -EINVAL when none begins there. */
function dump(k: Kernel, text: string): number {
  const parsed = kstrtoull(text, 0);
  if ("errno" in parsed) return -EINVAL;
  const say = (line: string): void => printk(k, NOTICE, `kmemleak: ${line}`);
  const tracked = trackedObjects(k).find(({ address }) => address === parsed.value);
  if (tracked === undefined) {
    say(`Unknown object at 0x${hex(parsed.value, 8)}`);
    return -EINVAL;
  }
  const { address, size, trace } = tracked;
  say(`Object 0x${hex(address)} (size ${size}):`);
  say(`  comm "${trace.comm}", pid ${trace.pid}, jiffies ${trace.jiffies}`);
  for (const line of ["min_count = 1", "count = 0", `flags = 0x${trace.leak === "" ? 1 : 3}`, "checksum = 0", "backtrace:"]) say(`  ${line}`);
  for (const line of traceLines(k, trace)) printk(k, NOTICE, `    ${line}`);
  return 0;
}

/** scan=SECONDS: 0 stops the thread that scans. */
function setScanSecs(k: Kernel, text: string): number {
  const parsed = kstrtouint(text, 0);
  if ("errno" in parsed) return parsed.errno;
  k.state.mm.kmemleak.scanSecs = parsed.value;
  return 0;
}

/** What is written to the file: 0 or an errno. Words may go on after what is known of them. */
function command(k: Kernel, text: string): number {
  const { kmemleak } = k.state.mm;
  if (text.startsWith("clear")) {
    clear(k);
    return 0;
  }
  if (!kmemleak.enabled) return -EPERM;
  if (text.startsWith("off")) {
    kmemleak.enabled = false;
    printk(k, INFO, "kmemleak: Kernel memory leak detector disabled");
    return 0;
  }
  if (text.startsWith("stack=on") || text.startsWith("stack=off") || text.startsWith("scan=on") || text.startsWith("scan=off")) return 0;
  if (text.startsWith("scan=")) return setScanSecs(k, text.slice(5));
  if (text.startsWith("scan")) {
    scan(k);
    return 0;
  }
  return text.startsWith("dump=") ? dump(k, text.slice(5)) : -EINVAL;
}

/** Of what is written, so much is looked at. */
const COMMAND_LENGTH = 63;

fileOperations("kmemleak", {
  ...singleOpen(leaksText),
  write: (k, task, _file, buf, count) => {
    const bytes = copyFromUserPartial(k, task, buf, Math.min(count, COMMAND_LENGTH));
    if (bytes.length === 0 && count > 0) return -EFAULT;
    const result = command(k, bytesName(bytes).split("\0")[0]);
    return result < 0 ? result : count;
  },
});
debugfsOperations("kmemleak");
