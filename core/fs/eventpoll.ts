/** epoll(7): items that watch files, and the list of those that are ready (fs/eventpoll.c). */
import { EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM } from "../abi/errno.ts";
import {
  EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT,
  EPOLLRDNORM, EPOLLWAKEUP,
} from "../abi/epoll.ts";
import { O_CLOEXEC, O_RDWR } from "../abi/fcntl.ts";
import type { Kernel } from "../kernel.ts";
import { putU32, putU64 } from "../lib/bytes.ts";
import { must } from "../lib/assert.ts";
import { copyToUser } from "../mm/usercopy.ts";
import { current, type Task } from "../sched/task.ts";
import { addWaitCallback, hasSleepers, newWaitQueue, removeWaitCallback, wake, wakeCallback, type WaitQueue } from "../sched/wait_queue.ts";
import { anonFile } from "./anon_inode.ts";
import { fileOf, fileOperations, opsOf, releaseWatchers, type Addr, type OpenFile, type PollResult } from "./file.ts";
import { inodeOf } from "./inode.ts";
import { sbOfInode } from "./page_cache.ts";

interface EventPoll {
  /** "file:fd" → item. */
  items: Map<string, number>;
  /** Items that may have something to tell, the longest waiting first. */
  ready: number[];
  /** Where epoll_wait sleeps, and where those sleep that poll the epoll file itself. */
  wait: WaitQueue;
  pollWait: WaitQueue;
}

/** One watched descriptor. */
export interface EpollItem {
  id: number;
  /** File ids: of the epoll, and of what it watches. */
  epoll: number;
  file: number;
  fd: number;
  /** EPOLL bits asked for; without any event bit, a one-shot that has fired. */
  events: number;
  data: number | bigint;
  /** It stands on the ready list. */
  ready: boolean;
  /** Queues that its callback stands on. */
  queues: WaitQueue[];
}

const CALLBACK = "epoll";
/** Bits that say how to tell, not what. */
const PRIVATE = (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE) >>> 0;
const EXCLUSIVE_OK = (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE) >>> 0;
/** Epolls inside epolls (EP_MAX_NESTS). */
const MAX_NESTS = 4;
/** Bytes that Linux counts for an item; items may take a 25th of the memory. */
const ITEM_BYTES = 160;
/** struct epoll_event, packed. */
export const EPOLL_EVENT_BYTES = 12;

export const isEpoll = (file: OpenFile): boolean => file.ops === "eventpoll";
const epollOf = (file: OpenFile): EventPoll => file.data as EventPoll;
const itemOf = (k: Kernel, id: number): EpollItem => must(k.state.fs.epollItems, id);
const keyOf = (file: OpenFile, fd: number): string => `${file.id}:${fd}`;

/** An epoll file; -ENFILE. */
export function createEpoll(k: Kernel): OpenFile | number {
  const data: EventPoll = { items: new Map(), ready: [], wait: newWaitQueue(k), pollWait: newWaitQueue(k) };
  return anonFile(k, { ops: "eventpoll", name: "eventpoll", flags: O_RDWR & ~O_CLOEXEC, data });
}

/** What a file says now, of what an item asks for. */
function pollItem(k: Kernel, item: EpollItem, depth: number): number {
  const file = fileOf(k, item.file);
  const mask = isEpoll(file) ? pollEpoll(k, file, depth + 1) : (opsOf(k, file).poll?.(k, current(k), file).mask ?? 0);
  return (mask & item.events) >>> 0;
}

/** Whether an epoll has something to tell; items that turn out to have nothing leave its ready list. */
function pollEpoll(k: Kernel, file: OpenFile, depth: number): number {
  if (depth > MAX_NESTS + 1) return 0;
  const epoll = epollOf(file);
  while (epoll.ready.length > 0) {
    const item = itemOf(k, epoll.ready[0]);
    if (pollItem(k, item, depth) !== 0) return EPOLLIN | EPOLLRDNORM;
    epoll.ready.shift();
    item.ready = false;
  }
  return 0;
}

function markReady(k: Kernel, item: EpollItem): void {
  const epoll = epollOf(fileOf(k, item.epoll));
  if (!item.ready) {
    item.ready = true;
    epoll.ready.push(item.id);
  }
  wake(k, epoll.wait);
  wake(k, epoll.pollWait, { key: EPOLLIN });
}

wakeCallback(CALLBACK, (k, id, key) => {
  const item = itemOf(k, id);
  const exclusive = (item.events & EPOLLEXCLUSIVE) !== 0;
  // A one-shot that has fired hears nothing until it is set again.
  if ((item.events & ~PRIVATE) === 0) return !exclusive;
  if (key !== 0 && (key & item.events) === 0) return !exclusive;
  const waited = hasSleepers(k, epollOf(fileOf(k, item.epoll)).wait);
  markReady(k, item);
  return !exclusive || (waited && answers(item, key));
});

