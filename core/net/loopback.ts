/** The way of packets through the loopback device: down one side of the stack, through the softirq, up the other. */
import { NET_RX_SOFTIRQ } from "../irq/state.ts";
import type { Kernel } from "../kernel.ts";
import { charge, costs } from "../sched/cost.ts";

/** IP and TCP headers with time stamps. */
const TCP_HEADERS = 52;
/** IP and UDP headers. */
export const UDP_HEADERS = 28;

/**
 * `packets` with `payload` bytes of data in all cross at once. Differs from Linux: the receiver's half runs in place; its
 * softirqs are counted, one a packet.
 */
export function loopbackXmit(k: Kernel, packets: number, payload = 0, headers = TCP_HEADERS): void {
  charge(k, packets * costs(k).tcpSegmentNs);
  k.state.irq.cpus[k.turn.cpu].softirqs[NET_RX_SOFTIRQ] += packets;
  const { devices, mib } = k.state.net;
  const [lo] = devices;
  const bytes = payload + packets * headers;
  lo.txPackets += packets;
  lo.txBytes += bytes;
  lo.rxPackets += packets;
  lo.rxBytes += bytes;
  if (headers === TCP_HEADERS) mib.tcpSegs += packets;
}
