/** Brings a state that was kept in an older format up to this one, a step for each format. */
import { newMib } from "./net/mib.ts";
import { TCP_LISTEN } from "./net/tcp_states.ts";
import { MAIN, type MainLocals } from "./programs/proc.ts";
import type { KernelState } from "./state.ts";

/** Steps of bench that looked at the clock by a system call each: what they led to does so now. */
const BENCH_STEPS: { [step: string]: string } = { start: "send", end: "shutdown" };

/** The record with another field behind one of its own: their order is part of the state. */
function withField<T extends object>(record: T, behind: keyof T, name: keyof T, value: unknown): T {
  return Object.fromEntries(Object.entries(record).flatMap((entry) => (entry[0] === behind ? [entry, [name, value]] : [entry]))) as T;
}

/**
 * To 4: a port knows how many listen there and whether it may be shared, SYNs that are sent again are counted, by listener too, and a program's
 * stdout may be line buffered without being a terminal.
 */
function toFour(state: KernelState): void {
  const { net, sched } = state;
  for (const users of net.tcpPorts.values()) {
    users.listeners = users.sockets.filter((id) => net.sockets.get(id)?.sk === TCP_LISTEN).length;
    users.byConnect = false;
  }
  net.mib = { ...newMib(), ...net.mib };
  state.net = withField(net, "unixInodes", "synBursts", new Map());
  for (const { frames } of sched.tasks.values()) {
    for (const frame of frames) {
      if (frame.code === MAIN) frame.locals = withField(frame.locals as MainLocals, "tty", "lineBuffered", (frame.locals as MainLocals).tty);
      if (frame.code === "bench.worker") frame.step = BENCH_STEPS[frame.step] ?? frame.step;
    }
  }
}

/** The state, changed in place, as this program would have made it. */
export function migrate(state: KernelState, format: number): KernelState {
  if (format < 4) toFour(state);
  return state;
}