/** Whether what came is what an exclusive item waits for: others on the queue are woken when it is not (ep_poll_callback). */
function answers({ events }: EpollItem, key: number): boolean {
  const way = key & (EPOLLIN | EPOLLOUT);
  return way === 0 || (way !== (EPOLLIN | EPOLLOUT) && (events & way) !== 0);
}

/** What epoll_ctl(2) is asked for. */
export interface EpollRequest {
  events: number;
  data: number | bigint;
}

/**
 * epoll_ctl(2) on an epoll file; both files were found. -EPERM for a file that cannot be polled, -EINVAL, -EEXIST,
 * -ENOENT, -ELOOP, -ENOSPC in Linux's order.
 */
export function epollCtl(k: Kernel, epollFile: OpenFile, op: number, file: OpenFile, fd: number, { events, data }: EpollRequest): number {
  if (opsOf(k, file).poll === undefined) return -EPERM;
  if (epollFile === file || !isEpoll(epollFile)) return -EINVAL;
  if (op !== EPOLL_CTL_DEL && (events & EPOLLEXCLUSIVE) !== 0) {
    if (op === EPOLL_CTL_MOD) return -EINVAL;
    if (op === EPOLL_CTL_ADD && (isEpoll(file) || (events & ~EXCLUSIVE_OK) !== 0)) return -EINVAL;
  }
  if (op === EPOLL_CTL_ADD && isEpoll(file) && loops(k, epollFile, file)) return -ELOOP;
  const id = epollOf(epollFile).items.get(keyOf(file, fd));
  const item = id === undefined ? null : itemOf(k, id);
  switch (op) {
    case EPOLL_CTL_ADD: return item === null ? insertItem(k, epollFile, file, fd, events, data) : -EEXIST;
    case EPOLL_CTL_DEL:
      if (item === null) return -ENOENT;
      removeItem(k, item);
      return 0;
    case EPOLL_CTL_MOD: return item === null ? -ENOENT : modifyItem(k, item, events, data);
    default: return -EINVAL;
  }
}

/** Whether watching `file` from `epollFile` would close a circle, or nest too deep. */
function loops(k: Kernel, epollFile: OpenFile, file: OpenFile): boolean {
  const below = depth(file, new Map(), (one) =>
    [...epollOf(one).items.values()].map((id) => fileOf(k, itemOf(k, id).file)).filter(isEpoll));
  const above = depth(epollFile, new Map(), (one) => one.epolls.map((id) => fileOf(k, itemOf(k, id).epoll)));
  return below.has(epollFile.id) || (below.get(file.id) ?? 0) + (above.get(epollFile.id) ?? 0) > MAX_NESTS + 1;
}

/** Levels from `file` on, itself one, by file id; each is looked at once however many ways lead to it. */
function depth(file: OpenFile, known: Map<number, number>, next: (file: OpenFile) => OpenFile[]): Map<number, number> {
  if (known.has(file.id)) return known;
  let deepest = 0;
  for (const other of next(file)) deepest = Math.max(deepest, depth(other, known, next).get(other.id) ?? 0);
  return known.set(file.id, deepest + 1);
}

function insertItem(k: Kernel, epollFile: OpenFile, file: OpenFile, fd: number, events: number, data: number | bigint): number {
  const { fs, machine } = k.state;
  if (fs.epollItems.size >= Math.floor((machine.ramMiB * 2 ** 20) / 25 / ITEM_BYTES)) return -ENOSPC;
  const { queues } = opsOf(k, file).poll!(k, current(k), file);
  const item: EpollItem = {
    id: fs.nextEpollItem++, epoll: epollFile.id, file: file.id, fd, events: (events | EPOLLERR | EPOLLHUP) >>> 0, data, ready: false,
    queues: [...queues],
  };
  fs.epollItems.set(item.id, item);
  epollOf(epollFile).items.set(keyOf(file, fd), item.id);
  file.epolls.push(item.id);
  for (const queue of item.queues) addWaitCallback(k, queue, CALLBACK, item.id, (events & EPOLLEXCLUSIVE) !== 0);
  if (pollItem(k, item, 0) !== 0) markReady(k, item);
  return 0;
}

