/** When memory is out: the process that has most of it is killed and its pages are taken at once (mm/oom_kill.c). */
import { SIGKILL } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { dumpStack } from "../sched/dump_stack.ts";
import { printk } from "../sched/printk.ts";
import { sendSignal } from "../sched/signal.ts";
import { current, type ThreadGroup } from "../sched/task.ts";
import { freePages, totalPages } from "./page_alloc.ts";
import { showMem } from "./show_mem.ts";
import { rssPages, type AddressSpace } from "./space.ts";
import { swapPages } from "./swap.ts";
import { zapRange } from "./unmap.ts";
import { VM_PFNMAP, VM_SHARED } from "./vma.ts";

/** /proc/PID/oom_score_adj of a process that is never chosen. */
const OOM_SCORE_ADJ_MIN = -1000;

/** How a page fault comes to the killer; the offsets are those of the recorded kernel's like. */
const TRACE = [
  "dump_header+0x4a/0x211", "oom_kill_process.cold+0xb/0x10", "out_of_memory+0x1fd/0x4c0", "__alloc_pages_slowpath.constprop.0+0xc73/0xe20",
  "__alloc_pages+0x30c/0x330",
];

interface Candidate {
  group: ThreadGroup;
  space: AddressSpace;
  comm: string;
  uid: number;
  points: number;
}

/** Pages that a process has in memory, in swap and for its tables, moved by its oom_score_adj in thousandths of all (oom_badness). */
export function oomBadness(k: Kernel, { oomScoreAdj }: ThreadGroup, space: AddressSpace): number {
  const total = totalPages(k.state.mm) + swapPages(k);
  return rssPages(space) + space.swapEnts + space.tables + oomScoreAdj * Math.floor(total / 1000);
}

/** Processes with an address space of their own kind, init and those that asked not to be killed left out. */
function candidates(k: Kernel): Candidate[] {
  const { sched, mm } = k.state;
  const found: Candidate[] = [];
  for (const group of sched.groups.values()) {
    const leader = sched.tasks.get(group.threads[0]);
    const space = leader === undefined ? undefined : mm.spaces.get(leader.mm);
    if (leader === undefined || space === undefined || group.tgid === 1) continue;
    if (group.oomScoreAdj === OOM_SCORE_ADJ_MIN && !isOrigin(k, group)) continue;
    found.push({ group, space, comm: leader.comm, uid: leader.cred.uid, points: oomBadness(k, group, space) });
  }
  // Whoever asks comes first where vm.oom_kill_allocating_task says so.
  const asking = mm.vm.oomKillAllocatingTask !== 0 ? (current(k)?.tgid ?? 0) : 0;
  const rank = ({ group }: Candidate): number => (isOrigin(k, group) ? 2 : group.tgid === asking ? 1 : 0);
  return found.sort((a, b) => rank(b) - rank(a) || b.points - a.points || b.group.tgid - a.group.tgid);
}

/** Kills processes, the worst first, until enough is free for others to go on; false when nobody is left whose end would help. */
export function outOfMemory(k: Kernel): boolean {
  const { mm } = k.state;
  const enough = (): boolean => freePages(mm) > mm.watermarks.min;
  const all = candidates(k);
  // One that is dying already gives its pages first, without a word.
  for (const victim of all) {
    if (!isDying(victim.group)) continue;
    reap(k, victim.space);
    if (enough()) return true;
  }
  for (const victim of all) {
    const origin = isOrigin(k, victim.group);
    if (isDying(victim.group) || (!origin && !hasPrivatePages(victim.space))) continue;
    report(k, all, victim);
    for (const other of all) if (other.space === victim.space) sendSignal(k, other.group.tgid, SIGKILL);
    mm.events.oomKill++;
    reap(k, victim.space);
    const { group, comm, space } = victim;
    printk(k, 6, `oom_reaper: reaped process ${group.tgid} (${comm}), now ${rssText(space)}`);
    // Without the page that it asked for, swapoff ends, and memory can be had again.
    if (enough() || origin) return true;
  }
  return false;
}

/** Whoever takes swap off is killed before all others: it is he who needs all that memory (oom_task_origin). */
function isOrigin({ state: { mm } }: Kernel, { threads }: ThreadGroup): boolean {
  return mm.swap.leaving !== 0 && threads.includes(mm.swap.leaving);
}

function isDying(group: ThreadGroup): boolean {
  return group.exiting >= 0 || group.pending.some(({ number }) => number === SIGKILL);
}

function hasPrivatePages(space: AddressSpace): boolean {
  return space.rssAnon > 0 || space.rssFile > 0 || space.swapEnts > 0;
}

/** Takes the private pages of a process that will not run again (oom_reap_task_mm). */
function reap(k: Kernel, space: AddressSpace): void {
  for (const run of space.vmas) for (const vma of run) {
    if ((vma.flags & (VM_PFNMAP | VM_SHARED)) === 0) zapRange(k, space, vma.start, vma.end);
  }
}

function rssText({ rssAnon, rssFile, rssShmem }: AddressSpace): string {
  return `anon-rss:${rssAnon * 4}kB, file-rss:${rssFile * 4}kB, shmem-rss:${rssShmem * 4}kB`;
}

/** What dmesg says: who asked, what memory is used for, who there is, who was chosen (dump_header). */
function report(k: Kernel, all: Candidate[], victim: Candidate): void {
  const asking = current(k);
  const adj = asking === null ? 0 : (k.state.sched.groups.get(asking.tgid)?.oomScoreAdj ?? 0);
  printk(k, 4, `${asking?.comm ?? "swapper/0"} invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=${adj}`);
  dumpStack(k, TRACE);
  showMem(k);
  if (k.state.mm.vm.oomDumpTasks !== 0) dumpTasks(k, all);
  const { group, space, comm, uid } = victim;
  printk(k, 6, `oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,task=${comm},pid=${group.tgid},uid=${uid}`);
  printk(k, 3, `Out of memory: Killed process ${group.tgid} (${comm}) total-vm:${space.totalVm * 4}kB, ${rssText(space)}, ` +
    `UID:${uid} pgtables:${space.tables * 4}kB oom_score_adj:${group.oomScoreAdj}`);
}

function dumpTasks(k: Kernel, all: Candidate[]): void {
  printk(k, 6, "Tasks state (memory values in pages):");
  printk(k, 6, "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name");
  const pad = (value: number, width: number): string => String(value).padStart(width);
  for (const { group, space, comm, uid } of all.slice().sort((a, b) => a.group.tgid - b.group.tgid)) {
    printk(k, 6, `[${pad(group.tgid, 7)}] ${pad(uid, 5)} ${pad(group.tgid, 5)} ${pad(space.totalVm, 8)} ${pad(rssPages(space), 8)} ` +
      `${pad(space.tables * 4096, 8)} ${pad(space.swapEnts, 8)}         ${pad(group.oomScoreAdj, 5)} ${comm}`);
  }
}
