/** Modules of the tests whose init and exit take a while, one of which fails in the end, and a user of their symbol. */
import { EIO } from "../../abi/errno.ts";
import { printk } from "../../sched/printk.ts";
import { NEXT, steps } from "../../sched/steps.ts";
import { sleepUntil } from "../../sched/wait_queue.ts";
import { now } from "../../time/clock.ts";
import { testModule } from "./simple.ts";

const INFO = 6;
const WHILE_NS = 100_000_000;

interface Locals {
  module: string;
  untilNs?: number;
}

/** Says a word, sleeps a while, says another, and answers a number. */
function slow(name: string, what: string, result: number): ReturnType<typeof steps<Locals>> {
  return steps<Locals>(`test.${name}.${what}`, {
    begin: (k, _task, { locals }) => {
      printk(k, INFO, `${name}: ${what} begins`);
      locals.untilNs = now(k) + WHILE_NS;
      return NEXT;
    },
    sleep: (k, _task, { locals: { untilNs = 0 } }) =>
      (now(k) >= untilNs ? NEXT : sleepUntil(untilNs, { mode: "uninterruptible", wchan: "msleep" })),
    end: (k) => {
      printk(k, INFO, `${name}: ${what} ends`);
      return result;
    },
  });
}

testModule("sleepy", { init: slow("sleepy", "init", 0), exit: slow("sleepy", "exit", 0), exports: [{ name: "sleepy_symbol" }] });
testModule("sleepfail", { init: slow("sleepfail", "init", -EIO), exports: [{ name: "sleepfail_symbol" }] });
testModule("sleepuser", { depends: ["sleepy"], imports: ["sleepy_symbol"] });
testModule("failuser", { depends: ["sleepfail"], imports: ["sleepfail_symbol"] });

