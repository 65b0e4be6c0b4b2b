/** What the parts of kecho share: its statics, what it says, and in what its builds differ. */
import type { Kernel } from "../../kernel.ts";
import { must } from "../../lib/assert.ts";
import { moduleData } from "../../module/query.ts";
import { printk } from "../../sched/printk.ts";

export const NAME = "kecho";
const ERR = 3;
const WARNING = 4;
const DEBUG = 7;

/** A connection that was accepted, and the work item that serves it. */
export interface Connection {
  work: number;
  socket: number;
}

export interface Kecho {
  listener: number;
  workqueue: number;
  /** Tid of the thread that accepts. */
  daemon: number;
  stopped: boolean;
  /** The oldest first. */
  connections: Connection[];
}

export function lab(k: Kernel): Kecho {
  return moduleData<Kecho>(k, NAME);
}

/** What the upstream module and the report's do, and a careful one does not. */
export interface Defects {
  /** Connections that have ended keep their socket and record until rmmod. */
  keepsEnded: boolean;
  /** An answer ends at the first NUL. */
  cutsAtNul: boolean;
  /** A daemon that a signal ended leaves the listening socket, which nobody serves. */
  keepsListening: boolean;
  /** What is told of each message goes to the console like all else, which takes longer than the echo. */
  tracesAloud: boolean;
}

const CORRECTED: Defects = { keepsEnded: false, cutsAtNul: false, keepsListening: false, tracesAloud: false };
const UPSTREAM: Defects = { keepsEnded: true, cutsAtNul: true, keepsListening: true, tracesAloud: true };

export function defects(k: Kernel): Defects {
  return must(k.state.modules.loaded, NAME).variant === "corrected" ? CORRECTED : UPSTREAM;
}

/** printk without a level, as all its messages but the errors are. */
export function say(k: Kernel, text: string): void {
  printk(k, WARNING, `${NAME}: ${text}\n`);
}

/** A line of the course of a message. */
export function trace(k: Kernel, text: string): void {
  printk(k, defects(k).tracesAloud ? WARNING : DEBUG, `${NAME}: ${text}\n`);
}

export function complain(k: Kernel, text: string): void {
  printk(k, ERR, `${NAME}: ${text}\n`);
}
