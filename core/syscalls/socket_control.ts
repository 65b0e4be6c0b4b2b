/** Ancillary data in user memory: SCM_RIGHTS and SCM_CREDENTIALS, read for a send and written for a receive (scm.c). */
import { EBADF, EINVAL, ENOBUFS, EPERM, ESRCH, ETOOMANYREFS } from "../abi/errno.ts";
import { CAP_NET_ADMIN, CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from "../abi/capability.ts";
import { decodeStruct, encodeStruct } from "../abi/layout.ts";
import { RLIMIT_NOFILE } from "../abi/limits.ts";
import {
  AF_UNIX, cmsghdrLayout, CMSG_ALIGN, CMSG_LEN, CMSG_SPACE, IP_PKTINFO, IP_TOS, IP_TTL, MSG_CTRUNC, SCM_CREDENTIALS, SCM_MAX_FD, SCM_RIGHTS, SO_MARK,
  SO_TIMESTAMPING_NEW, SO_TIMESTAMPING_OLD, SOL_IP, SOL_SOCKET, SOL_UDP, ucredLayout,
} from "../abi/socket.ts";
import { fgetRaw, fdInstall } from "../fs/fd_table.ts";
import { fileOf, getFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { getI32, putU32 } from "../lib/bytes.ts";
import { copyFromUser, copyToUser, type Addr } from "../mm/usercopy.ts";
import { newControl, type Control, type IpControl, type Message } from "../net/message.ts";
import { putFiles } from "../net/scm.ts";
import type { Socket, UnixCred } from "../net/socket.ts";
import { findTask } from "../process/pid.ts";
import { capable } from "../sched/cred.ts";
import { rlimit } from "../sched/rlimit.ts";
import type { Task } from "../sched/task.ts";

const HEADER = cmsghdrLayout.size;
/** -1: no id. */
const NOBODY = 0xffff_ffff;
const OVERFLOW_ID = 65_534;
/** SOF_TIMESTAMPING_ bits that a single message may set. */
const TX_RECORD = 0x303;
const UDP_SEGMENT = 103;
/** net.core.optmem_max */
const OPTMEM_MAX = 20_480;

/**
 * What a message carries beside its bytes, files held: -ENOBUFS when it is too long, -EFAULT, -EINVAL when malformed,
 * -EBADF, -EPERM for credentials of others, -ESRCH for those of nobody, -ETOOMANYREFS.
 */
export function readControl(k: Kernel, task: Task, socket: Socket, at: Addr, length: number): Control | number {
  if (length > OPTMEM_MAX) return -ENOBUFS;
  const bytes = copyFromUser(k, task, at, length);
  if (typeof bytes === "number") return bytes;
  const control = newControl();
  const failure = socket.family === AF_UNIX ? parse(k, task, bytes, control) : parseInet(task, socket, bytes, control);
  if (failure === 0) return control;
  putFiles(k, control.files);
  return failure;
}

function parse(k: Kernel, task: Task, bytes: Uint8Array, control: Control): number {
  for (let at = 0; at + HEADER <= bytes.length;) {
    const { cmsg_len, cmsg_level: level, cmsg_type: type } = decodeStruct(cmsghdrLayout, bytes, at);
    const length = Number(cmsg_len);
    if (length < HEADER || length > bytes.length - at) return -EINVAL;
    if (level === SOL_SOCKET) {
      const data = bytes.subarray(at + HEADER, at + length);
      const failure = type === SCM_RIGHTS ? takeFiles(k, task, data, control)
        : type === SCM_CREDENTIALS ? takeCred(k, task, data, control) : -EINVAL;
      if (failure !== 0) return failure;
    }
    at += CMSG_ALIGN(length);
  }
  return 0;
}

/** What lies beside a datagram of IP, or the bytes of a connection, which only know the messages of every socket (ip_cmsg_send, sock_cmsg_send). */
function parseInet(task: Task, { udp }: Socket, bytes: Uint8Array, control: Control): number {
  const ip: IpControl = { ttl: -1, tos: -1, source: 0, device: 0 };
  for (let at = 0; at + HEADER <= bytes.length;) {
    const { cmsg_len, cmsg_level: level, cmsg_type: type } = decodeStruct(cmsghdrLayout, bytes, at);
    const length = Number(cmsg_len);
    if (length < HEADER || length > bytes.length - at) return -EINVAL;
    const data = bytes.subarray(at + HEADER, at + length);
    const failure = level === SOL_SOCKET ? takeSocketMessage(task, type, data)
      : udp === null ? 0 : level === SOL_IP ? takeIpMessage(type, data, ip) : level === SOL_UDP ? takeUdpMessage(type, data) : 0;
    if (failure !== 0) return udp === null ? -EINVAL : failure;
    at += CMSG_ALIGN(length);
  }
  control.ip = ip;
  return 0;
}

/** __sock_cmsg_send: what is told here changes nothing on a loopback. */
function takeSocketMessage(task: Task, type: number, data: Uint8Array): number {
  if (type === SCM_RIGHTS || type === SCM_CREDENTIALS) return 0;
  if (type === SO_MARK) {
    if (!capable(task, CAP_NET_RAW) && !capable(task, CAP_NET_ADMIN)) return -EPERM;
    return data.length === 4 ? 0 : -EINVAL;
  }
  const stamping = type === SO_TIMESTAMPING_OLD || type === SO_TIMESTAMPING_NEW;
  return stamping && data.length === 4 && (getI32(data, 0) & ~TX_RECORD) === 0 ? 0 : -EINVAL;
}

function takeIpMessage(type: number, data: Uint8Array, ip: IpControl): number {
  switch (type) {
    case IP_PKTINFO:
      if (data.length !== 12) return -EINVAL;
      ip.device = getI32(data, 0);
      ip.source = ((data[4] << 24) | (data[5] << 16) | (data[6] << 8) | data[7]) >>> 0;
      return 0;
    case IP_TTL: {
      const ttl = data.length === 4 ? getI32(data, 0) : 0;
      if (ttl < 1 || ttl > 255) return -EINVAL;
      ip.ttl = ttl;
      return 0;
    }
    case IP_TOS: {
      const tos = data.length === 4 ? getI32(data, 0) : data.length === 1 ? data[0] : -1;
      if (tos < 0 || tos > 255) return -EINVAL;
      ip.tos = tos;
      return 0;
    }
    default: return -EINVAL;
  }
}

/** UDP_SEGMENT is taken; a datagram stays one. */
function takeUdpMessage(type: number, data: Uint8Array): number {
  return type === UDP_SEGMENT && data.length === 2 ? 0 : -EINVAL;
}

function takeFiles(k: Kernel, task: Task, data: Uint8Array, control: Control): number {
  const count = Math.floor(data.length / 4);
  if (count > SCM_MAX_FD || control.files.length + count > SCM_MAX_FD) return -EINVAL;
  const inFlight = k.state.net.inFlight.get(task.cred.uid) ?? 0;
  if (inFlight > rlimit(k, task, RLIMIT_NOFILE) && !capable(task, CAP_SYS_RESOURCE) && !capable(task, CAP_SYS_ADMIN)) return -ETOOMANYREFS;
  for (let index = 0; index < count; index++) {
    const file = fgetRaw(k, task, getI32(data, index * 4));
    if (typeof file === "number") return -EBADF;
    getFile(k, file);
    control.files.push(file.id);
  }
  return 0;
}

/** Only one's own ids may be claimed without privilege (scm_check_creds). */
function takeCred(k: Kernel, task: Task, data: Uint8Array, control: Control): number {
  if (data.length !== ucredLayout.size) return -EINVAL;
  const cred: UnixCred = decodeStruct(ucredLayout, data);
  if (cred.uid === NOBODY || cred.gid === NOBODY) return -EINVAL;
  const { uid, euid, suid, gid, egid, sgid } = task.cred;
  if (cred.pid !== task.tgid && !capable(task, CAP_SYS_ADMIN)) return -EPERM;
  if (![uid, euid, suid].includes(cred.uid) && !capable(task, CAP_SETUID)) return -EPERM;
  if (![gid, egid, sgid].includes(cred.gid) && !capable(task, CAP_SETGID)) return -EPERM;
  if (cred.pid !== task.tgid && findTask(k, task, cred.pid || -1) === null) return -ESRCH;
  control.cred = cred;
  return 0;
}

/** Writes what came beside a message into its control buffer; answers the bytes used. What has no room sets MSG_CTRUNC. */
export function writeControl(k: Kernel, task: Task, msg: Message, at: Addr, room: number, cloexec: boolean): number {
  const { control } = msg;
  if (control === null) return 0;
  const buffer: Room = { at, left: room, used: 0 };
  if (control.cred !== null) {
    const { pid, uid, gid } = control.cred;
    putCmsg(k, task, msg, buffer, SOL_SOCKET, SCM_CREDENTIALS, encodeStruct(ucredLayout, { pid, uid: told(uid), gid: told(gid) }));
  }
  for (const { level, type, data } of control.others) putCmsg(k, task, msg, buffer, level, type, data);
  const files = control.files.splice(0);
  if (files.length > 0) putRights(k, task, msg, buffer, files, cloexec);
  return buffer.used;
}

/** An id as a program sees it: one that stands for nobody is overflowuid. */
function told(id: number): number {
  return id === NOBODY ? OVERFLOW_ID : id;
}

interface Room {
  at: Addr;
  left: number;
  used: number;
}

function putCmsg(k: Kernel, task: Task, msg: Message, room: Room, level: number, type: number, data: Uint8Array): void {
  if (room.left < HEADER) {
    msg.outFlags |= MSG_CTRUNC;
    return;
  }
  let length = CMSG_LEN(data.length);
  if (room.left < length) {
    msg.outFlags |= MSG_CTRUNC;
    length = room.left;
  }
  const bytes = new Uint8Array(length);
  bytes.set(encodeStruct(cmsghdrLayout, { cmsg_len: length, cmsg_level: level, cmsg_type: type }));
  bytes.set(data.subarray(0, length - HEADER), HEADER);
  if (copyToUser(k, task, room.at, bytes) < length) return;
  const space = Math.min(CMSG_SPACE(data.length), room.left);
  room.at = typeof room.at === "number" ? room.at + space : room.at + BigInt(space);
  room.left -= space;
  room.used += space;
}

/** Installs as many descriptors as there is room for; the rest are closed. */
function putRights(k: Kernel, task: Task, msg: Message, room: Room, files: number[], cloexec: boolean): void {
  const most = room.left < HEADER ? 0 : Math.floor((room.left - HEADER) / 4);
  const fds: number[] = [];
  let failed = false;
  for (const id of files) {
    const fd = failed || fds.length >= most ? -1 : fdInstall(k, task, fileOf(k, id), { cloexec });
    if (fd >= 0) fds.push(fd);
    else {
      failed = true;
      putFiles(k, [id]);
    }
  }
  if (fds.length < files.length) msg.outFlags |= MSG_CTRUNC;
  if (fds.length === 0) return;
  const data = new Uint8Array(fds.length * 4);
  fds.forEach((fd, index) => putU32(data, index * 4, fd));
  putCmsg(k, task, msg, room, SOL_SOCKET, SCM_RIGHTS, data);
}
