/** When memory runs short: kswapd is woken, who needs memory takes pages back itself, and in the end somebody is killed. */
import type { Kernel } from "../kernel.ts";
import { enqueue } from "../sched/run_queue.ts";
import { pushFrame, steps, to } from "../sched/steps.ts";
import { fatalSignalPending } from "../sched/wait_queue.ts";
import { outOfMemory } from "./oom.ts";
import { freePages } from "./page_alloc.ts";
import { shrinkLists } from "./vmscan.ts";

/** Pages that one attempt is to bring (SWAP_CLUSTER_MAX). */
const CLUSTER = 32;
/** kswapd gives up after so many rounds without a page, until somebody else has got one (MAX_RECLAIM_RETRIES). */
const MAX_FAILURES = 16;
/** Pages in a row for which nobody is killed, in powers of two (PAGE_ALLOC_COSTLY_ORDER). */
const COSTLY_PAGES = 8;

/**
 * Sees to it that `count` pages may be taken: below the low mark kswapd helps, below the min mark the running task does. What may not
 * sleep, and a task that is to die, uses up the rest. Answers whether there are as many.
 */
export function ensureFree(k: Kernel, count: number): boolean {
  const { mm } = k.state;
  const free = (): boolean => freePages(mm) - count >= mm.watermarks.min;
  wakeKswapd(k);
  if (free()) return true;
  if (maySleep(k)) {
    mm.events.allocstall++;
    while (!free() && shrinkLists(k, CLUSTER, "direct") > 0) mm.kswapdFailures = 0;
    if (!free() && count <= COSTLY_PAGES) outOfMemory(k);
  }
  return freePages(mm) >= count;
}

/** Interrupts and what forbids preemption do not wait for memory, nor does who is to die and will give its own. */
function maySleep({ turn: { task, account } }: Kernel): boolean {
  return account === "task" && (task === null || (task.preemptCount === 0 && !fatalSignalPending(task)));
}

/** kswapd works as long as less is free than the high mark. */
function wakeKswapd(k: Kernel): void {
  const { mm } = k.state;
  const task = k.state.sched.tasks.get(mm.kswapd);
  if (task === undefined || task.frames.length > 0 || mm.kswapdFailures >= MAX_FAILURES) return;
  pushFrame(task, kswapd.name, {});
  enqueue(k, task);
}

const kswapd = steps<object>("kswapd", {
  balance: (k) => {
    const { mm } = k.state;
    if (freePages(mm) >= mm.watermarks.high || mm.kswapdFailures >= MAX_FAILURES) return 0;
    mm.events.pageoutrun++;
    if (shrinkLists(k, CLUSTER, "kswapd") > 0) mm.kswapdFailures = 0;
    else mm.kswapdFailures++;
    return to("balance");
  },
});
