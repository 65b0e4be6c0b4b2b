/** Twenty times a second: what the registered tasks faulted and computed since the last time, into the buffer. */
import { queueDelayedWork } from "../../irq/queue_work.ts";
import { workFunction } from "../../irq/work.ts";
import type { Kernel } from "../../kernel.ts";
import { putU64 } from "../../lib/bytes.ts";
import { writeVmalloc } from "../../mm/vmalloc.ts";
import { taskTimes } from "../../sched/cpu_time.ts";
import { printk } from "../../sched/printk.ts";
import type { Task } from "../../sched/task.ts";
import { jiffies, jiffiesToNsecs, msecsToJiffies } from "../../time/jiffies.ts";
import { ALERT, build, lab, SAMPLE_SIZE, SAMPLES, WORK_PERIOD_MS, type Mp3, type Registered } from "./lab.ts";

const WORK = "mp3.mp3_work_handler";

function cpuNs(k: Kernel, task: Task): number {
  const { utimeNs, stimeNs } = taskTimes(k, task);
  return utimeNs + stimeNs;
}

/** A task as it is registered: it counts from now on. */
export function registered(k: Kernel, task: Task): Registered {
  const { tid, startNs, minFlt, majFlt } = task;
  return { tid, startNs, minFlt, majFlt, cpuNs: cpuNs(k, task) };
}

/** The registered task, or null when it has gone. */
export function liveTask(k: Kernel, { tid, startNs }: Registered): Task | null {
  const task = k.state.sched.tasks.get(tid);
  return task === undefined || task.startNs !== startNs || task.state === "zombie" ? null : task;
}

/** Samples are taken from now on. */
export function startSampling(k: Kernel): void {
  const data = lab(k);
  data.position = 0;
  data.lastJiffies = jiffies(k);
  if (build(k).marksUnused) writeVmalloc(k, data.buffer, 0, new Uint8Array(SAMPLES * SAMPLE_SIZE).fill(0xff));
  armSampling(k, data);
}

/** The next sample; nothing when it is on its way already. */
export function armSampling(k: Kernel, { workqueue, work }: Mp3): void {
  queueDelayedWork(k, workqueue, work, msecsToJiffies(k, WORK_PERIOD_MS));
}

/** The run is over: the next one begins at the start of the buffer. The work is taken back by the caller. */
export function endSampling(k: Kernel): void {
  const data = lab(k);
  // The time of the slot behind the last sample is the end mark.
  writeVmalloc(k, data.buffer, data.position * SAMPLE_SIZE, new Uint8Array(8).fill(0xff));
  data.position = 0;
}

function sample(k: Kernel): number {
  const data = lab(k);
  const { dropsDead } = build(k);
  const listed = data.tasks.length;
  if (dropsDead) data.tasks = data.tasks.filter((one) => liveTask(k, one) !== null);
  if (data.tasks.length === 0) {
    // The last one has died; where it was taken off the list, the run has its end mark already.
    if (listed > 0) endSampling(k);
    else if (!dropsDead) printk(k, ALERT, "WARNING: Workqueue found no tasks.");
    return 0;
  }
  armSampling(k, data);
  const sum = { minFlt: 0, majFlt: 0, cpuNs: 0 };
  for (const one of data.tasks) {
    const task = liveTask(k, one);
    if (task !== null) {
      data.stale = { minFlt: task.minFlt - one.minFlt, majFlt: task.majFlt - one.majFlt, cpuNs: cpuNs(k, task) - one.cpuNs };
      Object.assign(one, registered(k, task));
    }
    sum.minFlt += data.stale.minFlt;
    sum.majFlt += data.stale.majFlt;
    sum.cpuNs += data.stale.cpuNs;
  }
  const at = jiffies(k);
  const elapsed = jiffiesToNsecs(k, at - data.lastJiffies);
  const utilisation = elapsed === 0 ? 0 : Math.floor((100 * sum.cpuNs) / elapsed);
  const faults = build(k).majorFirst ? [sum.majFlt, sum.minFlt] : [sum.minFlt, sum.majFlt];
  const bytes = new Uint8Array(SAMPLE_SIZE);
  [at, ...faults, utilisation].forEach((value, field) => putU64(bytes, field * 8, value));
  writeVmalloc(k, data.buffer, data.position * SAMPLE_SIZE, bytes);
  data.position = (data.position + 1) % SAMPLES;
  data.lastJiffies = at;
  return 0;
}

export const sampling = workFunction(WORK, sample);
