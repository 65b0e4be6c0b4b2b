/** inotify(7): watches on inodes, and the events that wait to be read. */
import { EAGAIN, EEXIST, EFAULT, EINVAL, ENOSPC, ENOTTY } from "../abi/errno.ts";
import { POLLIN, POLLRDNORM } from "../abi/epoll.ts";
import { O_NONBLOCK, O_PATH, O_RDONLY } from "../abi/fcntl.ts";
import {
  IN_ALL_EVENTS, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_DELETE_SELF, IN_IGNORED, IN_ISDIR, IN_MASK_ADD, IN_MASK_CREATE, IN_MOVE_SELF, IN_Q_OVERFLOW, IN_UNMOUNT,
} from "../abi/inotify.ts";
import { FIONREAD } from "../abi/ioctl.ts";
import { POLL_IN, SIGIO } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { putU32 } from "../lib/bytes.ts";
import { must } from "../lib/assert.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { newWaitQueue, sleepOn, wake, type WaitQueue } from "../sched/wait_queue.ts";
import { anonFile } from "./anon_inode.ts";
import { fasyncHelper, killFasync } from "./fasync.ts";
import { fileOf, type OpenFile } from "./file.ts";
import { fileOperations, releaseWatchers } from "./file_operations.ts";
import type { Inode } from "./inode.ts";
import { nameBytes } from "./names.ts";
import { notifyFile } from "./notify.ts";

interface InotifyEvent {
  wd: number;
  mask: number;
  /** Joins the two halves of a rename; 0 for others. */
  cookie: number;
  /** Name in the watched directory, "" for the watched inode itself. */
  name: string;
}

interface Inotify {
  events: InotifyEvent[];
  /** Watch descriptor → watch id. */
  watches: Map<number, number>;
  nextWd: number;
  wait: WaitQueue;
  fasync: number[];
}

export interface InotifyWatch {
  id: number;
  /** The inotify file. */
  file: number;
  wd: number;
  inode: number;
  /** IN_ bits asked for. */
  mask: number;
}

/** /proc/sys/fs/inotify/max_queued_events and max_user_watches (of a small machine). */
const MAX_QUEUED_EVENTS = 16384;
const MAX_WATCHES = 8192;
const HEADER_BYTES = 16;

export const isInotify = (file: OpenFile): boolean => file.ops === "inotify";
const inotifyOf = (file: OpenFile): Inotify => file.data as Inotify;

/** An inotify file without watches; -ENFILE. */
export function createInotify(k: Kernel, flags: number): OpenFile | number {
  const data: Inotify = { events: [], watches: new Map(), nextWd: 1, wait: newWaitQueue(k), fasync: [] };
  return anonFile(k, { ops: "inotify", name: "inotify", flags: O_RDONLY | (flags & O_NONBLOCK), data });
}

/** Watches an inode, or changes the watch that is there: its descriptor; -EEXIST with IN_MASK_CREATE, -ENOSPC. */
export function addWatch(k: Kernel, file: OpenFile, inode: Inode, mask: number): number {
  const { fs } = k.state;
  const inotify = inotifyOf(file);
  const kept = (mask & ~(IN_MASK_ADD | IN_MASK_CREATE)) >>> 0;
  const known = (fs.watched.get(inode.id) ?? []).map((id) => must(fs.watches, id)).find((watch) => watch.file === file.id);
  if (known !== undefined) {
    if ((mask & IN_MASK_CREATE) !== 0) return -EEXIST;
    known.mask = (mask & IN_MASK_ADD) !== 0 ? (known.mask | kept) >>> 0 : kept;
    return known.wd;
  }
  if (fs.watches.size >= MAX_WATCHES) return -ENOSPC;
  const watch: InotifyWatch = { id: fs.nextWatch++, file: file.id, wd: inotify.nextWd++, inode: inode.id, mask: kept };
  fs.watches.set(watch.id, watch);
  fs.watched.set(inode.id, [...(fs.watched.get(inode.id) ?? []), watch.id]);
  inotify.watches.set(watch.wd, watch.id);
  return watch.wd;
}

/** inotify_rm_watch(2): -EINVAL for a descriptor that is none. */
export function dropWatch(k: Kernel, file: OpenFile, wd: number): number {
  const id = inotifyOf(file).watches.get(wd);
  if (id === undefined) return -EINVAL;
  removeWatch(k, must(k.state.fs.watches, id));
  return 0;
}

