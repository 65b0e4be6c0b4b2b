/** Names of unix sockets: files, the abstract name space, and none (unix(7)). */
import { ECONNREFUSED, EINVAL, EPROTOTYPE } from "../abi/errno.ts";
import { SOCKADDR_UN_SIZE } from "../abi/sockaddr.ts";
import { AF_UNIX } from "../abi/socket.ts";
import { isSocket } from "../abi/stat.ts";
import { walkContext } from "../fs/fs_struct.ts";
import { walkPath } from "../fs/namei.ts";
import { bytesName } from "../fs/names.ts";
import { inodePermission, MAY_WRITE } from "../fs/permission.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { socketOf, type Socket } from "./socket.ts";

/** A name in bytes of a sockaddr_un: with its leading NUL when abstract, up to its NUL when a file's; -EINVAL. */
export function unixName(addr: Uint8Array): string | number {
  if (addr.length <= 2 || addr.length > SOCKADDR_UN_SIZE || addr[0] !== AF_UNIX || addr[1] !== 0) return -EINVAL;
  if (addr[2] === 0) return bytesName(addr.subarray(2));
  const end = addr.indexOf(0, 2);
  return bytesName(addr.subarray(2, end < 0 ? addr.length : end));
}

/** The bytes of a name as getsockname tells them; two bytes of family when there is none. */
export function unixSockaddr(name: string | null): Uint8Array {
  const named = name !== null && name.charCodeAt(0) !== 0;
  const bytes = new Uint8Array(2 + (name?.length ?? 0) + (named ? 1 : 0));
  bytes[0] = AF_UNIX;
  for (let at = 0; at < (name?.length ?? 0); at++) bytes[2 + at] = name!.charCodeAt(at);
  return bytes;
}

/** As Linux: each type of socket has its own abstract names. */
export function abstractKey(type: number, name: string): string {
  return `${type}${name}`;
}

/** The socket of `type` bound to `name`: -ENOENT and the like from the walk, -EACCES, -ECONNREFUSED, -EPROTOTYPE (unix_find_other). */
export function findUnix(k: Kernel, task: Task, name: string, type: number): Socket | number {
  const { net } = k.state;
  if (name.charCodeAt(0) === 0) {
    const id = net.unixAbstract.get(abstractKey(type, name));
    return id === undefined ? -ECONNREFUSED : socketOf(k, id);
  }
  const ctx = walkContext(k, task);
  const node = walkPath(k, ctx, ctx.cwd, name);
  if (typeof node === "number") return node;
  const denied = inodePermission(ctx.cred, node.inode, MAY_WRITE);
  if (denied !== 0) return denied;
  const id = isSocket(node.inode.mode) ? net.unixInodes.get(node.inode.id) : undefined;
  if (id === undefined) return -ECONNREFUSED;
  const found = socketOf(k, id);
  return found.type === type ? found : -EPROTOTYPE;
}
