/** Open files of /proc: reading makes the text once, writing hands the bytes to the row. */
import { EFAULT, EINVAL, EIO, ENOENT, ENOMEM, ESRCH } from "../../abi/errno.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import type { Kernel } from "../../kernel.ts";
import type { SyscallResult } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import { copyFromUser } from "../../mm/usercopy.ts";
import { fileOperations, type Addr, type OpenFile } from "../file.ts";
import { walkContext } from "../fs_struct.ts";
import { inodeOf } from "../inode.ts";
import { bytesName } from "../names.ts";
import { newSeqData, seqLseek, seqRead, type SeqData } from "../seq_file.ts";
import type { Place } from "./place.ts";
import { checkPlace, placeAt } from "./procfs.ts";

/** The place behind an open file; null once its process or entry is gone. */
function placeOf(k: Kernel, task: Task, file: OpenFile): Place | null {
  return placeAt(k, inodeOf(k, file.inode).key, walkContext(k, task));
}

/** What a process's file that is gone answers, and any other. */
function gone(k: Kernel, file: OpenFile): number {
  return isOfProcess(k, file) ? -ESRCH : -EIO;
}

function isOfProcess(k: Kernel, file: OpenFile): boolean {
  const first = inodeOf(k, file.inode).key.charCodeAt(0);
  return first >= 48 && first <= 57;
}

fileOperations("proc.text", {
  open: (k, task, file, inode) => {
    const ctx = walkContext(k, task);
    const place = placeAt(k, inode.key, ctx);
    if (place === null) return -ENOENT;
    const denied = checkPlace(k, place, ctx);
    if (denied !== 0) return denied;
    file.data = newSeqData();
    return 0;
  },
  read: (k, task, file, buf, count, at) => seqRead(k, task, file.data as SeqData, buf, count, at, () => {
    const place = placeOf(k, task, file);
    return place === null ? gone(k, file) : place.text?.() ?? -EIO;
  }),
  write: (k, task, file, buf, count) => {
    const place = placeOf(k, task, file);
    if (place === null) return gone(k, file);
    const { write } = place;
    // As Linux: files of processes have no such operation at all, the others one that refuses.
    if (write === undefined) return isOfProcess(k, file) ? -EINVAL : -EIO;
    return writeText(k, task, buf, count, (text) => write(task, text));
  },
  llseek: seqLseek,
});

/** Fetches at most a page of what was written, one character a byte, and hands it on; -EFAULT, -ENOMEM when longer. */
export function writeText(k: Kernel, task: Task, buf: Addr, count: number, use: (text: string) => SyscallResult): SyscallResult {
  if (count > PAGE_SIZE) return -ENOMEM;
  const bytes = copyFromUser(k, task, buf, count);
  return typeof bytes === "number" ? -EFAULT : use(bytesName(bytes));
}
