/** The report's and the sample's builds: what they say, what they share, and how they fall. */
import { EPERM } from "../../abi/errno.ts";
import type { OpenFile } from "../../fs/file.ts";
import type { Kernel } from "../../kernel.ts";
import { socketExists } from "../../net/ksocket.ts";
import { printk } from "../../sched/printk.ts";
import type { EnterAction } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import { bufferOf, closeBuffer, INFO, openBuffer, statics, WARNING } from "./device.ts";
import { kclose } from "./ksocket.ts";
import { nullDereference } from "./oops.ts";

/** What both builds answer for every failure: a literal -1. */
export const FAILED = -EPERM;

/** `where`: the function of ksocket that follows the pointer. */
interface Fall {
  module: string;
  caller: string;
  where: "ksend" | "krecv" | "kclose";
}

/** The socket in the module's global, or the fall of the task that uses it when there is none. */
export function clientOr(k: Kernel, task: Task, fall: Fall): number | EnterAction {
  const { client } = statics(k, fall.module);
  if (client !== 0 && socketExists(k, client)) return client;
  // struct socket: `ops` lies at 0x20; of a released one `ops` itself is NULL, and its operations lie from 0x10 on.
  const released = client !== 0;
  const operation = { kclose: 0x10, ksend: 0x80, krecv: 0x88 }[fall.where];
  const rip = { kclose: "kclose+0x9/0x30 [ksocket]", ksend: "sock_sendmsg+0x1a/0x60", krecv: "sock_recvmsg+0x1d/0x60" }[fall.where];
  const inner = fall.where === "kclose" ? [] : [`${fall.where}+0x6b/0x90 [ksocket]`];
  return nullDereference(k, task, released ? operation : 0x20, {
    module: fall.module, rip, trace: [...inner, `${fall.caller} [${fall.module}]`],
  });
}

/** EXIT: the connection in the global is closed, whoever made it; the global still points to it. */
export function closeClient(k: Kernel, task: Task, module: string, caller: string): number | EnterAction {
  const client = clientOr(k, task, { module, caller, where: "kclose" });
  if (typeof client === "object") return client;
  kclose(k, task, client);
  return 0;
}

/** open of the report's build: a page that still holds what was in it last. */
export function openUncleared(k: Kernel, file: OpenFile, module: string): number {
  const failed = openBuffer(k, file, module);
  // As in the report, where nobody looks: a buffer that could not be had is found out by mmap.
  if (failed !== 0) return 0;
  const { stale } = statics(k, module);
  if (stale !== null) bufferOf(k, file).set(stale);
  return 0;
}

export function closeUncleared(k: Kernel, file: OpenFile, module: string): number {
  closeBuffer(k, file, statics(k, module));
  return 0;
}

/** printk without a level is a warning. */
export function say(k: Kernel, text: string): void {
  printk(k, WARNING, text);
}

export function inform(k: Kernel, text: string): void {
  printk(k, INFO, text);
}
