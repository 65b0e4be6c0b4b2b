/** The files of /proc/PID that few look at (proc(5)): timers, policies of memory, name spaces, what the kernel's builds add. */
import { EINVAL } from "../../abi/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { hex } from "../../lib/format.ts";
import { kstrtoint } from "../../lib/kstrto.ts";
import { smapsText } from "../../mm/proc.ts";
import { groupOf, type Task } from "../../sched/task.ts";
import { procPidFile } from "./registry.ts";

procPidFile("arch_status", () => "");
procPidFile("cpu_resctrl_groups", () => "res:\nmon:\n");
procPidFile("ksm_merging_pages", () => "0\n", { mode: 0o400, check: "read" });
procPidFile("ksm_stat", () => "ksm_rmap_items 0\n", { mode: 0o400, check: "read" });
procPidFile("patch_state", () => "-1\n", { mode: 0o400, check: "attach" });
procPidFile("projid_map", () => "         0          0 4294967295\n", 0o644);
procPidFile("timens_offsets", () => "monotonic           0         0\nboottime            0         0\n", { mode: 0o644, processOnly: true });

/** What clear_refs knows: 1 to 3 forget what was referenced, 4 the soft-dirty bits, 5 the peak of memory. */
const CLEAR_REFS_MAX = 5;
procPidFile("clear_refs", () => "", {
  mode: 0o200,
  write: (_k, _writer, _task, text) => {
    const parsed = kstrtoint(text.trim(), 10);
    if ("errno" in parsed) return parsed.errno;
    return parsed.value < 1 || parsed.value > CLEAR_REFS_MAX ? -EINVAL : text.length;
  },
});

/** Timers of timer_create(2), the newest last. */
function timersText(k: Kernel, task: Task): string {
  return groupOf(k, task).posixTimers.map(({ id, clock, tid, signal, value }) => {
    const how = signal === 0 ? "none" : "signal";
    const whom = tid === 0 ? `pid.${task.tgid}` : `tid.${tid}`;
    return `ID: ${id}\nsignal: ${signal}/${hex(value, 16)}\nnotify: ${how}/${whom}\nClockID: ${clock}\n`;
  }).join("");
}
procPidFile("timers", timersText, { processOnly: true });

const kilobytes = (block: string, name: string): number => Number(new RegExp(`^${name}: +([0-9]+) kB$`, "m").exec(block)?.[1] ?? 0);

/** One mapping of smaps as numa_maps tells it: its policy, its pages by kind, and the node that they lie on. */
function numaLine(block: string): string {
  const [, start, place = ""] = /^([0-9a-f]+)-\S+ \S+ \S+ \S+ \S+ *(.*)$/m.exec(block) ?? [];
  if (start === undefined) return "";
  const where = place === "[heap]" ? " heap" : place === "[stack]" ? " stack" : place.startsWith("/") ? ` file=${place}` : "";
  const pages = (...names: string[]): number => names.reduce((sum, name) => sum + kilobytes(block, name), 0) / 4;
  const all = pages("Rss");
  let line = `${start.padStart(8, "0")} default${where}`;
  if (all === 0) return `${line}\n`;
  const [anon, dirty, active] = [pages("Anonymous"), pages("Shared_Dirty", "Private_Dirty"), pages("Referenced")];
  if (anon > 0) line += ` anon=${anon}`;
  if (dirty > 0) line += ` dirty=${dirty}`;
  if (all !== anon && all !== dirty) line += ` mapped=${all}`;
  const sharers = Math.round(kilobytes(block, "Rss") / Math.max(1, kilobytes(block, "Pss")));
  if (sharers > 1) line += ` mapmax=${sharers}`;
  if (active < all) line += ` active=${active}`;
  return `${line} N0=${all} kernelpagesize_kB=4\n`;
}

procPidFile("numa_maps", (k, task) => {
  if (task.mm === 0 || task.state === "zombie") return "";
  return smapsText(k, task).split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).map(numaLine).join("");
}, { check: "read" });
