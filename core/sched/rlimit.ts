/** Resource limits (getrlimit(2)); bytes, seconds or counts by resource, Infinity in memory as -1 in the state. */
import type { Kernel } from "../kernel.ts";
import { groupOf, type Task } from "./task.ts";

/** -1 stands for RLIM_INFINITY; a bigint for what is no safe integer. */
export interface Rlimit {
  cur: number | bigint;
  max: number | bigint;
}

const RLIMIT_STACK = 3;
const RLIMIT_CORE = 4;
const RLIMIT_NPROC = 6;
const RLIMIT_NOFILE = 7;
const RLIMIT_MEMLOCK = 8;
const RLIMIT_SIGPENDING = 11;
const RLIMIT_MSGQUEUE = 12;
const RLIMIT_NICE = 13;
const RLIMIT_RTPRIO = 14;
const RLIM_NLIMITS = 16;

/** The limits of a fresh process, as init of the recorded machine has them; `maxThreads` from the machine's RAM. */
export function defaultRlimits(maxThreads: number): Rlimit[] {
  const limits = Array.from({ length: RLIM_NLIMITS }, (): Rlimit => ({ cur: -1, max: -1 }));
  limits[RLIMIT_STACK] = { cur: 8 << 20, max: -1 };
  limits[RLIMIT_CORE] = { cur: 0, max: -1 };
  limits[RLIMIT_NPROC] = { cur: maxThreads, max: maxThreads };
  limits[RLIMIT_NOFILE] = { cur: 1024, max: 4096 };
  limits[RLIMIT_MEMLOCK] = { cur: 8 << 20, max: 8 << 20 };
  limits[RLIMIT_SIGPENDING] = { cur: maxThreads, max: maxThreads };
  limits[RLIMIT_MSGQUEUE] = { cur: 819200, max: 819200 };
  limits[RLIMIT_NICE] = { cur: 0, max: 0 };
  limits[RLIMIT_RTPRIO] = { cur: 0, max: 0 };
  return limits;
}

/** The soft limit of `resource` (an RLIMIT_ number); Infinity when there is none. */
export function rlimit(k: Kernel, task: Task, resource: number): number {
  const { cur } = groupOf(k, task).rlimits[resource];
  return cur < 0 ? Infinity : Number(cur);
}
