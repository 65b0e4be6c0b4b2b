/** Leases (fcntl(2), F_SETLEASE): who holds one hears by a signal that another opens the file, which waits until the lease is given up. */
import { EACCES, EAGAIN, EINVAL, ERESTARTSYS } from "../abi/errno.ts";
import { CAP_LEASE } from "../abi/capability.ts";
import { F_OWNER_PID, F_RDLCK, F_UNLCK, F_WRLCK, O_ACCMODE, O_NONBLOCK, O_PATH, O_RDONLY } from "../abi/fcntl.ts";
import { isRegular } from "../abi/stat.ts";
import { POLL_MSG, SIGIO } from "../abi/signal.ts";
import type { Kernel } from "../kernel.ts";
import { must } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { newWaitQueue, sleepOn, wake, type SleepAction, type WaitQueue } from "../sched/wait_queue.ts";
import { now } from "../time/clock.ts";
import { killFasync } from "./fasync.ts";
import type { OpenFile } from "./file.ts";
import { releaseWatchers } from "./file_operations.ts";
import { inodeOf, type Inode } from "./inode.ts";
import { hasCapability } from "./permission.ts";

export interface Lease {
  /** The open file that holds it. */
  file: number;
  /** F_RDLCK: nobody opens for writing; F_WRLCK: nobody opens at all. */
  type: number;
  /** What it must become by `breakNs`: F_RDLCK or F_UNLCK, or `type` when nobody has asked. */
  target: number;
  breakNs: number;
  /** Openers wait here. */
  wait: WaitQueue;
}

/** /proc/sys/fs/lease-break-time, 45 s: then the kernel takes what was not given up. */
const BREAK_NS = 45_000_000_000;

function leasesOf(k: Kernel, inode: number): Lease[] {
  return k.state.fs.leases.get(inode) ?? [];
}

function keep(k: Kernel, inode: number, leases: Lease[]): void {
  if (leases.length === 0) k.state.fs.leases.delete(inode);
  else k.state.fs.leases.set(inode, leases);
}

const isBreaking = ({ type, target }: Lease): boolean => type !== target;

/** The lease becomes `type`, or goes with F_UNLCK; whoever waits looks again (lease_modify). */
function modify(k: Kernel, inode: number, lease: Lease, type: number): void {
  const given = !isBreaking(lease) || type === F_UNLCK || lease.target === type;
  lease.type = type;
  if (given) lease.target = type;
  wake(k, lease.wait, { nr: Infinity });
  if (type !== F_UNLCK) return;
  keep(k, inode, leasesOf(k, inode).filter((other) => other !== lease));
  const file = must(k.state.fs.files, lease.file);
  file.owner = null;
  file.signal = 0;
}

/** Takes what was to be given up and was not in time (time_out_leases). */
function timeOut(k: Kernel, inode: number): void {
  for (const lease of [...leasesOf(k, inode)]) if (isBreaking(lease) && now(k) >= lease.breakNs) modify(k, inode, lease, lease.target);
}

/** F_GETLEASE: the type of the file's lease, F_UNLCK for none; while it is being broken, what it must become. */
export function getLease(k: Kernel, file: OpenFile): number {
  timeOut(k, file.inode);
  return leasesOf(k, file.inode).find((lease) => lease.file === file.id)?.target ?? F_UNLCK;
}

/** F_SETLEASE: 0; -EACCES for another's file, -EINVAL for what is no regular file, -EAGAIN when others have it open, or none is held. */
export function setLease(k: Kernel, task: Task, file: OpenFile, type: number): number {
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return -EINVAL;
  const inode = inodeOf(k, file.inode);
  if (task.cred.fsuid !== inode.uid && !hasCapability(task.cred, CAP_LEASE)) return -EACCES;
  if (!isRegular(inode.mode)) return -EINVAL;
  timeOut(k, inode.id);
  const leases = leasesOf(k, inode.id);
  const own = leases.find((lease) => lease.file === file.id);
  if (type === F_UNLCK) {
    if (own === undefined) return -EAGAIN;
    modify(k, inode.id, own, F_UNLCK);
    return 0;
  }
  if (otherwiseOpen(k, inode, file, type)) return -EAGAIN;
  const others = leases.filter((lease) => lease !== own);
  if (others.some((lease) => type === F_WRLCK || (isBreaking(lease) && lease.target === F_UNLCK))) return -EAGAIN;
  if (own !== undefined) {
    modify(k, inode.id, own, type);
    return 0;
  }
  keep(k, inode.id, [...leases, { file: file.id, type, target: type, breakNs: 0, wait: newWaitQueue(k) }]);
  ownedBy(task, file);
  return 0;
}

/** Who sets a lease or watches a directory owns the file's signals, unless somebody else does. */
export function ownedBy(task: Task, file: OpenFile): void {
  if (file.owner !== null && file.owner.pid !== 0) return;
  file.owner = { type: F_OWNER_PID, pid: task.tgid, uid: task.cred.uid, euid: task.cred.euid };
}

/** check_conflicting_open: a read lease wants no writers, a write lease nobody but the file that asks. */
function otherwiseOpen(k: Kernel, inode: Inode, file: OpenFile, type: number): boolean {
  if (type === F_RDLCK) return inode.writers > 0;
  for (const other of k.state.fs.files.values()) {
    if (other.inode === inode.id && other !== file && (other.flags & O_PATH) === 0) return true;
  }
  return false;
}

/** Whether an open for writing, or only for reading, disturbs a lease. */
const disturbs = (lease: Lease, writing: boolean): boolean => writing || lease.type === F_WRLCK;

/**
 * An open with `flags`, or a truncation, of an inode: 0 when no lease is in its way; -EAGAIN with O_NONBLOCK, else a sleep
 * until the holders, who are told, have given way or their time is over (break_lease).
 */
export function breakLease(k: Kernel, inode: Inode, flags: number): number | SleepAction {
  if (!k.state.fs.leases.has(inode.id)) return 0;
  const writing = (flags & O_ACCMODE) !== O_RDONLY;
  timeOut(k, inode.id);
  const inTheWay = leasesOf(k, inode.id).filter((lease) => disturbs(lease, writing));
  if (inTheWay.length === 0) return 0;
  const target = writing ? F_UNLCK : F_RDLCK;
  for (const lease of inTheWay) {
    if (isBreaking(lease) && (lease.target === F_UNLCK || !writing)) continue;
    lease.target = target;
    lease.breakNs = now(k) + BREAK_NS;
    killFasync(k, [lease.file], SIGIO, POLL_MSG);
  }
  if ((flags & O_NONBLOCK) !== 0) return -EAGAIN;
  return sleepOn(inTheWay.map((lease) => lease.wait), {
    untilNs: Math.min(...inTheWay.map((lease) => lease.breakNs)), wchan: "__break_lease", interrupted: -ERESTARTSYS,
  });
}

releaseWatchers.push((k, _task, file) => {
  const lease = k.state.fs.leases.size > 0 ? leasesOf(k, file.inode).find((held) => held.file === file.id) : undefined;
  if (lease !== undefined) modify(k, file.inode, lease, F_UNLCK);
});

/** For the invariants: leases whose file is gone. */
export function leaseFaults(k: Kernel): string[] {
  const wrong: string[] = [];
  for (const [inode, leases] of k.state.fs.leases) {
    for (const { file } of leases) if (k.state.fs.files.get(file)?.inode !== inode) wrong.push(`a lease on inode ${inode} belongs to file ${file}`);
  }
  return wrong;
}
