/** What ioctl(2) tells of every socket: its owner, and the devices of the machine (net/socket.c, dev_ioctl.c, devinet.c). */
import { EADDRNOTAVAIL, EFAULT, EINVAL, ENODEV, ENOENT, ENOTTY, EOPNOTSUPP, EPERM } from "../abi/errno.ts";
import { CAP_NET_ADMIN } from "../abi/capability.ts";
import {
  SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFDSTADDR, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFMAP, SIOCGIFMETRIC, SIOCGIFMTU,
  SIOCGIFNAME, SIOCGIFNETMASK, SIOCGIFSLAVE, SIOCGIFTXQLEN, SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD, SIOCSIFADDR, SIOCSIFBRDADDR, SIOCSIFDSTADDR,
  SIOCSIFFLAGS, SIOCSIFHWADDR, SIOCSIFMAP, SIOCSIFMETRIC, SIOCSIFMTU, SIOCSIFNAME, SIOCSIFNETMASK, SIOCSIFTXQLEN,
} from "../abi/ioctl.ts";
import type { Addr } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, getU64, putU16, putU32 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser } from "../mm/usercopy.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { deviceByIndex, deviceByName, IFF_BROADCAST, netmask, type NetDevice } from "./device.ts";
import { inetSockaddr } from "./inet_addr.ts";
import type { Socket } from "./socket.ts";

/** struct ifreq: a name, and a union at byte 16. */
const IFREQ = 40;
const IFNAMSIZ = 16;
const UNION = 16;
/** struct ifconf: a length, and a pointer at byte 8. */
const IFCONF = 16;

/** Requests that set something of a device. */
const SETTING: readonly number[] = [
  SIOCSIFFLAGS, SIOCSIFMETRIC, SIOCSIFMTU, SIOCSIFHWADDR, SIOCSIFMAP, SIOCSIFTXQLEN, SIOCSIFNAME,
];
/** Requests that only sockets of IP know. */
const OF_INET: readonly number[] = [
  SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFDSTADDR, SIOCSIFADDR, SIOCSIFBRDADDR, SIOCSIFNETMASK, SIOCSIFDSTADDR,
];

/** What a protocol did not know: 0, or -ENOTTY, -EFAULT, -ENODEV, -EADDRNOTAVAIL, -EPERM … */
export function interfaceIoctl(k: Kernel, task: Task, { inet }: Socket, request: number, arg: Addr): number {
  if ((request >>> 8 & 0xff) !== 0x89) return -ENOTTY;
  if (request === SIOCGSTAMP_OLD || request === SIOCGSTAMPNS_OLD) return inet === null ? -ENOTTY : -ENOENT;
  if (request === SIOCGIFCONF) return configuration(k, task, arg);
  const ifreq = copyFromUser(k, task, arg, IFREQ);
  if (typeof ifreq === "number") return -EFAULT;
  const answer = answerInto(k, task, inet !== null, request, ifreq);
  if (answer !== 0) return answer;
  return copyToUser(k, task, arg, ifreq) < IFREQ ? -EFAULT : 0;
}

/** A device's name as the request has it, without what follows a colon. */
function nameIn(ifreq: Uint8Array): string {
  let name = "";
  for (const byte of ifreq.subarray(0, IFNAMSIZ - 1)) {
    if (byte === 0 || byte === 0x3a) break;
    name += String.fromCharCode(byte);
  }
  return name;
}

function answerInto(k: Kernel, task: Task, inet: boolean, request: number, ifreq: Uint8Array): number {
  if (request === SIOCGIFNAME) {
    const found = deviceByIndex(k, getI32(ifreq, UNION));
    if (found === null) return -ENODEV;
    writeName(ifreq, 0, found.name);
    return 0;
  }
  const ofInet = OF_INET.includes(request);
  if (ofInet && !inet) return -ENOTTY;
  const setting = SETTING.includes(request) || (ofInet && request % 2 === 0);
  if (setting && !capable(task, CAP_NET_ADMIN)) return -EPERM;
  const device = deviceByName(k, nameIn(ifreq));
  if (ofInet) return device === null ? -ENODEV : address(device, request, ifreq);
  if (setting) return device === null ? -ENODEV : change(device, request, ifreq);
  return tell(device, request, ifreq);
}

