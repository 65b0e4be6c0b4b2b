/** swapon(2) and swapoff(2) of the machine's one partition. */
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { VDA } from "../abi/dev_t.ts";
import { EBUSY, EINVAL, ENOMEM, ENXIO, EPERM } from "../abi/errno.ts";
import { AT_FDCWD, O_RDWR } from "../abi/fcntl.ts";
import { isBlockDevice, isSocket } from "../abi/stat.ts";
import {
  SWAP_FLAG_DISCARD, SWAP_FLAG_DISCARD_ONCE, SWAP_FLAG_DISCARD_PAGES, SWAP_FLAG_PREFER, SWAP_FLAG_PRIO_MASK, swapFlags,
} from "../abi/swap.ts";
import { pathText } from "../fs/d_path.ts";
import type { Addr } from "../fs/file.ts";
import { treeRoot, walkContext } from "../fs/fs_struct.ts";
import type { Node } from "../fs/namei.ts";
import { mayOpen } from "../fs/open.ts";
import { MAY_READ, MAY_WRITE } from "../fs/permission.ts";
import { userPathAt } from "../fs/user_path.ts";
import type { Kernel } from "../kernel.ts";
import { promisePages, unpromisePages } from "../mm/accounting.ts";
import { swapPages } from "../mm/swap.ts";
import { beginSwapoff, swapoff, swapon } from "../mm/swapoff.ts";
import { capable } from "../sched/cred.ts";
import { printk } from "../sched/printk.ts";
import { enter, type SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { flags, path } from "./args.ts";
import type { Rows } from "./row.ts";

const VALID = SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK | SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_ONCE | SWAP_FLAG_DISCARD_PAGES;
const INFO = 6;

/**
 * What a path names, with the errnos of opening it for reading and writing.
 * Differs from Linux: it is not opened, so a driver's own open does not say what hinders it.
 */
function special(k: Kernel, task: Task, addr: Addr): Node | number {
  const node = userPathAt(k, task, AT_FDCWD, addr);
  if (typeof node === "number") return node;
  const denied = mayOpen(k, walkContext(k, task), node, MAY_READ | MAY_WRITE, O_RDWR);
  if (denied !== 0) return denied;
  return isSocket(node.inode.mode) || (isBlockDevice(node.inode.mode) && !isPartition(k, node)) ? -ENXIO : node;
}

function isPartition(k: Kernel, { inode }: Node): boolean {
  return isBlockDevice(inode.mode) && inode.rdev === VDA && k.state.machine.swapMiB > 0;
}

function sysSwapon(k: Kernel, task: Task, [name, how]: [Addr, number]): number {
  if ((how & ~VALID) !== 0) return -EINVAL;
  if (!capable(task, CAP_SYS_ADMIN)) return -EPERM;
  const node = special(k, task, name);
  if (typeof node === "number") return node;
  // As Linux 6.1: a file of tmpfs cannot be read by pages, nor can what is no file at all.
  if (!isPartition(k, node)) return -EINVAL;
  const { swap } = k.state.mm;
  if (swap.on || swap.leaving !== 0) return -EBUSY;
  const { path: shown } = pathText(k, node, treeRoot(k));
  const { pages, priority } = swapon(k, shown, (how & SWAP_FLAG_PREFER) !== 0 ? how & SWAP_FLAG_PRIO_MASK : -1);
  printk(k, INFO, `Adding ${pages * 4}k swap on ${shown}.  Priority:${priority} extents:1 across:${pages * 4}k FS`);
  return 0;
}

function sysSwapoff(k: Kernel, task: Task, [name]: [Addr]): SyscallResult {
  if (!capable(task, CAP_SYS_ADMIN)) return -EPERM;
  const node = special(k, task, name);
  if (typeof node === "number") return node;
  if (!isPartition(k, node) || !k.state.mm.swap.on) return -EINVAL;
  const pages = swapPages(k);
  if (!promisePages(k, pages)) return -ENOMEM;
  unpromisePages(k, pages);
  return enter(swapoff, beginSwapoff(k, task));
}

export const swapRows: Rows = {
  swapon: { x86_64: 167, args: [path("path"), flags("swapflags", swapFlags)], run: sysSwapon, partial: "the machine's one partition, /dev/vda" },
  swapoff: { x86_64: 168, args: [path("path")], run: sysSwapoff },
};