/** Ends a watch; its reader hears so. */
export function removeWatch(k: Kernel, watch: InotifyWatch): void {
  queueEvent(k, watch, IN_IGNORED, "", 0);
  forget(k, watch);
}

function forget(k: Kernel, watch: InotifyWatch): void {
  const { fs } = k.state;
  fs.watches.delete(watch.id);
  inotifyOf(fileOf(k, watch.file)).watches.delete(watch.wd);
  const rest = (fs.watched.get(watch.inode) ?? []).filter((id) => id !== watch.id);
  if (rest.length === 0) fs.watched.delete(watch.inode);
  else fs.watched.set(watch.inode, rest);
}

/** Queues an event, unless the last one waiting is the same; a full queue says once that it overflowed. */
export function queueEvent(k: Kernel, watch: InotifyWatch, mask: number, name: string, cookie: number): void {
  const inotify = inotifyOf(fileOf(k, watch.file));
  const { events } = inotify;
  // As Linux: what happens to the watched inode itself does not tell whether it is a directory.
  const hidden = (mask & (IN_DELETE_SELF | IN_MOVE_SELF)) !== 0 ? IN_ISDIR : 0;
  const told = (mask & (IN_ALL_EVENTS | IN_UNMOUNT | IN_IGNORED | IN_ISDIR) & ~hidden) >>> 0;
  const last = events[events.length - 1];
  if (last !== undefined && last.wd === watch.wd && last.mask === told && last.name === name && last.cookie === cookie) return;
  if (events.length >= MAX_QUEUED_EVENTS) {
    if (last.mask !== IN_Q_OVERFLOW) events.push({ wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: "" });
  } else events.push({ wd: watch.wd, mask: told, cookie, name });
  wake(k, inotify.wait, { key: POLLIN | POLLRDNORM });
  if (inotify.fasync.length > 0) killFasync(k, inotify.fasync, SIGIO, POLL_IN);
}

/** Bytes of a name in an event: with its NUL, filled up to a multiple of the header. */
function nameRoom(name: string): number {
  return name === "" ? 0 : Math.ceil((name.length + 1) / HEADER_BYTES) * HEADER_BYTES;
}

function eventBytes({ wd, mask, cookie, name }: InotifyEvent): Uint8Array {
  const room = nameRoom(name);
  const bytes = new Uint8Array(HEADER_BYTES + room);
  putU32(bytes, 0, wd);
  putU32(bytes, 4, mask);
  putU32(bytes, 8, cookie);
  putU32(bytes, 12, room);
  bytes.set(nameBytes(name), HEADER_BYTES);
  return bytes;
}

fileOperations("inotify", {
  read(k, task, file, buf, count) {
    const inotify = inotifyOf(file);
    if (inotify.events.length === 0) return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn(inotify.wait, { wchan: "inotify_read" });
    let done = 0;
    while (inotify.events.length > 0) {
      const bytes = eventBytes(inotify.events[0]);
      if (done + bytes.length > count) break;
      if (copyToUser(k, task, (buf as number) + done, bytes) < bytes.length) return done > 0 ? done : -EFAULT;
      inotify.events.shift();
      done += bytes.length;
    }
    // A buffer that has no room for the first event is of no use.
    return done > 0 ? done : -EINVAL;
  },
  poll: (_k, _task, file) => ({ mask: inotifyOf(file).events.length > 0 ? POLLIN | POLLRDNORM : 0, queues: [inotifyOf(file).wait] }),
  ioctl(k, task, file, request, arg) {
    if (request !== FIONREAD) return -ENOTTY;
    const bytes = new Uint8Array(4);
    putU32(bytes, 0, inotifyOf(file).events.reduce((sum, { name }) => sum + HEADER_BYTES + nameRoom(name), 0));
    return copyToUser(k, task, arg, bytes) < 4 ? -EFAULT : 0;
  },
  fasync: (k, _task, file, on) => fasyncHelper(k, file, on, inotifyOf(file).fasync),
  release(k, _task, file) {
    for (const id of [...inotifyOf(file).watches.values()]) forget(k, must(k.state.fs.watches, id));
    return 0;
  },
  llseek: (_k, _task, file) => file.pos,
});

// Closing is told when the last holder lets go of the file.
releaseWatchers.push((k, _task, file) => {
  if ((file.flags & O_PATH) === 0) notifyFile(k, file, file.canWrite ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
});
