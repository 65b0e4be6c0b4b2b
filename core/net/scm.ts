/** What travels beside the bytes of a unix socket: descriptors and credentials (scm.c). */
import type { Kernel } from "../kernel.ts";
import { fput } from "../fs/file.ts";
import type { Task } from "../sched/task.ts";
import type { Message } from "./message.ts";
import type { UnixCred, UnixMessage } from "./socket.ts";

/** The caller's identity as the kernel vouches for it. */
export function credOf({ tgid, cred }: Task): UnixCred {
  return { pid: tgid, uid: cred.uid, gid: cred.gid };
}

/** Nobody's identity: an unconnected socket's SO_PEERCRED. */
export function noCred(): UnixCred {
  return { pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff };
}

/** Counts `count` descriptors under way for a uid; negative when they arrive or are dropped. */
export function countInFlight(k: Kernel, uid: number, count: number): void {
  const { inFlight } = k.state.net;
  const sum = (inFlight.get(uid) ?? 0) + count;
  if (sum === 0) inFlight.delete(uid);
  else inFlight.set(uid, sum);
}

/** The descriptors of a message leave it: the caller holds them now. */
export function detachFiles(k: Kernel, message: UnixMessage): number[] {
  const { files } = message;
  if (files.length > 0) countInFlight(k, message.filesUid, -files.length);
  message.files = [];
  return files;
}

/** Descriptors that nobody received are closed. */
export function putFiles(k: Kernel, files: readonly number[]): void {
  for (const id of files) fput(k, k.tables.hooks.file(k, id));
}

/** Descriptors that came beside bytes which were only read are closed. */
export function dropControl(k: Kernel, { control }: Message): void {
  if (control !== null && control.files.length > 0) putFiles(k, control.files.splice(0));
}
