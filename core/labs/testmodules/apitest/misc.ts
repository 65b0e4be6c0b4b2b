/** Numbers and texts, memory, locks and waits, ids, the module itself, error pointers and formats. */
import { GFP_KERNEL, __GFP_NOWARN } from "../../../abi/gfp.ts";
import type { Kernel } from "../../../kernel.ts";
import { ERR_PTR, IS_ERR, IS_ERR_OR_NULL, PTR_ERR } from "../../../lib/err.ts";
import { idrAlloc, newIdr } from "../../../lib/idr.ts";
import { kstrtobool, kstrtoint, kstrtou8, kstrtouint, simpleStrtol, type Parsed } from "../../../lib/kstrto.ts";
import { sscanf } from "../../../lib/scanf.ts";
import { scnprintf, snprintf, strscpy } from "../../../lib/string.ts";
import { must } from "../../../lib/assert.ts";
import { kernelAddress, kfree, kmalloc, ksize } from "../../../mm/kmalloc.ts";
import { copyToUser } from "../../../mm/usercopy.ts";
import { modulePut, tryModuleGet } from "../../../module/refcount.ts";
import {
  complete, completeAll, completionDone, freeCompletion, initCompletion, tryWaitForCompletion, waitForCompletionTimeout,
} from "../../../sched/completion.ts";
import { mutexDestroy, mutexInit, mutexIsLocked, mutexTrylock, mutexUnlock } from "../../../sched/mutex.ts";
import { inTask, preemptCount } from "../../../sched/preempt.ts";
import { enter, NEXT, steps } from "../../../sched/steps.ts";
import type { Task } from "../../../sched/task.ts";
import { newTimeout, waitEventInterruptibleTimeout, waitEventTimeout, type Timeout } from "../../../sched/wait_event.ts";
import { newWaitQueue } from "../../../sched/wait_queue.ts";
import { NAME, P } from "./say.ts";

const NUMBERS = [
  "5", "-5", " 5", "5 ", "5\n", "0x1f", "010", "08", "", "+7", "99999999999", "1e3", "abc", "2147483648", "--5", "0b11", "y", "on", "1\n", "Yes", "oFf", "nope",
];

const errnoOf = (parsed: Parsed<number> | Parsed<boolean>): number => ("errno" in parsed ? parsed.errno : 0);
const valueOf = (parsed: Parsed<number> | Parsed<boolean>, otherwise: number): number => ("errno" in parsed ? otherwise : Number(parsed.value));

function numbers(k: Kernel): void {
  for (const text of NUMBERS) {
    const [ri, ru, r8, rb] = [kstrtoint(text, 0), kstrtouint(text, 10), kstrtou8(text, 0), kstrtobool(text)];
    P(k, "kstr '%s' kstrtoint(base0)=%d(%d) kstrtouint(base10)=%d(%u) kstrtou8(base0)=%d(%u) kstrtobool=%d(%d) simple_strtol(base0)=%ld",
      text.replaceAll("\n", "\\n"), errnoOf(ri), valueOf(ri, -999), errnoOf(ru), valueOf(ru, 0), errnoOf(r8), valueOf(r8, 0), errnoOf(rb), valueOf(rb, 0),
      simpleStrtol(text, 0).value);
  }
}

function texts(k: Kernel): void {
  const [fit, cut] = [strscpy("abc", 8), strscpy("abcdefghijk", 8)];
  P(k, "strscpy fit=%zd trunc=%zd '%s'", fit.ret, cut.ret, cut.text);
  P(k, "snprintf trunc=%d scnprintf trunc=%d", snprintf(8, "%s", "abcdefghijk").ret, scnprintf(8, "%s", "abcdefghijk").ret);
  const read = sscanf("R 123", "R %d");
  P(k, "sscanf=%ld %d", read.length, read[0]);
  const unread = sscanf("U x", "R %d");
  P(k, "sscanf mismatch=%ld q=%d", unread.length, unread[0] ?? -1);
}

function memory(k: Kernel, task: Task): void {
  const copied = copyToUser(k, task, 0, new Uint8Array(10));
  P(k, "copy_to_user NULL 10 = %lu", 10 - Math.max(0, copied));
  const nothing = kmalloc(k, 0, NAME);
  P(k, "kmalloc(0)==ZERO_SIZE_PTR %d", kernelAddress(k, nothing) === 16n);
  kfree(k, nothing);
  P(k, "kmalloc(8MB)=%s", kmalloc(k, 1 << 23, NAME, GFP_KERNEL | __GFP_NOWARN) !== 0 ? "ok" : "NULL");
  const hundred = kmalloc(k, 100, NAME);
  P(k, "ksize(kmalloc(100))=%zu", ksize(k, hundred));
  kfree(k, hundred);
  kfree(k, 0);
}

