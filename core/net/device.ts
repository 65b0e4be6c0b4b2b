/** Network devices and their addresses (net/core/dev.c, net/ipv4/devinet.c). Only `lo` is registered, which nothing else here relies on. */
import type { Kernel } from "../kernel.ts";

export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_LOOPBACK = 0x8;
export const IFF_RUNNING = 0x40;
export const IFF_MULTICAST = 0x1000;
export const ARPHRD_LOOPBACK = 772;

/** An address of a device, in host order; its network's broadcast address, or 0. */
export interface InetAddress {
  addr: number;
  prefix: number;
  broadcast: number;
}

export interface NetDevice {
  index: number;
  name: string;
  /** ARPHRD_ and IFF_ numbers. */
  type: number;
  flags: number;
  mtu: number;
  queueLength: number;
  addresses: InetAddress[];
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
}

/** The loopback device as the network registers it first; it is always up. */
export function newLoopback(): NetDevice {
  return {
    index: 1, name: "lo", type: ARPHRD_LOOPBACK, flags: IFF_UP | IFF_LOOPBACK | IFF_RUNNING, mtu: 65_536, queueLength: 1000,
    addresses: [{ addr: 0x7f00_0001, prefix: 8, broadcast: 0 }], rxPackets: 0, rxBytes: 0, txPackets: 0, txBytes: 0,
  };
}

export function deviceByName(k: Kernel, name: string): NetDevice | null {
  return k.state.net.devices.find((device) => device.name === name) ?? null;
}

export function deviceByIndex(k: Kernel, index: number): NetDevice | null {
  return k.state.net.devices.find((device) => device.index === index) ?? null;
}

export const isLoopbackDevice = ({ flags }: NetDevice): boolean => (flags & IFF_LOOPBACK) !== 0;

export function netmask(prefix: number): number {
  return prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
}

function covers({ addr: own, prefix }: InetAddress, addr: number): boolean {
  return ((own ^ addr) & netmask(prefix)) === 0;
}

/** What an address is to this machine (inet_addr_type): its own, a broadcast address, a multicast group, or somewhere else. */
export function addressType(k: Kernel, addr: number): "local" | "broadcast" | "multicast" | "unicast" {
  if (addr >>> 24 === 0 || addr === 0xffff_ffff) return "broadcast";
  if (addr >>> 28 === 0xe) return "multicast";
  for (const device of k.state.net.devices) {
    for (const own of device.addresses) {
      if (!covers(own, addr)) continue;
      if (addr === (own.addr | ~netmask(own.prefix)) >>> 0 && own.prefix < 31) return "broadcast";
      // All of the loopback's network is local.
      if (addr === own.addr || isLoopbackDevice(device)) return "local";
    }
  }
  return "unicast";
}

/** The device that a packet to `addr` leaves by: `lo` for the machine's own addresses; null when there is no route. */
export function deviceTo(k: Kernel, addr: number): NetDevice | null {
  const { devices } = k.state.net;
  if (addressType(k, addr) === "local") return devices.find(isLoopbackDevice) ?? null;
  return devices.find(({ flags, addresses }) => (flags & IFF_UP) !== 0 && addresses.some((own) => covers(own, addr))) ?? null;
}

/** The address that a packet to `addr` comes from when its socket has none. */
export function sourceAddress(k: Kernel, addr: number): number {
  return deviceTo(k, addr)?.addresses[0]?.addr ?? 0;
}
