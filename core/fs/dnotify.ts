/** Directory notification (fcntl(2), F_NOTIFY): a signal when something happens to what is in a directory. */
import { ENOTDIR } from "../abi/errno.ts";
import { DN_ACCESS, DN_ATTRIB, DN_CREATE, DN_DELETE, DN_MODIFY, DN_MULTISHOT, DN_RENAME } from "../abi/fcntl.ts";
import { IN_ACCESS, IN_ATTRIB, IN_CREATE, IN_DELETE, IN_ISDIR, IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO } from "../abi/inotify.ts";
import { POLL_MSG, SIGIO } from "../abi/signal.ts";
import { isDirectory } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { killFasync } from "./fasync.ts";
import type { OpenFile } from "./file.ts";
import { releaseWatchers } from "./file_operations.ts";
import { inodeOf, type Inode } from "./inode.ts";
import { ownedBy } from "./leases.ts";

export interface DirNotify {
  /** The directory's open file, and the descriptor table through which it was asked. */
  file: number;
  files: number;
  /** DN_ bits. */
  mask: number;
}

/** What counts as each of the DN_ bits. */
const EVENTS: readonly [number, number][] = [
  [DN_ACCESS, IN_ACCESS], [DN_MODIFY, IN_MODIFY], [DN_CREATE, IN_CREATE | IN_MOVED_TO], [DN_DELETE, IN_DELETE | IN_MOVED_FROM],
  [DN_RENAME, IN_MOVED_FROM], [DN_ATTRIB, IN_ATTRIB],
];

/** Watches of a kernel; Linux has no such limit but memory. */
const WATCH_MAX = 8_192;

function keep(k: Kernel, inode: number, watches: DirNotify[]): void {
  if (watches.length === 0) k.state.fs.dnotify.delete(inode);
  else k.state.fs.dnotify.set(inode, watches);
}

/** F_NOTIFY: 0, or -ENOTDIR. More bits join those of before; without any the watch goes. */
export function dirNotify(k: Kernel, task: Task, file: OpenFile, mask: number): number {
  const watches = k.state.fs.dnotify.get(file.inode) ?? [];
  const isOwn = (watch: DirNotify): boolean => watch.file === file.id && watch.files === task.files;
  if ((mask & ~DN_MULTISHOT) === 0) {
    keep(k, file.inode, watches.filter((watch) => !isOwn(watch)));
    return 0;
  }
  if (!isDirectory(inodeOf(k, file.inode).mode)) return -ENOTDIR;
  ownedBy(task, file);
  const own = watches.find(isOwn);
  if (own !== undefined) own.mask |= mask;
  else if (k.state.fs.dnotify.size < WATCH_MAX) keep(k, file.inode, [...watches, { file: file.id, files: task.files, mask }]);
  return 0;
}

/** Something (IN_ bits) happened in the directory `inode`, or to it. A watch that is not DN_MULTISHOT hears of one thing. */
export function tellDirectory(k: Kernel, inode: Inode, mask: number, name: string): void {
  const watches = k.state.fs.dnotify.get(inode.id);
  if (watches === undefined || (name === "" && (mask & IN_ISDIR) === 0)) return;
  let bits = 0;
  for (const [bit, events] of EVENTS) if ((mask & events) !== 0) bits |= bit;
  const heard = watches.filter((watch) => (watch.mask & bits) !== 0);
  if (heard.length === 0) return;
  keep(k, inode.id, watches.filter((watch) => !heard.includes(watch) || (watch.mask & DN_MULTISHOT) !== 0));
  for (const { file } of heard) killFasync(k, [file], SIGIO, POLL_MSG);
}

/** A descriptor of the directory is closed: the watches asked for through its table go. */
export function closedDirectory(k: Kernel, task: Task, file: OpenFile): void {
  const watches = k.state.fs.dnotify.get(file.inode);
  if (watches !== undefined) keep(k, file.inode, watches.filter((watch) => watch.file !== file.id || watch.files !== task.files));
}

releaseWatchers.push((k, _task, file) => {
  const watches = k.state.fs.dnotify.get(file.inode);
  if (watches !== undefined) keep(k, file.inode, watches.filter((watch) => watch.file !== file.id));
});
