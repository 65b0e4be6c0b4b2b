/** What processes keep beside their tasks: who waits on futexes, the names of the machine, the load. */
import { UTS_DOMAINNAME, UTS_NODENAME } from "../abi/release.ts";
import type { FutexWaiter } from "./futex_waiters.ts";
import type { LoadSample } from "../sched/loadavg.ts";

export interface ProcessState {
  nodename: string;
  domainname: string;
  /** Who sleeps on futexes, in the order in which they came. */
  futexWaiters: FutexWaiter[];
  /** Open pidfds by the pid that they were opened for. */
  pidfds: Map<number, number[]>;
  load: LoadSample;
}

export function processInit(): ProcessState {
  return {
    nodename: UTS_NODENAME, domainname: UTS_DOMAINNAME, futexWaiters: [], pidfds: new Map(), load: { loads: [0, 0, 0], samples: 0, nextNs: 0 },
  };
}
