/** Binding unix sockets to names (unix_bind, unix_autobind). */
import { EADDRINUSE, EEXIST, EINVAL, ENOSPC } from "../abi/errno.ts";
import { AF_UNIX } from "../abi/socket.ts";
import { S_IFSOCK, S_IRWXUGO } from "../abi/stat.ts";
import { vfsMknod } from "../fs/create.ts";
import { fsOf, walkContext } from "../fs/fs_struct.ts";
import { walkParent } from "../fs/namei.ts";
import { vfsUnlink } from "../fs/remove.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import { unixOf, type Socket } from "./socket.ts";
import { abstractKey, unixName } from "./unix_addr.ts";

/** Automatic names are five hexadecimal digits. */
const NAMES = 0x10_0000;

/** Protocol.bind: a file's name makes the file; two bytes of address ask for an automatic abstract name. */
export function unixBind(k: Kernel, task: Task, socket: Socket, addr: Uint8Array): number {
  if (addr.length === 2 && addr[0] === AF_UNIX && addr[1] === 0) return autobind(k, socket);
  const name = unixName(addr);
  if (typeof name === "number") return name;
  return name.charCodeAt(0) === 0 ? bindAbstract(k, socket, name) : bindFile(k, task, socket, name);
}

function bindAbstract(k: Kernel, socket: Socket, name: string): number {
  const { unixAbstract } = k.state.net;
  if (unixOf(socket).name !== null) return -EINVAL;
  const key = abstractKey(socket.type, name);
  if (unixAbstract.has(key)) return -EADDRINUSE;
  unixAbstract.set(key, socket.id);
  unixOf(socket).name = name;
  return 0;
}

/** As Linux: the file is made before it is noticed that the socket has a name, and taken away again. */
function bindFile(k: Kernel, task: Task, socket: Socket, name: string): number {
  const ctx = walkContext(k, task);
  const last = walkParent(k, ctx, ctx.cwd, name);
  if (typeof last === "number") return last;
  const node = vfsMknod(k, ctx, last, S_IFSOCK | (S_IRWXUGO & ~fsOf(k, task).umask), 0);
  if (typeof node === "number") return node === -EEXIST ? -EADDRINUSE : node;
  const unix = unixOf(socket);
  if (unix.name !== null) {
    vfsUnlink(k, ctx, last);
    return -EINVAL;
  }
  unix.name = name;
  unix.inode = node.inode.id;
  k.state.net.unixInodes.set(node.inode.id, socket.id);
  return 0;
}

/** Gives an unbound socket the next free automatic name; one that has a name keeps it. */
export function autobind(k: Kernel, socket: Socket): number {
  const { net } = k.state;
  if (unixOf(socket).name !== null) return 0;
  for (let tried = 0; tried < NAMES; tried++) {
    const name = `\0${net.nextUnixName.toString(16).padStart(5, "0")}`;
    net.nextUnixName = (net.nextUnixName + 1) % NAMES;
    if (bindAbstract(k, socket, name) === 0) return 0;
  }
  return -ENOSPC;
}

/** A closed socket's name is free again; its file stays. */
export function unbind(k: Kernel, socket: Socket): void {
  const { name, inode } = unixOf(socket);
  const { unixAbstract, unixInodes } = k.state.net;
  if (inode !== 0) unixInodes.delete(inode);
  else if (name !== null && unixAbstract.get(abstractKey(socket.type, name)) === socket.id) {
    unixAbstract.delete(abstractKey(socket.type, name));
  }
}
