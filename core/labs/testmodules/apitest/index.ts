/**
 * apitest: a module whose init calls the kernel's interface and prints what came back. What it prints on a real kernel is
 * recorded; ours must give the same returns in the same order.
 */
import { kthreadCreate, kthreadRun, kthreadShouldStop, kthreadStop } from "../../../process/kthread.ts";
import { enter, NEXT, steps, to } from "../../../sched/steps.ts";
import { msleep, scheduleTimeoutInterruptible } from "../../../sched/timeout.ts";
import { must } from "../../../lib/assert.ts";
import { testModule } from "../simple.ts";
import { testCircBuf, testKfifo } from "./fifo.ts";
import { testMisc } from "./misc.ts";
import { newStatics, NAME, P } from "./say.ts";
import { testTimers } from "./timers.ts";
import { testWorkqueues } from "./workqueues.ts";

const kt = steps<{ n: number }>("apitest.kt", {
  begin: (k, task) => {
    P(k, "kthread comm=%s mm=%d flags_kthread=%d", task.comm, task.mm !== 0, task.kind === "kthread");
    return NEXT;
  },
  loop: (k, task, { locals }) => {
    if (kthreadShouldStop(k, task)) return locals.n > 0 ? 42 : -1;
    locals.n++;
    return scheduleTimeoutInterruptible(2);
  },
  again: () => to("loop"),
});

const testKthreads = steps<{ tid?: number }>("apitest.t_kthread", {
  run: (k, _task, { locals }) => {
    locals.tid = kthreadRun(k, kt, { n: 0 }, "apikt/7");
    return enter(msleep, { ms: 40 });
  },
  stop: (_k, _task, { locals: { tid = 0 } }) => enter(kthreadStop, { tid }),
  never: (k, _task, { ret }) => {
    P(k, "kthread_stop=%d", ret);
    return enter(kthreadStop, { tid: kthreadCreate(k, kt, { n: 0 }, "neverrun-a-very-long-name") });
  },
  end: (k, _task, { ret }) => {
    P(k, "kthread_stop never woken=%d comm=%s", ret, "-");
    return 0;
  },
});

const init = steps<{ module: string }>("apitest.m_init", {
  plain: (k) => {
    must(k.state.modules.loaded, NAME).data = { ...newStatics() };
    testKfifo(k);
    testCircBuf(k);
    return enter(testTimers, {});
  },
  workqueues: () => enter(testWorkqueues, {}),
  misc: () => enter(testMisc, {}),
  kthreads: () => enter(testKthreads, {}),
  end: () => 0,
});

testModule(NAME, { init, exit: () => 0 });
