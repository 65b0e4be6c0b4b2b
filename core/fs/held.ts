/** Keeping an open file while a call on it sleeps, for calls that take the descriptor's number (fdget, fdput). */
import { ENOIOCTLCMD, ENOTTY } from "../abi/errno.ts";
import type { Kernel } from "../kernel.ts";
import { enter, enterKept, NEXT, steps, type EnterAction, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fileOf, fput, getFile, opsOf, type Addr, type OpenFile } from "./file.ts";

/** Holds the file until the steps that `action` enters have ended. */
export function holding(k: Kernel, file: OpenFile, action: EnterAction): EnterAction {
  getFile(k, file);
  return enter(held, { file: file.id, code: action.code, inner: action.locals });
}

const held = steps<{ file: number; code: string; inner: unknown }>("fs.held", {
  inner: (_k, _task, { locals }) => enterKept(locals),
  put(k, _task, { locals, ret }) {
    fput(k, fileOf(k, locals.file));
    return ret;
  },
});

interface IoctlLocals {
  file: number;
  request: number;
  arg: Addr;
  /** Steps that the file entered, "" when it slept. */
  code: string;
  inner: unknown;
}

/** The file's own ioctl, with the file held while it sleeps: -ENOTTY when it has none or does not know the request. */
export function fileIoctl(k: Kernel, task: Task, file: OpenFile, request: number, arg: Addr): SyscallResult {
  const result = opsOf(k, file).ioctl?.(k, task, file, request, arg) ?? -ENOTTY;
  if (typeof result !== "object") return result === -ENOIOCTLCMD ? -ENOTTY : result;
  getFile(k, file);
  const inner = result.act === "enter" ? { code: result.code, inner: result.locals } : { code: "", inner: null };
  return enter(ioctlSleeping, { file: file.id, request, arg, ...inner });
}

const ioctlSleeping = steps<IoctlLocals>("fs.ioctl", {
  call(k, task, frame) {
    const { locals } = frame;
    if (locals.code !== "") return enterKept(locals);
    const file = fileOf(k, locals.file);
    const result = opsOf(k, file).ioctl?.(k, task, file, locals.request, locals.arg) ?? -ENOTTY;
    if (typeof result === "object") return result;
    frame.ret = result;
    return NEXT;
  },
  put(k, _task, { locals, ret }) {
    fput(k, fileOf(k, locals.file));
    return ret === -ENOIOCTLCMD ? -ENOTTY : ret;
  },
}, { undo: { call: (k, _task, { locals }) => fput(k, fileOf(k, locals.file)) } });