/** Differs from Linux: devices are as they are; only what changes nothing succeeds. */
function change(device: NetDevice, request: number, ifreq: Uint8Array): number {
  const same = (request === SIOCSIFFLAGS && (getI32(ifreq, UNION) & 1) === (device.flags & 1))
    || (request === SIOCSIFMTU && getI32(ifreq, UNION) === device.mtu);
  return same ? 0 : -EOPNOTSUPP;
}

function tell(device: NetDevice | null, request: number, ifreq: Uint8Array): number {
  switch (request) {
    case SIOCGIFFLAGS: case SIOCGIFMETRIC: case SIOCGIFMTU: case SIOCGIFINDEX: case SIOCGIFTXQLEN: case SIOCGIFHWADDR: case SIOCGIFMAP: case SIOCGIFSLAVE:
      break;
    default: return -ENOTTY;
  }
  if (device === null) return -ENODEV;
  switch (request) {
    case SIOCGIFFLAGS:
      putU16(ifreq, UNION, device.flags);
      return 0;
    case SIOCGIFHWADDR:
      ifreq.fill(0, UNION, UNION + 8);
      putU16(ifreq, UNION, device.type);
      return 0;
    case SIOCGIFMAP:
      ifreq.fill(0, UNION);
      return 0;
    case SIOCGIFSLAVE: return -EINVAL;
    default:
      putU32(ifreq, UNION, request === SIOCGIFMTU ? device.mtu : request === SIOCGIFINDEX ? device.index : request === SIOCGIFTXQLEN ? device.queueLength : 0);
      return 0;
  }
}

/** An address of the device, as a sockaddr. */
function address({ addresses, flags }: NetDevice, request: number, ifreq: Uint8Array): number {
  const [own] = addresses;
  // A name with a colon is an address's label, which none has here.
  const labelled = ifreq.subarray(0, IFNAMSIZ).includes(0x3a);
  if ((own === undefined || labelled) && request !== SIOCSIFADDR) return -EADDRNOTAVAIL;
  if (request % 2 === 0) return -EOPNOTSUPP;
  const told = request === SIOCGIFNETMASK ? netmask(own.prefix)
    : request === SIOCGIFBRDADDR ? ((flags & IFF_BROADCAST) !== 0 ? own.broadcast : 0) : own.addr;
  ifreq.set(inetSockaddr(told, 0), UNION);
  return 0;
}

function writeName(bytes: Uint8Array, at: number, name: string): void {
  bytes.fill(0, at, at + IFNAMSIZ);
  for (let index = 0; index < name.length; index++) bytes[at + index] = name.charCodeAt(index);
}

/** SIOCGIFCONF: a record for every address as far as there is room; without a buffer, how much they take. */
function configuration(k: Kernel, task: Task, arg: Addr): number {
  const ifconf = copyFromUser(k, task, arg, IFCONF);
  if (typeof ifconf === "number") return -EFAULT;
  const buffer = getU64(ifconf, 8);
  const room = buffer === 0 ? Infinity : getI32(ifconf, 0);
  const records: Uint8Array[] = [];
  for (const { name, addresses } of k.state.net.devices) {
    for (const { addr } of addresses) {
      if ((records.length + 1) * IFREQ > room) break;
      const record = new Uint8Array(IFREQ);
      writeName(record, 0, name);
      record.set(inetSockaddr(addr, 0), UNION);
      records.push(record);
    }
  }
  for (const [index, record] of records.entries()) {
    const to = typeof buffer === "number" ? buffer + index * IFREQ : buffer + BigInt(index * IFREQ);
    if (buffer !== 0 && copyToUser(k, task, to, record) < IFREQ) return -EFAULT;
  }
  putU32(ifconf, 0, records.length * IFREQ);
  return copyToUser(k, task, arg, ifconf) < IFCONF ? -EFAULT : 0;
}
