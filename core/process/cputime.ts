/** CPU time of threads and processes, and what getrusage tells of them. */
import type { Kernel } from "../kernel.ts";
import { rssPages } from "../mm/space.ts";
import { taskTimes, type CpuTimes } from "../sched/cpu_time.ts";
import { groupOf, taskOf, type Task, type ThreadGroup } from "../sched/task.ts";

/** Of all threads that the group has had. */
export function groupTimes(k: Kernel, group: ThreadGroup): CpuTimes {
  let utimeNs = group.deadUtimeNs;
  let stimeNs = group.deadStimeNs;
  for (const tid of group.threads) {
    const own = taskTimes(k, taskOf(k, tid));
    utimeNs += own.utimeNs;
    stimeNs += own.stimeNs;
  }
  return { utimeNs, stimeNs };
}

/** What a process has used: times, faults, switches, and the most memory that it held. */
export interface Usage extends CpuTimes {
  minFlt: number;
  majFlt: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  maxRssPages: number;
}

export function taskUsage(k: Kernel, task: Task): Usage {
  return {
    ...taskTimes(k, task), minFlt: task.minFlt, majFlt: task.majFlt,
    voluntarySwitches: task.voluntarySwitches, involuntarySwitches: task.involuntarySwitches,
    maxRssPages: maxRss(k, groupOf(k, task)),
  };
}

export function groupUsage(k: Kernel, group: ThreadGroup): Usage {
  const usage: Usage = {
    ...groupTimes(k, group), minFlt: group.deadMinFlt, majFlt: group.deadMajFlt,
    voluntarySwitches: group.deadVoluntary, involuntarySwitches: group.deadInvoluntary, maxRssPages: maxRss(k, group),
  };
  for (const tid of group.threads) {
    const task = taskOf(k, tid);
    usage.minFlt += task.minFlt;
    usage.majFlt += task.majFlt;
    usage.voluntarySwitches += task.voluntarySwitches;
    usage.involuntarySwitches += task.involuntarySwitches;
  }
  return usage;
}

/** Of the children that were waited for, and theirs. */
export function childrenUsage(group: ThreadGroup): Usage {
  return {
    utimeNs: group.childUtimeNs, stimeNs: group.childStimeNs, minFlt: group.childMinFlt, majFlt: group.childMajFlt,
    voluntarySwitches: group.childVoluntary, involuntarySwitches: group.childInvoluntary, maxRssPages: group.childMaxRssPages,
  };
}

function maxRss(k: Kernel, group: ThreadGroup): number {
  let most = group.maxRssPages;
  for (const tid of group.threads) {
    const space = k.state.mm.spaces.get(taskOf(k, tid).mm);
    if (space !== undefined) most = Math.max(most, space.peakRss, rssPages(space));
  }
  return most;
}

/** Keeps what a thread has used with its group, as the thread goes. */
export function keepUsage(group: ThreadGroup, task: Task): void {
  group.deadUtimeNs += task.utimeNs;
  group.deadStimeNs += task.stimeNs;
  group.deadMinFlt += task.minFlt;
  group.deadMajFlt += task.majFlt;
  group.deadVoluntary += task.voluntarySwitches;
  group.deadInvoluntary += task.involuntarySwitches;
}

/** Adds what a child that is waited for has used, with its own children, to the parent's account. */
export function keepChildUsage(k: Kernel, parent: ThreadGroup, child: ThreadGroup): void {
  const own = groupUsage(k, child);
  const its = childrenUsage(child);
  parent.childUtimeNs += own.utimeNs + its.utimeNs;
  parent.childStimeNs += own.stimeNs + its.stimeNs;
  parent.childMinFlt += own.minFlt + its.minFlt;
  parent.childMajFlt += own.majFlt + its.majFlt;
  parent.childVoluntary += own.voluntarySwitches + its.voluntarySwitches;
  parent.childInvoluntary += own.involuntarySwitches + its.involuntarySwitches;
  parent.childMaxRssPages = Math.max(parent.childMaxRssPages, own.maxRssPages, its.maxRssPages);
}
