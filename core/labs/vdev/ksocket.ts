/**
 * ksocket: BSD-style socket calls for modules, over the kernel's own. Its seventeen symbols are functions of this file, or
 * one line of another (ksetsockopt, kgetsockopt …) that the devices do not call.
 */
import { AF_INET, INADDR_ANY, SOCK_STREAM } from "../../abi/socket.ts";
import { O_NONBLOCK } from "../../abi/fcntl.ts";
import { parseIpv4, formatIpv4 } from "../../abi/sockaddr.ts";
import type { Kernel } from "../../kernel.ts";
import { moduleDefinition } from "../../module/definition.ts";
import {
  kernelAccept, kernelBind, kernelConnect, kernelGetpeername, kernelListen, sockCreateKern, socketExists, sockRelease,
  type Endpoint,
} from "../../net/ksocket.ts";
import { socketPointer } from "../../net/proc.ts";
import { printk } from "../../sched/printk.ts";
import { enter, type EnterAction } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import { ksocketDefects } from "./defects.ts";

const WARNING = 4;
const INFO = 6;

/** SOMAXCONN of the headers that the report's build saw. */
const KLISTEN_MAX = 4096;

/** The report's and the sample's ksocket talk of every call. */
function chatters(k: Kernel): boolean {
  return k.state.modules.loaded.get("ksocket")?.variant !== "corrected";
}

/** `0x00000000050dd4ef`, as `0x%p` prints a socket. */
export function pointerText(k: Kernel, socket: number): string {
  return `0x${socket === 0 ? "0".repeat(16) : socketPointer(k, socket)}`;
}

/** A TCP socket: its id, or an errno, which the report's callers see as NULL. */
export function ksocket(k: Kernel, task: Task): number {
  const made = sockCreateKern(k, task, AF_INET, SOCK_STREAM, 0);
  if (chatters(k)) printk(k, made < 0 ? INFO : WARNING, made < 0 ? "sock_create failed" : `sock_create sk= ${pointerText(k, made)}`);
  return made;
}

/** Binds to every address of the machine. */
export function kbind(k: Kernel, task: Task, socket: number, port: number): number {
  const ret = kernelBind(k, task, socket, { addr: INADDR_ANY, port });
  if (chatters(k)) printk(k, WARNING, `kbind ret = ${ret}`);
  return ret;
}

export function klisten(k: Kernel, task: Task, socket: number, backlog: number): number {
  return kernelListen(k, task, socket, backlog >>> 0 > KLISTEN_MAX ? KLISTEN_MAX : backlog);
}

/** Entered; answers the accepted socket's id, or an errno. */
export function kaccept(k: Kernel, socket: number, fileFlags: number): EnterAction {
  if (chatters(k)) printk(k, WARNING, "family = 2, type = 1, protocol = 6");
  return enter(kernelAccept, { socket, flags: fileFlags & O_NONBLOCK });
}

/** Entered; answers 0 or an errno. */
export function kconnect(socket: number, to: Endpoint, fileFlags: number): EnterAction {
  return enter(kernelConnect, { socket, to, flags: fileFlags & O_NONBLOCK });
}

/** Closes the connection; one that is gone already is left alone. */
export function kclose(k: Kernel, task: Task | null, socket: number): void {
  if (socketExists(k, socket)) sockRelease(k, task, socket);
}

/** `127.0.0.1:40000` of the other end, with `between` the two. */
export function peerText(k: Kernel, socket: number, between: string): string {
  const peer = kernelGetpeername(k, socket);
  return typeof peer === "number" ? `0.0.0.0${between}0` : `${inetNtoa(peer.addr)}${between}${peer.port}`;
}

/** The address of text, host order; null when it is none. */
export function inetAddr(text: string): number | null {
  return parseIpv4(text) ?? null;
}

export function inetNtoa(addr: number): string {
  return formatIpv4(addr);
}

const DESCRIPTION = "BSD-style socket APIs for kernel 2.6 developers";
const AUTHOR = "msn : song.xian-guang@hotmail.com\nblog: http://sxg.cublog.cn";

const build = (level: number) => ({
  init: (k: Kernel): number => {
    printk(k, level, `ksocket version 0.0.2\n${DESCRIPTION}\n${AUTHOR}`);
    return 0;
  },
  exit: (k: Kernel): number => {
    printk(k, level, "ksocket exit");
    return 0;
  },
});

moduleDefinition({
  name: "ksocket",
  license: "Dual BSD/GPL",
  description: `ksocket-0.0.2\n${DESCRIPTION}`,
  author: [AUTHOR],
  infoOrder: ["license", "description", "author"],
  depends: [],
  srcversion: "",
  size: 16384,
  initSize: 4096,
  params: [],
  exports: [
    "ksocket", "kbind", "klisten", "kconnect", "kaccept", "krecv", "ksend", "kshutdown", "kclose", "krecvfrom", "ksendto", "kgetsockname",
    "kgetpeername", "ksetsockopt", "kgetsockopt", "inet_addr", "inet_ntoa",
  ].map((name) => ({ name })),
  imports: [],
  variants: {
    corrected: { defects: [], ...build(INFO) },
    seed: { defects: ksocketDefects, ...build(WARNING) },
    upstream: { defects: ksocketDefects, ...build(WARNING) },
  },
});
