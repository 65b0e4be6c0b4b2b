/** The interrupt of simrupt's device, which a kernel timer plays: timer, tasklet, work item, each in the context of its kind. */
import type { Kernel } from "../../kernel.ts";
import { taskletCallback, taskletSchedule } from "../../irq/tasklet.ts";
import { queueWork } from "../../irq/queue_work.ts";
import type { WorkLocals } from "../../irq/work.ts";
import { mutexLock, mutexUnlock } from "../../sched/mutex.ts";
import { localIrqDisable, localIrqEnable, preemptDisable, preemptEnable } from "../../sched/preempt.ts";
import { printk } from "../../sched/printk.ts";
import { enter, NEXT, steps, to } from "../../sched/steps.ts";
import { wake } from "../../sched/wait_queue.ts";
import { now } from "../../time/clock.ts";
import { jiffies, msecsToJiffies } from "../../time/jiffies.ts";
import { modTimer, timerFunction } from "../../time/timer_list.ts";
import { DELAY_MS, fastBufGet, fastBufPut, INFO, lab, nextValue, produceData, warnRatelimited, type Simrupt } from "./lab.ts";

function tell(k: Kernel, text: string): void {
  printk(k, INFO, `simrupt: [CPU#${k.turn.cpu}] ${text}`);
}

/** ns >> 10, as the report prints its microseconds. */
const usec = (beganNs: number, endedNs: number): number => Math.floor((endedNs - beganNs) / 1024);

/** The next event, 100 ms from now. */
export function armTimer(k: Kernel, data: Simrupt): void {
  modTimer(k, data.timer, jiffies(k) + msecsToJiffies(k, DELAY_MS));
}

timerFunction("simrupt.timer_handler", (k) => {
  const data = lab(k);
  tell(k, "enter timer_handler");
  localIrqDisable(k);
  const beganNs = now(k);
  tell(k, "produce data");
  if (!fastBufPut(data, nextValue(data))) warnRatelimited(k, data.fastBufFull, "process_data", "simrupt: fast_buf is full, dropping data");
  tell(k, "scheduling tasklet");
  taskletSchedule(k, data.tasklet);
  tell(k, `timer_handler in_irq: ${usec(beganNs, now(k))} usec`);
  armTimer(k, data);
  localIrqEnable(k);
});

taskletCallback("simrupt.tasklet_func", (k) => {
  const data = lab(k);
  const beganNs = now(k);
  queueWork(k, data.workqueue, data.work);
  tell(k, `simrupt_tasklet_func in_softirq: ${usec(beganNs, now(k))} usec`);
});

interface DrainLocals extends WorkLocals {
  /** The byte on its way from one buffer to the other. */
  value?: number;
}

/** Moves all bytes to where readers find them, each under the two locks, and wakes the readers. */
steps<DrainLocals>("simrupt.work_func", {
  tell: (k) => {
    preemptDisable(k);
    tell(k, "simrupt_work_func");
    preemptEnable(k);
    return NEXT;
  },
  consume: (k) => enter(mutexLock, lab(k).consumerLock),
  get: (k, _task, { locals }) => {
    const data = lab(k);
    locals.value = fastBufGet(data);
    mutexUnlock(k, data.consumerLock);
    return locals.value < 0 ? to("wake") : NEXT;
  },
  produce: (k) => enter(mutexLock, lab(k).producerLock),
  put: (k, _task, { locals }) => {
    const data = lab(k);
    produceData(k, data, locals.value ?? 0);
    mutexUnlock(k, data.producerLock);
    return to("consume");
  },
  wake: (k) => {
    wake(k, lab(k).rxWait, { nr: 1 });
    return 0;
  },
});
