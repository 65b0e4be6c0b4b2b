/** The way of packets through the loopback device: down one side of the stack, through the softirq, up the other. */
import type { Kernel } from "../kernel.ts";
import { NET_RX_SOFTIRQ } from "../irq/state.ts";
import { charge, costs } from "../sched/cost.ts";

/** `packets` cross at once. Differs from Linux: the receiver's half runs in place; its softirqs are counted, one a packet. */
export function loopbackXmit(k: Kernel, packets: number): void {
  charge(k, packets * costs(k).tcpSegmentNs);
  k.state.irq.cpus[k.turn.cpu].softirqs[NET_RX_SOFTIRQ] += packets;
}
