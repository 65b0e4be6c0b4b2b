/**
 * What the kernel tells of objects that come and go, as udev would hear it (lib/kobject_uevent.c). There is no netlink here:
 * the last ones stand in /sys/kernel/debug/uevents, in the form of `udevadm monitor`.
 */
import { EINVAL } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { now } from "../time/clock.ts";
import { fileOperations } from "./file.ts";
import { debugfsOperations } from "./debugfs/debugfs.ts";
import { simpleReadFromBuffer } from "./libfs.ts";
import { seqBytes } from "./seq_file.ts";

const KEPT = 64;
const ACTIONS = ["add", "remove", "change", "move", "online", "offline", "bind", "unbind"];

/** Tells of an object (kobject_uevent_env). */
export function kobjectUevent(k: Kernel, action: string, path: string, subsystem: string, env: readonly string[] = []): void {
  const { uevents } = k.state.drivers;
  uevents.recent.push({ sequence: ++uevents.sequence, ns: now(k), action, path, subsystem, env: [...env] });
  if (uevents.recent.length > KEPT) uevents.recent.shift();
}

/** What was written to a `uevent` file: an action, with arguments of the form KEY=value behind a UUID. 0 or -EINVAL. */
export function kobjectSynthUevent(k: Kernel, text: string, path: string, subsystem: string, env: readonly string[]): number {
  const [action, uuid, ...args] = text.replace(/\n$/, "").split(" ");
  if (!ACTIONS.includes(action)) return -EINVAL;
  if (uuid !== undefined && !/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(uuid)) return -EINVAL;
  if (!args.every((arg) => /^[A-Za-z0-9]+=[A-Za-z0-9]*$/.test(arg))) return -EINVAL;
  kobjectUevent(k, action, path, subsystem, [...env, `SYNTH_UUID=${uuid ?? "0"}`, ...args.map((arg) => `SYNTH_ARG_${arg}`)]);
  return 0;
}

function monitorText(k: Kernel): string {
  return k.state.drivers.uevents.recent.map(({ sequence, ns, action, path, subsystem, env }) => {
    const seconds = `${Math.floor(ns / 1e9)}.${String(Math.floor(ns / 1000) % 1e6).padStart(6, "0")}`;
    const lines = [`ACTION=${action}`, `DEVPATH=${path}`, `SUBSYSTEM=${subsystem}`, ...env, `SEQNUM=${sequence}`];
    return `KERNEL[${seconds}] ${action.padEnd(8)} ${path} (${subsystem})\n${lines.map((line) => `${line}\n`).join("")}\n`;
  }).join("");
}

fileOperations("debugfs.uevents", {
  read: (k, task, _file, buf, count, at) => simpleReadFromBuffer(k, task, buf, count, at, seqBytes(monitorText(k))),
  view: monitorText,
});
debugfsOperations("debugfs.uevents");
