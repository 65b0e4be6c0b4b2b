/** What the tools of kmod 30 print: insmod, rmmod, lsmod, modprobe, modinfo. Pure texts; the programs and the service share them. */
import { EINVAL, ENOENT, ENOEXEC, ESRCH, errnoMessage } from "../abi/errno.ts";
import { MODULES_DIRECTORY } from "../abi/release.ts";
import type { Kernel } from "../kernel.ts";
import { kernfsOrder } from "../fs/sysfs/order.ts";
import { coreSize } from "./query.ts";

/** kmod's words for what init_module(2) answers; `errno` is positive. */
export function moduleErrorMessage(errno: number): string {
  switch (errno) {
    case ENOEXEC: return "Invalid module format";
    case ENOENT: return "Unknown symbol in module";
    case ESRCH: return "Module has wrong symbol version";
    case EINVAL: return "Invalid parameters";
    default: return errnoMessage(errno);
  }
}

/** insmod: the kernel refused the module with a positive `errno`. Exit status 1. */
export function insmodFailed(file: string, errno: number): string {
  return `insmod: ERROR: could not insert module ${file}: ${moduleErrorMessage(errno)}`;
}

/** insmod: the file could not be found or opened. Exit status 1. */
export function insmodNoFile(file: string, errno: number): string {
  return `insmod: ERROR: could not load module ${file}: ${errnoMessage(errno)}`;
}

/** insmod: the file is something that cannot be read as a module, such as a directory. Exit status 1. */
export function insmodUnreadable(file: string, errno: number): string {
  return `insmod: ERROR: could not insert module ${file}: ${errnoMessage(errno)}`;
}

export const INSMOD_NO_NAME = "insmod: ERROR: missing filename.";
export const RMMOD_NO_NAME = "rmmod: ERROR: missing module name.";

/** The module that a tool means by `kecho.ko`, `drop-tcp-socket` or `./kxo.ko`: the last path part up to its dot, with underscores. */
export function moduleNameOf(text: string): string {
  const base = text.slice(text.lastIndexOf("/") + 1);
  const dot = base.indexOf(".");
  return (dot < 0 ? base : base.slice(0, dot)).replaceAll("-", "_");
}

/** As rmmod names what it was given: a path keeps its slashes, a dot ends the name. */
function rmmodName(text: string): string {
  const dot = text.indexOf(".");
  return (dot < 0 ? text : text.slice(0, dot)).replaceAll("-", "_");
}

/**
 * What rmmod finds out before it asks the kernel: the module's name to remove, or the line that it prints with exit status 1.
 * With `force` it asks the kernel whatever the users are.
 */
export function rmmodCheck(k: Kernel, argument: string, force = false): { name: string } | { error: string } {
  const name = rmmodName(argument);
  const module = k.state.modules.loaded.get(name);
  if (module === undefined) return { error: `rmmod: ERROR: Module ${name} is not currently loaded` };
  if (force) return { name };
  if (module.holders.length > 0) return { error: `rmmod: ERROR: Module ${name} is in use by: ${kernfsOrder(module.holders).join(" ")}` };
  if (module.refcount > 0) return { error: `rmmod: ERROR: Module ${name} is in use` };
  return { name };
}

/** rmmod: the kernel refused with a positive `errno`. Two lines, as kmod's library reports first. Exit status 1. */
export function rmmodFailed(name: string, errno: number): string {
  const why = errnoMessage(errno);
  return `rmmod: ERROR: ../libkmod/libkmod-module.c:856 kmod_module_remove_module() could not remove '${name}': ${why}\n`
    + `rmmod: ERROR: could not remove module ${name}: ${why}`;
}

/** lsmod: the newest module first, as /proc/modules has them; holders in the order of their sysfs directory. */
export function lsmodText(k: Kernel): string {
  let text = "Module                  Size  Used by\n";
  for (const module of [...k.state.modules.loaded.values()].reverse()) {
    const holders = module.holders.length > 0 ? ` ${kernfsOrder(module.holders).join(",")}` : "";
    text += `${module.name.padEnd(19)} ${String(coreSize(module)).padStart(8)}  ${module.refcount}${holders}\n`;
  }
  return text;
}

export function modinfoNotFound(file: string): string {
  return `modinfo: ERROR: Module ${file} not found.`;
}

/** modinfo of a file that is no module: printed before the filename line. Exit status 1. */
export function modinfoUnreadable(file: string): string {
  return `modinfo: ERROR: could not get modinfo from '${moduleNameOf(file)}': ${errnoMessage(ENOEXEC)}`;
}

export function modprobeNotFound(name: string): string {
  return `modprobe: FATAL: Module ${name} not found in directory ${MODULES_DIRECTORY}`;
}

/** modprobe: the kernel refused. */
export function modprobeFailed(name: string, errno: number): string {
  return `modprobe: ERROR: could not insert '${name}': ${moduleErrorMessage(errno)}`;
}

/** modprobe --first-time of a loaded module. */
export function modprobeAlready(name: string): string {
  return `modprobe: ERROR: could not insert '${name}': Module already in kernel`;
}
