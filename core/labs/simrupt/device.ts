/** /dev/simrupt: readers take the device's bytes, each byte one reader; it works as long as somebody has it open. */
import { EAGAIN, EFAULT, ERESTARTSYS } from "../../abi/errno.ts";
import { O_NONBLOCK } from "../../abi/fcntl.ts";
import { fileOperations, fileOf } from "../../fs/file.ts";
import { flushWorkqueue } from "../../irq/flush.ts";
import { taskletKill } from "../../irq/tasklet.ts";
import type { Kernel } from "../../kernel.ts";
import { kfifoIsEmpty } from "../../lib/kfifo.ts";
import { kfifoToUser } from "../../mm/kfifo_user.ts";
import { accessOk, type Addr } from "../../mm/usercopy.ts";
import { mutexLockInterruptible, mutexUnlock } from "../../sched/mutex.ts";
import { printk } from "../../sched/printk.ts";
import { enter, NEXT, steps } from "../../sched/steps.ts";
import { sleepOn } from "../../sched/wait_queue.ts";
import { delTimerSync } from "../../time/timer_list.ts";
import { armTimer } from "./interrupt.ts";
import { build, fastBufClear, INFO, lab, NAME } from "./lab.ts";

interface ReadLocals {
  file: number;
  buf: Addr;
  count: number;
}

/** What the caller of a build gets for a negative number: `unsigned int` makes it a large positive one, which no caller knows as an error. */
function answer(k: Kernel, error: number): number {
  return build(k).unsignedRead ? error >>> 0 : error;
}

const unlock = (k: Kernel): void => mutexUnlock(k, lab(k).readLock);

/** Sleeps, when there is nothing, with the lock held: whoever comes second waits for the first. */
const read = steps<ReadLocals>("simrupt.read", {
  lock: (k, _task, { locals }) => (locals.count === 0 && !build(k).unsignedRead ? 0 : enter(mutexLockInterruptible, lab(k).readLock)),
  locked: (_k, _task, { ret }) => (Number(ret) < 0 ? -ERESTARTSYS : NEXT),
  wait: (k, _task, { locals }) => {
    const data = lab(k);
    if (!kfifoIsEmpty(data.rxFifo)) return NEXT;
    if ((fileOf(k, locals.file).flags & O_NONBLOCK) !== 0) return answer(k, -EAGAIN);
    return sleepOn(data.rxWait, { wchan: "simrupt_read", interrupted: answer(k, -ERESTARTSYS) });
  },
  copy: (k, task, { locals }) => {
    const { error, copied } = kfifoToUser(k, task, lab(k).rxFifo, locals.buf, locals.count);
    if (build(k).unsignedRead) return error < 0 ? answer(k, error) : copied;
    return copied > 0 ? copied : error;
  },
}, { undo: { wait: unlock, copy: unlock } });

/** The close that stops the device: no timer, no tasklet and no work item is left, what was on its way is dropped. */
const release = steps<object>("simrupt.release", {
  count: (k) => {
    const data = lab(k);
    data.openCount--;
    if ((data.openCount === 0) !== (build(k).stops === "last")) return told(k);
    delTimerSync(k, data.timer);
    return NEXT;
  },
  tasklet: (k) => enter(taskletKill, { tasklet: lab(k).tasklet }),
  work: (k) => enter(flushWorkqueue, { wq: lab(k).workqueue }),
  clear: (k) => {
    fastBufClear(lab(k));
    return told(k);
  },
});

function told(k: Kernel): number {
  printk(k, INFO, `release, current cnt: ${lab(k).openCount}`);
  return 0;
}

fileOperations(NAME, {
  owner: NAME,
  open: (k) => {
    const data = lab(k);
    data.openCount++;
    if (data.openCount === 1) armTimer(k, data);
    printk(k, INFO, `${build(k).openWord} current cnt: ${data.openCount}`);
    return 0;
  },
  release: () => enter(release, {}),
  read: (_k, _task, file, buf, count) => (accessOk(buf, count) ? enter(read, { file: file.id, buf, count }) : -EFAULT),
});
