/** What a UDP socket asks to be told beside a datagram, and the errors that came back for its own (ip_sockglue.c, datagram.c). */
import { SOCKADDR_IN_SIZE } from "../abi/sockaddr.ts";
import {
  IP_ORIGDSTADDR, IP_PKTINFO, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TTL, MSG_ERRQUEUE, MSG_TRUNC, SO_RXQ_OVFL, SOL_IP,
  SOL_SOCKET,
} from "../abi/socket.ts";
import { EAGAIN, ECONNREFUSED, EFAULT } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { putU16, putU32 } from "../lib/bytes.ts";
import type { Task } from "../sched/task.ts";
import { deviceTo } from "./device.ts";
import { inetSockaddr, type Endpoint } from "./inet_addr.ts";
import { newControl, put, room, type ControlMessage, type Message } from "./message.ts";
import { udpTruesize } from "./skbuff.ts";
import { stateChange, storedOption, udpOf, type Socket, type UdpDatagram } from "./socket.ts";
import { timestamp } from "./timestamp.ts";

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, value);
  return bytes;
}

/** The messages that the socket's options ask for, in Linux's order (sock_recv_cmsgs, ip_cmsg_recv_offset). */
export function datagramControl(k: Kernel, socket: Socket, datagram: UdpDatagram): ControlMessage[] {
  const list = timestamp(k, socket, datagram.arrivedNs);
  const asked = (option: number): boolean => storedOption(socket, SOL_IP, option) !== 0;
  if (datagram.drops > 0) list.push({ level: SOL_SOCKET, type: SO_RXQ_OVFL, data: int(datagram.drops) });
  if (asked(IP_PKTINFO)) list.push({ level: SOL_IP, type: IP_PKTINFO, data: pktinfo(k, datagram) });
  if (asked(IP_RECVTTL)) list.push({ level: SOL_IP, type: IP_TTL, data: int(datagram.ttl) });
  if (asked(IP_RECVTOS)) list.push({ level: SOL_IP, type: IP_TOS, data: Uint8Array.of(datagram.tos) });
  if (asked(IP_ORIGDSTADDR)) list.push({ level: SOL_IP, type: IP_ORIGDSTADDR, data: inetSockaddr(datagram.to, datagram.toPort) });
  return list;
}

/** struct in_pktinfo; as Linux, device and own address are known only when they were asked for before the datagram came. */
function pktinfo(k: Kernel, { to, pktinfo: known }: UdpDatagram): Uint8Array {
  const bytes = new Uint8Array(12);
  if (known) {
    putU32(bytes, 0, deviceTo(k, to)?.index ?? 0);
    bytes.set(address(to), 4);
  }
  bytes.set(address(to), 8);
  return bytes;
}

/** Network order. */
function address(addr: number): Uint8Array {
  return Uint8Array.of(addr >>> 24, addr >>> 16, addr >>> 8, addr);
}

/** ICMP says that nobody listens at `to`: the sender's next call fails; with IP_RECVERR the datagram lies in its error queue. */
export function portUnreachable(k: Kernel, socket: Socket, to: Endpoint, bytes: Uint8Array): void {
  const udp = udpOf(socket);
  if (storedOption(socket, SOL_IP, IP_RECVERR) !== 0) {
    const truesize = udpTruesize(bytes.length);
    if (udp.allocated + truesize <= socket.options.rcvbuf) {
      udp.errors.push({ bytes: bytes.slice(0, ICMP_PAYLOAD), addr: to.addr, port: to.port, truesize });
      udp.allocated += truesize;
      k.state.net.memory += truesize;
    }
  }
  socket.err = ECONNREFUSED;
  stateChange(k, socket);
}

/** An ICMP error carries 576 bytes at most, headers of its own, IP's and UDP's among them. */
const ICMP_PAYLOAD = 576 - 20 - 8 - 20 - 8;
const SO_EE_ORIGIN_ICMP = 2;
const ICMP_DEST_UNREACH = 3;
const ICMP_PORT_UNREACH = 3;

/** recvmsg with MSG_ERRQUEUE: the datagram that failed, to whom it went, and why; -EAGAIN when there is none (ip_recv_error). */
export function receiveError(k: Kernel, task: Task, socket: Socket, msg: Message): number {
  const udp = udpOf(socket);
  const error = udp.errors.shift();
  if (error === undefined) return -EAGAIN;
  udp.allocated -= error.truesize;
  k.state.net.memory -= error.truesize;
  socket.err = udp.errors.length > 0 ? ECONNREFUSED : 0;
  const count = Math.min(error.bytes.length, room(msg));
  if (count < error.bytes.length) msg.outFlags |= MSG_TRUNC;
  if (put(k, task, msg, error.bytes.subarray(0, count)) < count) return -EFAULT;
  msg.name = inetSockaddr(error.addr, error.port);
  const data = new Uint8Array(16 + SOCKADDR_IN_SIZE);
  putU32(data, 0, ECONNREFUSED);
  data.set([SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH], 4);
  putU16(data, 16, 2);
  data.set(address(error.addr), 20);
  msg.control = newControl();
  msg.control.others.push({ level: SOL_IP, type: IP_RECVERR, data });
  msg.outFlags |= MSG_ERRQUEUE;
  return count;
}

/** Forgets the errors (IP_RECVERR set to 0, or the socket's end). */
export function purgeErrors(k: Kernel, socket: Socket): void {
  const udp = udpOf(socket);
  for (const { truesize } of udp.errors.splice(0)) {
    udp.allocated -= truesize;
    k.state.net.memory -= truesize;
  }
}
