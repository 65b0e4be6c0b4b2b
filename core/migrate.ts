/** Brings a state that was kept in an older format up to this one, a step for each format. */
import { newMib } from "./net/mib.ts";
import { TCP_LISTEN } from "./net/tcp_states.ts";
import { MAIN, type MainLocals } from "./programs/proc.ts";
import type { KernelState } from "./state.ts";

/** Steps of bench that looked at the clock by a system call each: what they led to does so now. */
const BENCH_STEPS: { [step: string]: string } = { start: "send", end: "shutdown" };

/** To 4: a port knows how many listen there; SYNs that are sent again are counted, by listener too, and a program's stdout may be line buffered without being a terminal. */
function toFour({ net, sched }: KernelState): void {
  for (const users of net.tcpPorts.values()) {
    users.listeners = users.sockets.filter((id) => net.sockets.get(id)?.sk === TCP_LISTEN).length;
  }
  net.synBursts = new Map();
  net.mib = { ...newMib(), ...net.mib };
  for (const { frames } of sched.tasks.values()) {
    for (const frame of frames) {
      if (frame.code === MAIN) (frame.locals as MainLocals).lineBuffered = (frame.locals as MainLocals).tty;
      if (frame.code === "bench.worker") frame.step = BENCH_STEPS[frame.step] ?? frame.step;
    }
  }
}

/** The state, changed in place, as this program would have made it. */
export function migrate(state: KernelState, format: number): KernelState {
  if (format < 4) toFour(state);
  return state;
}
