/** SYNs that come together, more than a listener's backlog (tcp_conn_request, tcp_syn_flood_action in net/ipv4/tcp_input.c). */
import type { Kernel } from "../kernel.ts";
import { printk } from "../sched/printk.ts";
import { ticks } from "../time/clock.ts";
import { inetOf, tcpOf, type Socket } from "./socket.ts";

/** The repeated SYNs of one slot of the timer wheel. */
export interface SynBurst {
  slot: number;
  /** The accept queue had room when the first of them came: each makes a half-open connection, and those are as many as the backlog at most. */
  room: boolean;
  count: number;
  /** The log tells of it once for each listener. */
  warned: boolean;
}

const INFO = 6;
/** Timers of a quarter of a second to two seconds lie in slots of so many jiffies: what they repeat comes in one softirq. */
const SLOT_JIFFIES = 8;

/**
 * Counts a repeated SYN for a listener. Beyond its backlog they would be answered with cookies, which the log tells of. Only repeated ones
 * come together: the handshake of a connect that is under way is over before the next one's.
 */
export function synRepeated(k: Kernel, listener: Socket): void {
  const { synBursts, mib } = k.state.net;
  const { acceptQueue, backlog } = tcpOf(listener);
  const slot = Math.floor(ticks(k) / SLOT_JIFFIES);
  const burst = synBursts.get(listener.id) ?? { slot: -1, room: false, count: 0, warned: false };
  synBursts.set(listener.id, burst);
  if (burst.slot !== slot) Object.assign(burst, { slot, room: acceptQueue.length <= backlog, count: 0 });
  if (++burst.count <= backlog + 1 || !burst.room) return;
  mib.synCookies++;
  if (burst.warned) return;
  burst.warned = true;
  printk(k, INFO, `TCP: request_sock_TCP: Possible SYN flooding on port ${inetOf(listener).localPort}. Sending cookies.  Check SNMP counters.\n`);
}