function mutexes(k: Kernel): void {
  const m = mutexInit(k, "&m", NAME);
  P(k, "mutex_trylock=%d", mutexTrylock(k, m));
  P(k, "mutex_trylock again=%d locked=%d", mutexTrylock(k, m), mutexIsLocked(k, m));
  mutexUnlock(k, m);
  mutexDestroy(k, m);
}

interface Locals {
  completion?: number;
  queue?: number;
  wait?: Timeout;
  answers?: number[];
}

export const testMisc = steps<Locals>("apitest.t_misc", {
  plain: (k, task, { locals }) => {
    numbers(k);
    texts(k);
    memory(k, task);
    mutexes(k);
    locals.completion = initCompletion(k, { module: NAME });
    return enter(waitForCompletionTimeout, { completion: locals.completion, timeout: 2 });
  },
  completed: (k, _task, { locals: { completion = 0 }, ret }) => {
    P(k, "wait_for_completion_timeout expired=%lu", ret);
    complete(k, completion);
    complete(k, completion);
    P(k, "try_wait=%d", tryWaitForCompletion(k, completion));
    return enter(waitForCompletionTimeout, { completion, timeout: 100 });
  },
  all: (k, _task, { locals, ret }) => {
    const { completion = 0 } = locals;
    P(k, "timeout ok>0=%d", ret > 0);
    P(k, "try_wait empty=%d", tryWaitForCompletion(k, completion));
    completeAll(k, completion);
    P(k, "after complete_all try=%d done=%d", tryWaitForCompletion(k, completion), completionDone(k, completion));
    freeCompletion(k, completion);
    locals.queue = newWaitQueue(k);
    locals.wait = newTimeout(2);
    locals.answers = [];
    return NEXT;
  },
  // The three waits in the order in which the compiler has their arguments made: the last one first.
  interruptible: (k, task, { locals }) => {
    const { queue = 0, wait = newTimeout(0), answers = [] } = locals;
    const left = waitEventInterruptibleTimeout(k, task, queue, false, wait);
    if (typeof left === "object") return left;
    answers.push(left);
    locals.wait = newTimeout(25);
    return NEXT;
  },
  met: (k, task, { locals }) => {
    const { queue = 0, wait = newTimeout(0), answers = [] } = locals;
    const left = waitEventTimeout(k, task, queue, true, wait);
    if (typeof left === "object") return left;
    answers.push(left);
    locals.wait = newTimeout(2);
    return NEXT;
  },
  unmet: (k, task, { locals }) => {
    const { queue = 0, wait = newTimeout(0), answers = [] } = locals;
    const left = waitEventTimeout(k, task, queue, false, wait);
    if (typeof left === "object") return left;
    P(k, "wait_event_timeout false=%ld true=%ld interruptible_timeout false=%ld", left, answers[1], answers[0]);
    return NEXT;
  },
  rest: (k, task) => {
    const idr = newIdr<string>();
    const [a1, a2, a3, a4] = [idrAlloc(idr, "s", 0, 0), idrAlloc(idr, "s", 0, 0), idrAlloc(idr, "s", 5, 6), idrAlloc(idr, "s", 5, 6)];
    P(k, "idr_alloc=%d,%d range[5,6)=%d again=%d", a1, a2, a3, a4);
    const module = must(k.state.modules.loaded, NAME);
    const state = { live: 0, coming: 1, going: 2 }[module.state];
    P(k, "init ctx: comm=%s in_task=%d preempt_count=%x THIS_MODULE state=%d refcount=%d name=%s", task.comm, inTask(k), preemptCount(k), state, module.refcount, module.name);
    P(k, "try_module_get self (state COMING)=%d refcount=%d", tryModuleGet(k, NAME), module.refcount);
    modulePut(k, NAME);
    P(k, "PTR_ERR(ERR_PTR(-2))=%ld IS_ERR(0)=%d IS_ERR_OR_NULL(0)=%d", PTR_ERR(ERR_PTR(-2)), IS_ERR(0n), IS_ERR_OR_NULL(0n));
    P(k, "%%p null=%p err=%p pe=%pe", 0n, ERR_PTR(-12), ERR_PTR(-12));
    P(k, "formats %x %#x %08x %lld %pI4 %zd %hhx %c|%-5d|%5d|%%", 255, 255, 255, -1n, 0x7f000001, -3, 300, "q", 7, 7);
    return 0;
  },
});
