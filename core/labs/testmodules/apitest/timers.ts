/** Timers and tasklets: what arming and disarming answer, when they fire, and in which context. */
import { taskletCallback, taskletDisable, taskletEnable, taskletFree, taskletInit, taskletKill, taskletSchedule } from "../../../irq/tasklet.ts";
import type { Kernel } from "../../../kernel.ts";
import { inInterrupt, inServingSoftirq, inSoftirq, inTask, irqsDisabled, localBhDisable, localBhEnable } from "../../../sched/preempt.ts";
import { enter, NEXT, steps } from "../../../sched/steps.ts";
import { msleep } from "../../../sched/timeout.ts";
import { initialJiffies, jiffies, jiffiesToMsecs, msecsToJiffies } from "../../../time/jiffies.ts";
import { delTimer, delTimerSync, freeTimer, modTimer, timerFunction, timerPending, timerSetup } from "../../../time/timer_list.ts";
import { NAME, P, statics } from "./say.ts";

function context(k: Kernel, what: string): void {
  P(k, "%s ctx: in_interrupt=%d in_softirq=%d in_serving_softirq=%d irqs_disabled=%d in_task=%d", what, inInterrupt(k), inSoftirq(k), inServingSoftirq(k), irqsDisabled(k), inTask(k));
}

timerFunction("apitest.tf", (k) => {
  const s = statics(k);
  if (s.tcnt === 0) context(k, "timer");
  if (s.tcnt < 8) s.tj.push(jiffies(k));
  s.tcnt++;
  if (s.trearm && s.tcnt < 6) modTimer(k, s.tm, jiffies(k) + msecsToJiffies(k, 100));
});

taskletCallback("apitest.tkf", (k) => {
  const s = statics(k);
  if (s.tk === 0) context(k, "tasklet");
  s.tk++;
});

export const testTimers = steps<{ from?: number }>("apitest.t_timer", {
  returns: (k) => {
    const s = statics(k);
    const { hz } = k.state.machine;
    P(k, "HZ=%d USER_HZ=%d msecs_to_jiffies(1)=%lu (100)=%lu (50)=%lu (0)=%lu jiffies_to_msecs(1)=%u", hz, 100,
      msecsToJiffies(k, 1), msecsToJiffies(k, 100), msecsToJiffies(k, 50), msecsToJiffies(k, 0), jiffiesToMsecs(k, 1));
    P(k, "INITIAL_JIFFIES=%u", initialJiffies(hz));
    s.tm = timerSetup(k, "apitest.tf", { owner: NAME });
    P(k, "timer_pending fresh=%d", timerPending(k, s.tm));
    P(k, "mod_timer inactive=%d", modTimer(k, s.tm, jiffies(k) + hz));
    P(k, "mod_timer active=%d", modTimer(k, s.tm, jiffies(k) + 2 * hz));
    P(k, "timer_pending=%d", timerPending(k, s.tm));
    P(k, "del_timer active=%d", delTimer(k, s.tm));
    P(k, "del_timer inactive=%d", delTimer(k, s.tm));
    modTimer(k, s.tm, jiffies(k) - 5);
    return enter(msleep, { ms: 20 });
  },
  past: (k, _task, { locals }) => {
    const s = statics(k);
    P(k, "timer in the past fired=%d", s.tcnt);
    s.tcnt = 0;
    s.tj = [];
    s.trearm = true;
    locals.from = jiffies(k);
    modTimer(k, s.tm, jiffies(k) + msecsToJiffies(k, 100));
    return enter(msleep, { ms: 900 });
  },
  fired: (k, _task, { locals: { from = 0 } }) => {
    const s = statics(k);
    for (let i = 0; i < 6; i++) P(k, "timer 100ms(=%lu jiffies) fire %d at +%lu jiffies", msecsToJiffies(k, 100), i, s.tj[i] - from);
    P(k, "del_timer_sync=%d", delTimerSync(k, s.tm));
    freeTimer(k, s.tm);
    return NEXT;
  },
  tasklet: (k) => {
    const s = statics(k);
    s.tkl = taskletInit(k, "apitest.tkf", 0, NAME);
    localBhDisable(k);
    taskletSchedule(k, s.tkl);
    taskletSchedule(k, s.tkl);
    localBhEnable(k);
    return enter(msleep, { ms: 10 });
  },
  disabled: (k) => {
    const s = statics(k);
    P(k, "tasklet scheduled twice ran %d", s.tk);
    taskletDisable(k, s.tkl);
    taskletSchedule(k, s.tkl);
    return enter(msleep, { ms: 10 });
  },
  enabled: (k) => {
    const s = statics(k);
    P(k, "disabled tasklet ran total %d", s.tk);
    taskletEnable(k, s.tkl);
    return enter(msleep, { ms: 10 });
  },
  kill: (k) => {
    const s = statics(k);
    P(k, "after enable ran total %d", s.tk);
    return enter(taskletKill, { tasklet: s.tkl });
  },
  end: (k) => {
    taskletFree(k, statics(k).tkl);
    return 0;
  },
});
