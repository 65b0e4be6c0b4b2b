/** process_vm_readv(2) and process_vm_writev(2): copying between two processes' memory (mm/process_vm_access.c). */
import { CAP_SYS_PTRACE } from "../abi/capability.ts";
import { EFAULT, EINVAL, EPERM, ESRCH } from "../abi/errno.ts";
import { IOV_MAX, PAGE_SIZE } from "../abi/limits.ts";
import type { Addr, Iovec } from "../fs/file.ts";
import { copyFromIter, copyToIter, importIovec, iovIter, type IovIter } from "../fs/iov.ts";
import type { Kernel } from "../kernel.ts";
import { getI64, getU64 } from "../lib/bytes.ts";
import { accessOk, copyFromUser, readUser, writeUser } from "../mm/usercopy.ts";
import { VM_GROWSDOWN, VM_READ } from "../mm/vma.ts";
import { findVma } from "../mm/vma_list.ts";
import { findTask } from "../process/pid.ts";
import { capable } from "../sched/cred.ts";
import type { Task } from "../sched/task.ts";
import { flags, int } from "./args.ts";
import type { Rows } from "./row.ts";
import { count, iovecIn, iovecOut } from "./vectors.ts";

type Args = [pid: number, local: Addr, localCount: number, remote: Addr, remoteCount: number, flags: number | bigint];

/** One call moves at most so many bytes; a longer one tells how far it came, as it does at a bad page. */
const MOST_BYTES = 64 << 20;
const IOVEC_BYTES = 16;
/** SUID_DUMP_USER of prctl(PR_SET_DUMPABLE) */
const DUMPABLE = 1;

/** PTRACE_MODE_ATTACH_REALCREDS: whether the task may do as it likes with another's memory. */
export function mayAttach(task: Task, target: Task): boolean {
  if (task.tgid === target.tgid || capable(task, CAP_SYS_PTRACE)) return true;
  const { uid, gid } = task.cred;
  const { cred } = target;
  const same = uid === cred.euid && uid === cred.suid && uid === cred.uid && gid === cred.egid && gid === cred.sgid && gid === cred.gid;
  return same && target.dumpable === DUMPABLE && (cred.capPermitted & ~task.cred.capPermitted) === 0n;
}

/** The other process's buffers (iovec_from_user): nothing is asked of their addresses yet. -EINVAL, -EFAULT. */
function remoteIovec(k: Kernel, task: Task, addr: Addr, entries: number): Iovec[] | number {
  if (entries > IOV_MAX) return -EINVAL;
  if (entries === 0) return [];
  const bytes = copyFromUser(k, task, addr, entries * IOVEC_BYTES);
  if (typeof bytes === "number") return bytes;
  const iov: Iovec[] = [];
  for (let at = 0; at < bytes.length; at += IOVEC_BYTES) {
    if (getI64(bytes, at + 8) < 0) return -EINVAL;
    iov.push({ addr: getU64(bytes, at), len: Number(getU64(bytes, at + 8)) });
  }
  return iov;
}

/**
 * Whether memory is kept from others that its own process can reach: it does not grow down for them (since Linux 6.1.37), and is
 * read only where it says so, though the processor reads what may be written or executed (check_vma_flags).
 */
function isWithheld(k: Kernel, target: Task, addr: number, write: boolean): boolean {
  const space = k.state.mm.spaces.get(target.mm);
  const vma = space === undefined ? null : findVma(space, addr);
  if (vma === null) return false;
  return vma.start > addr ? (vma.flags & VM_GROWSDOWN) !== 0 : !write && (vma.flags & VM_READ) === 0;
}

/** Moves a page or less at `addr` of the target: bytes moved, 0 when either side cannot be had. */
function movePiece(k: Kernel, task: Task, iter: IovIter, target: Task, addr: number, bytes: Uint8Array, write: boolean): number {
  if (isWithheld(k, target, addr, write)) return 0;
  if (!write) {
    const { done } = readUser(k, target, addr, bytes);
    return copyToIter(k, task, iter, bytes.subarray(0, done));
  }
  const taken = copyFromIter(k, task, iter, bytes);
  return writeUser(k, target, addr, bytes, 0, taken).done;
}

function processVm(k: Kernel, task: Task, [pid, local, localCount, remote, remoteCount, bits]: Args, write: boolean): number {
  if (BigInt(bits) !== 0n) return -EINVAL;
  const ours = importIovec(k, task, local, localCount);
  if (typeof ours === "number") return ours;
  const iter = iovIter(ours);
  if (iter.left === 0) return 0;
  const theirs = remoteIovec(k, task, remote, remoteCount);
  if (typeof theirs === "number") return theirs;
  if (theirs.every(({ len }) => len === 0)) return 0;
  const target = findTask(k, task, pid);
  if (target === null || pid === 0) return -ESRCH;
  if (!mayAttach(task, target)) return -EPERM;
  if (target.mm === 0) return -ESRCH;
  const page = new Uint8Array(PAGE_SIZE);
  let moved = 0;
  for (const { addr, len } of theirs) {
    for (let done = 0; done < len && iter.left > 0 && moved < MOST_BYTES;) {
      if (!accessOk(addr, done + 1)) return moved > 0 ? moved : -EFAULT;
      const at = (addr as number) + done;
      const piece = Math.min(len - done, iter.left, PAGE_SIZE - (at % PAGE_SIZE));
      const now = movePiece(k, task, iter, target, at, page.subarray(0, piece), write);
      moved += now;
      done += now;
      if (now < piece) return moved > 0 ? moved : -EFAULT;
    }
  }
  return moved;
}

const noFlags = { prefix: "PROCESS_VM_", flags: {} };

function args(local: ReturnType<typeof iovecIn>): Rows[string]["args"] {
  return [
    int("pid"), local, count("liovcnt", "local_iov", IOVEC_BYTES), iovecIn("remote_iov", "riovcnt"), count("riovcnt", "remote_iov", IOVEC_BYTES),
    flags("flags", noFlags),
  ];
}

export const processVmRows: Rows = {
  process_vm_readv: {
    x86_64: 310, args: args(iovecOut("local_iov", "liovcnt")), run: (k: Kernel, task: Task, given: Args) => processVm(k, task, given, false),
  },
  process_vm_writev: {
    x86_64: 311, args: args(iovecIn("local_iov", "liovcnt")), run: (k: Kernel, task: Task, given: Args) => processVm(k, task, given, true),
  },
};
