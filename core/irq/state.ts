/** What interrupts, bottom halves and work queues keep: counters and lists of each CPU, interrupt lines, tasklets. */
import type { Machine } from "../machine.ts";
import { newLine, type IrqLine } from "./line.ts";
import { workqueueInit, type WorkqueueState } from "./workqueue_state.ts";

/** Softirq vectors (linux/interrupt.h), the most urgent first. */
export const HI_SOFTIRQ = 0;
export const TIMER_SOFTIRQ = 1;
export const NET_TX_SOFTIRQ = 2;
export const NET_RX_SOFTIRQ = 3;
export const BLOCK_SOFTIRQ = 4;
export const IRQ_POLL_SOFTIRQ = 5;
export const TASKLET_SOFTIRQ = 6;
export const SCHED_SOFTIRQ = 7;
export const HRTIMER_SOFTIRQ = 8;
export const RCU_SOFTIRQ = 9;

export const SOFTIRQ_NAMES = ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"] as const;

export interface IrqCpu {
  /** Softirqs that wait to run here, a bit each (local_softirq_pending). */
  pending: number;
  /** How often each softirq has run here. */
  softirqs: number[];
  /** Interrupts of the local timer for something that was due here. */
  timerInterrupts: number;
  /** Ids of the scheduled tasklets, the next one first. */
  tasklets: number[];
  hiTasklets: number[];
  /** Tid of ksoftirqd/N, 0 before it is made. */
  ksoftirqd: number;
}

export interface Tasklet {
  id: number;
  /** Name of a registered function, and what it is called with. */
  callback: string;
  data: number;
  /** The module whose memory it lies in, "" for the kernel itself. */
  owner: string;
  /** TASKLET_STATE_SCHED and TASKLET_STATE_RUN. */
  scheduled: boolean;
  running: boolean;
  /** How often it is disabled. */
  disabled: number;
  /** CPU whose list it stands on. */
  cpu: number;
  /** Where tasklet_kill waits for it to run, 0 until somebody does. */
  wait: number;
}

export interface IrqState {
  cpus: IrqCpu[];
  lines: Map<number, IrqLine>;
  tasklets: Map<number, Tasklet>;
  nextTasklet: number;
  wq: WorkqueueState;
}

/** Lines of a PC that somebody holds when the machine is up: number and name. */
const BOOT_LINES: readonly [number, string][] = [[0, "timer"], [1, "i8042"], [4, "ttyS0"], [8, "rtc0"], [9, "acpi"], [12, "i8042"]];

export function irqInit(machine: Machine): IrqState {
  const lines = new Map<number, IrqLine>();
  for (const [irq, name] of BOOT_LINES) {
    const line = newLine(machine, irq);
    line.actions.push({ handler: "irq.none", flags: 0, name, devId: 0 });
    lines.set(irq, line);
  }
  return {
    cpus: Array.from({ length: machine.cpus }, () => ({
      pending: 0, softirqs: SOFTIRQ_NAMES.map(() => 0), timerInterrupts: 0, tasklets: [], hiTasklets: [], ksoftirqd: 0,
    })),
    lines, tasklets: new Map(), nextTasklet: 1, wq: workqueueInit(machine),
  };
}
