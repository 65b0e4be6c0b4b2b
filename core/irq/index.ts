/** Interrupts, bottom halves and work queues; importing them registers what the state names. */
import { runRcuCallbacks } from "../sched/rcu.ts";
import { runTimers } from "../time/timer_list.ts";
import { openSoftirq } from "./softirq.ts";
import { RCU_SOFTIRQ, TIMER_SOFTIRQ } from "./state.ts";
import "./flush.ts";
import "./interrupt.ts";
import "./tasklet.ts";
import "./workqueue.ts";

openSoftirq(TIMER_SOFTIRQ, runTimers);
openSoftirq(RCU_SOFTIRQ, runRcuCallbacks);
