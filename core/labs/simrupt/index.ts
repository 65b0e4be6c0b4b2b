/** simrupt: a device that simulates interrupts; one module in three builds. */
import { PAGE_SIZE } from "../../abi/limits.ts";
import { allocChrdevRegion, cdevAdd, cdevDel, unregisterChrdevRegion } from "../../fs/char_dev.ts";
import { classCreate, classDestroy, deviceCreate, deviceDestroy } from "../../fs/class.ts";
import { destroyWorkqueue, flushWorkqueue } from "../../irq/flush.ts";
import { taskletFree, taskletInit, taskletKill } from "../../irq/tasklet.ts";
import { freeWork, initWork } from "../../irq/work.ts";
import { allocWorkqueue, WQ_MAX_ACTIVE, WQ_UNBOUND } from "../../irq/workqueue.ts";
import type { Kernel } from "../../kernel.ts";
import { newCircBuf } from "../../lib/circ_buf.ts";
import { kfifoAlloc, newKfifo } from "../../lib/kfifo.ts";
import { newRatelimit } from "../../lib/ratelimit.ts";
import { MAJOR, MINOR } from "../../abi/dev_t.ts";
import { moduleDefinition } from "../../module/definition.ts";
import type { Module } from "../../module/state.ts";
import { mutexDestroy, mutexInit } from "../../sched/mutex.ts";
import { printk } from "../../sched/printk.ts";
import { enter, NEXT, steps } from "../../sched/steps.ts";
import { newWaitQueue } from "../../sched/wait_queue.ts";
import { delTimerSync, freeTimer, timerSetup } from "../../time/timer_list.ts";
import { INFO, lab, NAME, type Simrupt } from "./lab.ts";
import "./device.ts";

function init(k: Kernel, { data }: Module): number {
  const dev = allocChrdevRegion(k, 0, 1, NAME);
  if (dev < 0) return dev;
  cdevAdd(k, dev, 1, NAME);
  const made = classCreate(k, NAME, NAME);
  if (made < 0) return undoNumbers(k, dev, made);
  const device = deviceCreate(k, NAME, dev, NAME);
  const workqueue = device < 0 ? device : allocWorkqueue(k, "simruptd", WQ_UNBOUND, WQ_MAX_ACTIVE, NAME);
  if (workqueue < 0) {
    if (device >= 0) deviceDestroy(k, NAME, dev);
    classDestroy(k, NAME);
    return undoNumbers(k, dev, workqueue);
  }
  const { hz } = k.state.machine;
  const rxFifo = newKfifo();
  kfifoAlloc(rxFifo, PAGE_SIZE);
  Object.assign(data, {
    dev, value: 0, openCount: 0, workqueue, rxFifo, fastBuf: newCircBuf(PAGE_SIZE), rxWait: newWaitQueue(k),
    timer: timerSetup(k, "simrupt.timer_handler", { owner: NAME }),
    tasklet: taskletInit(k, "simrupt.tasklet_func", 0, NAME),
    work: initWork(k, "simrupt.work_func", { owner: NAME }),
    readLock: mutexInit(k, "read_lock", NAME), producerLock: mutexInit(k, "producer_lock", NAME), consumerLock: mutexInit(k, "consumer_lock", NAME),
    fastBufFull: newRatelimit(hz), dropped: newRatelimit(hz),
  } satisfies Simrupt);
  printk(k, INFO, `simrupt: registered new simrupt device: ${MAJOR(dev)},${MINOR(dev)}`);
  return 0;
}

function undoNumbers(k: Kernel, dev: number, error: number): number {
  cdevDel(k, dev);
  unregisterChrdevRegion(k, dev, 1);
  return error;
}

/** Nobody has the device open. Each stage is stopped before the one that it feeds. */
const exit = steps<{ module: string }>("simrupt.exit", {
  timer: (k) => {
    delTimerSync(k, lab(k).timer);
    return NEXT;
  },
  tasklet: (k) => enter(taskletKill, { tasklet: lab(k).tasklet }),
  flush: (k) => enter(flushWorkqueue, { wq: lab(k).workqueue }),
  destroy: (k) => enter(destroyWorkqueue, { wq: lab(k).workqueue }),
  free: (k) => {
    const data = lab(k);
    freeTimer(k, data.timer);
    taskletFree(k, data.tasklet);
    freeWork(k, data.work);
    for (const lock of [data.readLock, data.producerLock, data.consumerLock]) mutexDestroy(k, lock);
    deviceDestroy(k, NAME, data.dev);
    classDestroy(k, NAME);
    undoNumbers(k, data.dev, 0);
    printk(k, INFO, "simrupt: unloaded");
    return 0;
  },
});

const unsigned = "read() answers an unsigned int: EAGAIN and an interruption come out as 4294967285 and 4294966784, which no caller takes for errors";
const clean = { init, exit };

moduleDefinition({
  name: NAME,
  license: "Dual MIT/GPL",
  description: "A device that simulates interrupts",
  author: ["National Cheng Kung University, Taiwan"],
  infoOrder: ["description", "author", "license"],
  depends: [],
  srcversion: "",
  size: 20480,
  initSize: 4096,
  params: [],
  exports: [],
  imports: [],
  variants: {
    corrected: { defects: [], ...clean },
    seed: {
      defects: [
        "release() has its test the wrong way round: a close that is not the last stops the timer for everybody, the last one leaves it running",
        "a full fifo drops the newest byte instead of the oldest",
        unsigned,
      ],
      ...clean,
    },
    upstream: { defects: [unsigned], ...clean },
  },
});