function modifyItem(k: Kernel, item: EpollItem, events: number, data: number | bigint): number {
  if ((item.events & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
  item.events = (events | EPOLLERR | EPOLLHUP) >>> 0;
  item.data = data;
  if (pollItem(k, item, 0) !== 0) markReady(k, item);
  return 0;
}

function removeItem(k: Kernel, item: EpollItem): void {
  for (const queue of item.queues) removeWaitCallback(k, queue, CALLBACK, item.id);
  const epoll = epollOf(fileOf(k, item.epoll));
  const file = fileOf(k, item.file);
  epoll.items.delete(keyOf(file, item.fd));
  if (item.ready) epoll.ready.splice(epoll.ready.indexOf(item.id), 1);
  file.epolls.splice(file.epolls.indexOf(item.id), 1);
  k.state.fs.epollItems.delete(item.id);
}

/** Where epoll_wait on this file sleeps. */
export function epollWait(file: OpenFile): WaitQueue {
  return epollOf(file).wait;
}

/**
 * Tells up to `max` ready items into the array at `events`: how many, 0 when none has anything to tell, or -EFAULT.
 * A level-triggered item stays ready, an edge-triggered one leaves, a one-shot is disabled.
 */
export function sendEvents(k: Kernel, task: Task, file: OpenFile, events: Addr, max: number): number {
  const epoll = epollOf(file);
  if (epoll.ready.length === 0) return 0;
  const rest = epoll.ready;
  epoll.ready = [];
  let told = 0;
  let result = 0;
  while (rest.length > 0 && told < max) {
    const item = itemOf(k, rest[0]);
    const mask = pollItem(k, item, 0);
    if (mask !== 0) {
      const bytes = new Uint8Array(EPOLL_EVENT_BYTES);
      putU32(bytes, 0, mask);
      putU64(bytes, 4, item.data);
      if (copyToUser(k, task, (events as number) + told * EPOLL_EVENT_BYTES, bytes) < EPOLL_EVENT_BYTES) {
        result = -EFAULT;
        break;
      }
      told++;
    }
    rest.shift();
    const stays = mask !== 0 && (item.events & (EPOLLONESHOT | EPOLLET)) === 0;
    if (mask !== 0 && (item.events & EPOLLONESHOT) !== 0) item.events = (item.events & PRIVATE) >>> 0;
    if (stays) epoll.ready.push(item.id);
    else item.ready = false;
  }
  // What was not reached is first next time.
  epoll.ready = [...rest, ...epoll.ready];
  if (epoll.ready.length > 0) wake(k, epoll.wait);
  return told > 0 ? told : result;
}

function poll(k: Kernel, _task: Task | null, file: OpenFile): PollResult {
  return { mask: pollEpoll(k, file, 0), queues: [epollOf(file).pollWait] };
}

fileOperations("eventpoll", {
  poll,
  release(k, _task, file) {
    for (const id of [...epollOf(file).items.values()]) removeItem(k, itemOf(k, id));
    return 0;
  },
  llseek: (_k, _task, file) => file.pos,
  fdinfo(k, file) {
    let text = "";
    for (const id of epollOf(file).items.values()) {
      const { fd, events, data, file: watched } = itemOf(k, id);
      const target = fileOf(k, watched);
      const inode = inodeOf(k, target.inode);
      text += `tfd: ${String(fd).padStart(8)} events: ${events.toString(16).padStart(8)} data: ${BigInt.asUintN(64, BigInt(data)).toString(16).padStart(16)}`
        + `  pos:${target.pos} ino:${inode.ino.toString(16)} sdev:${sbOfInode(k, inode).dev.toString(16)}\n`;
    }
    return text;
  },
});

// A file that is released leaves every epoll that watches it (eventpoll_release).
releaseWatchers.push((k, _task, file) => {
  for (const id of [...file.epolls]) removeItem(k, itemOf(k, id));
});

/** For the invariants: what is wrong with the epolls. */
export function epollFaults(k: Kernel): string[] {
  const faults: string[] = [];
  const { files, epollItems } = k.state.fs;
  for (const item of epollItems.values()) {
    const epoll = files.get(item.epoll);
    const file = files.get(item.file);
    if (epoll === undefined || file === undefined) faults.push(`epoll item ${item.id} names a file that is gone`);
    else {
      if (epollOf(epoll).items.get(keyOf(file, item.fd)) !== item.id) faults.push(`epoll item ${item.id} is unknown to its epoll`);
      if (epollOf(epoll).ready.includes(item.id) !== item.ready) faults.push(`epoll item ${item.id} and the ready list disagree`);
      if (!file.epolls.includes(item.id)) faults.push(`epoll item ${item.id} is unknown to its file`);
    }
    for (const queue of item.queues) {
      const waiters = k.state.sched.waitQueues.get(queue) ?? [];
      if (!waiters.some(({ callback, arg }) => callback === CALLBACK && arg === item.id)) faults.push(`epoll item ${item.id} is not on queue ${queue}`);
    }
  }
  return faults;
}
