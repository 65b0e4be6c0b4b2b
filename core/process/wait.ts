/** Finding a child that has ended, stopped or gone on (wait(2), kernel/exit.c). */
import { CLD_CONTINUED, CLD_STOPPED, SIGCHLD, SIGCONT } from "../abi/signal.ts";
import { P_ALL, P_PGID, P_PID, WCONTINUED, WEXITED, WIFCONTINUED, WNOWAIT, WSTOPPED, WSTOPSIG, __WALL, __WCLONE } from "../abi/wait.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import { groupOf, taskOf, type Task, type ThreadGroup } from "../sched/task.ts";
import { childrenUsage, groupUsage, keepChildUsage, type Usage } from "./cputime.ts";
import { deathInfo } from "./notify.ts";
import { reap } from "./reap.ts";

export interface WaitFor {
  /** P_ALL, P_PID or P_PGID, and the id. */
  type: number;
  id: number;
  /** W options. */
  options: number;
}

/** What happened to a child. */
export interface WaitResult {
  pid: number;
  uid: number;
  /** wait status as wait4 gives it. */
  wstatus: number;
  /** CLD_ code and si_status as waitid gives them. */
  code: number;
  status: number;
  usage: Usage;
}

function isEligible(k: Kernel, child: ThreadGroup, { type, id, options }: WaitFor): boolean {
  if (type === P_PID && child.tgid !== id) return false;
  if (type === P_PGID && child.pgid !== id) return false;
  if (type !== P_ALL && type !== P_PID && type !== P_PGID) return false;
  if ((options & __WALL) !== 0) return true;
  return (taskOf(k, child.threads[0]).exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

function combined(k: Kernel, child: ThreadGroup): Usage {
  const own = groupUsage(k, child);
  const its = childrenUsage(child);
  return {
    utimeNs: own.utimeNs + its.utimeNs, stimeNs: own.stimeNs + its.stimeNs, minFlt: own.minFlt + its.minFlt, majFlt: own.majFlt + its.majFlt,
    voluntarySwitches: own.voluntarySwitches + its.voluntarySwitches,
    involuntarySwitches: own.involuntarySwitches + its.involuntarySwitches, maxRssPages: Math.max(own.maxRssPages, its.maxRssPages),
  };
}

function look(k: Kernel, parent: ThreadGroup, child: ThreadGroup, options: number): WaitResult | null {
  const { uid } = taskOf(k, child.threads[0]).cred;
  if (child.exitStatus >= 0) {
    if ((options & WEXITED) === 0) return null;
    const wstatus = child.exitStatus;
    const result = { pid: child.tgid, uid, wstatus, ...deathInfo(wstatus), usage: combined(k, child) };
    if ((options & WNOWAIT) === 0) {
      keepChildUsage(k, parent, child);
      reap(k, child);
    }
    return result;
  }
  const wstatus = child.waitNotice;
  if (wstatus === 0) return null;
  const continued = WIFCONTINUED(wstatus);
  if ((options & (continued ? WCONTINUED : WSTOPPED)) === 0) return null;
  if ((options & WNOWAIT) === 0) child.waitNotice = 0;
  return {
    pid: child.tgid, uid, wstatus, code: continued ? CLD_CONTINUED : CLD_STOPPED, status: continued ? SIGCONT : WSTOPSIG(wstatus),
    usage: groupUsage(k, child),
  };
}

/** A child's news, taken unless WNOWAIT; "none" when there are such children without news, null when there are no such children. */
export function lookForChild(k: Kernel, task: Task, wanted: WaitFor): WaitResult | "none" | null {
  const parent = groupOf(k, task);
  let any = false;
  for (const tgid of parent.children) {
    const child = must(k.state.sched.groups, tgid);
    if (!isEligible(k, child, wanted)) continue;
    // As Linux: who is dead has no more news than its death.
    if (child.exitStatus < 0) any = true;
    const result = look(k, parent, child, wanted.options);
    if (result !== null) return result;
  }
  return any ? "none" : null;
}
