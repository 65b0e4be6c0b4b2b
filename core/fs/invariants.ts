/** What must hold of the file systems between two inputs: counts add up, and what names something names what is there. */
import { FASYNC, O_PATH } from "../abi/fcntl.ts";
import { isDirectory, isRegular } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { epollFaults } from "./eventpoll.ts";
import { xattrBytes, type Dentry, type Inode, type PathRef } from "./inode.ts";
import { leaseFaults } from "./leases.ts";
import { heldPages } from "./page_cache.ts";
import { asPipe, pipeFaults } from "./pipe.ts";

/** What is broken, a sentence each; empty for sound file systems. Pure and slow. */
export function fsInvariants(k: Kernel): string[] {
  return [
    ...inodes(k), ...dentries(k), ...mounts(k), ...files(k), ...tables(k), ...superBlocks(k), ...locks(k), ...watches(k), ...epollFaults(k),
    ...[...k.state.fs.pipes.values()].flatMap((pipe) => pipeFaults(k, pipe)),
  ];
}

/** Adds one to the count of `id`. */
function count(counts: Map<number, number>, id: number): void {
  counts.set(id, (counts.get(id) ?? 0) + 1);
}

/** Every place that holds its mount and its dentry. */
function heldPlaces(k: Kernel): PathRef[] {
  const { fs } = k.state;
  return [
    ...[...fs.files.values()].map(({ path }) => path), ...[...fs.fsStructs.values()].flatMap(({ root, cwd }) => [root, cwd]),
    { mnt: fs.anonMount, dentry: "" },
  ];
}

function inodes(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs } = k.state;
  const refs = new Map<number, number>([[fs.anonInode, 1]]);
  const names = new Map<number, number>();
  const writers = new Map<number, number>();
  for (const dentry of fs.dentries.values()) {
    count(refs, dentry.inode);
    if (!dentry.unhashed && dentry.parent !== dentry.id) count(names, dentry.inode);
  }
  for (const file of fs.files.values()) {
    count(refs, file.inode);
    if (file.canWrite) count(writers, file.inode);
  }
  for (const inode of fs.inodes.values()) {
    const found = refs.get(inode.id) ?? 0;
    if (inode.refs !== found) wrong.push(`inode ${inode.id} counts ${inode.refs} references, ${found} are found`);
    if (isRegular(inode.mode) && inode.writers >= 0 && inode.writers !== (writers.get(inode.id) ?? 0)) {
      wrong.push(`inode ${inode.id} counts ${inode.writers} writers, ${writers.get(inode.id) ?? 0} are open`);
    }
    if (typeof fs.superBlocks.get(inode.sb)?.root === "number") wrong.push(...links(k, inode, names.get(inode.id) ?? 0));
    for (const pgoff of inode.reserved?.keys() ?? []) if (inode.pages?.has(pgoff) === true) wrong.push(`page ${pgoff} of inode ${inode.id} is twice there`);
    if (inode.pipe !== 0 && fs.pipes.get(inode.pipe)?.inode !== inode.id) wrong.push(`inode ${inode.id} names pipe ${inode.pipe}`);
  }
  return wrong;
}

/** A directory counts itself, its name and its subdirectories; everything else its names. Pipes and sockets have none and count one. */
function links(k: Kernel, inode: Inode, names: number): string[] {
  const { fs } = k.state;
  if (isDirectory(inode.mode)) {
    const below = [...(inode.entries?.values() ?? [])].filter((id) => isDirectory(fs.inodes.get(fs.dentries.get(id)?.inode ?? 0)?.mode ?? 0)).length;
    const root = [...fs.superBlocks.values()].some(({ root: id }) => typeof id === "number" && fs.dentries.get(id)?.inode === inode.id);
    const should = names > 0 || root ? 2 + below : 0;
    return inode.nlink === should ? [] : [`directory ${inode.id} has ${inode.nlink} links, expected ${should}`];
  }
  if (fs.superBlocks.get(inode.sb)?.type === "anonfs") return [];
  return inode.nlink === names ? [] : [`inode ${inode.id} has ${inode.nlink} links and ${names} names`];
}

function dentries(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs } = k.state;
  const refs = new Map<number, number>();
  for (const { dentry } of heldPlaces(k)) if (typeof dentry === "number") count(refs, dentry);
  for (const dentry of fs.dentries.values()) if (dentry.parent !== dentry.id) count(refs, dentry.parent);
  for (const { root } of fs.superBlocks.values()) if (typeof root === "number") count(refs, root);
  for (const mount of fs.mounts.values()) {
    if (typeof mount.root === "number") count(refs, mount.root);
    if (mount.parent !== mount.id && typeof mount.mountpoint === "number") count(refs, mount.mountpoint);
  }
  for (const dentry of fs.dentries.values()) {
    const found = refs.get(dentry.id) ?? 0;
    if (dentry.refs !== found) wrong.push(`dentry ${dentry.id} (${dentry.name}) counts ${dentry.refs} references, ${found} are found`);
    if (!fs.inodes.has(dentry.inode)) wrong.push(`dentry ${dentry.id} names inode ${dentry.inode}, which is gone`);
    if (dentry.parent !== dentry.id && !dentry.unhashed && parentEntries(k, dentry)?.get(dentry.name) !== dentry.id) {
      wrong.push(`dentry ${dentry.id} (${dentry.name}) is not in its directory`);
    }
  }
  for (const inode of fs.inodes.values()) {
    for (const [name, id] of inode.entries ?? []) {
      const dentry = fs.dentries.get(id);
      if (dentry?.name !== name || dentry.unhashed) wrong.push(`entry ${name} of directory ${inode.id} leads to dentry ${id}, which is another`);
    }
  }
  return wrong;
}

function parentEntries(k: Kernel, dentry: Dentry): Map<string, number> | null {
  const parent = k.state.fs.dentries.get(dentry.parent);
  return k.state.fs.inodes.get(parent?.inode ?? 0)?.entries ?? null;
}

function mounts(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs } = k.state;
  const refs = new Map<number, number>();
  for (const { mnt } of heldPlaces(k)) count(refs, mnt);
  for (const mount of fs.mounts.values()) if (mount.parent !== mount.id) count(refs, mount.parent);
  for (const mount of fs.mounts.values()) {
    const found = refs.get(mount.id) ?? 0;
    if (mount.refs !== found) wrong.push(`mount ${mount.id} counts ${mount.refs} references, ${found} are found`);
    if (mount.detached && mount.refs === 0) wrong.push(`mount ${mount.id} is detached and nobody holds it`);
  }
  for (const dentry of fs.dentries.values()) {
    const found = [...fs.mounts.values()].filter(({ id, parent, mountpoint }) => parent !== id && mountpoint === dentry.id).length;
    if (dentry.mounted !== found) wrong.push(`dentry ${dentry.id} counts ${dentry.mounted} mounts, ${found} are found`);
  }
  return wrong;
}

/** Descriptors, mappings and messages under way hold files; calls that sleep may hold more. */
function files(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs, mm, net, sched } = k.state;
  const refs = new Map<number, number>();
  for (const { fds } of fs.fdTables.values()) for (const entry of fds.values()) if (entry !== 0) count(refs, Math.abs(entry));
  for (const space of mm.spaces.values()) for (const vma of space.vmas.flat()) if (vma.file !== 0) count(refs, vma.file);
  for (const socket of net.sockets.values()) {
    for (const message of socket.unix?.queue ?? []) for (const id of message.files) count(refs, id);
  }
  const quiet = [...sched.tasks.values()].every(({ frames, work }) => frames.length === 0 && work.length === 0);
  for (const [id, found] of refs) if (!fs.files.has(id)) wrong.push(`file ${id} is held ${found} times and gone`);
  for (const file of fs.files.values()) {
    const found = refs.get(file.id) ?? 0;
    if (quiet ? file.refs !== found : file.refs < found) wrong.push(`file ${file.id} (${file.ops}) counts ${file.refs} references, ${found} are found`);
    if ((file.flags & O_PATH) === 0 && !k.tables.fileOperations.has(file.ops)) wrong.push(`file ${file.id} has operations ${file.ops}, which nobody registered`);
    if (asPipe(k, file) === null && file.ops === "pipe") wrong.push(`file ${file.id} is of pipe ${file.private}, which is gone`);
    if ((file.flags & FASYNC) !== 0 && file.refs === 0 && quiet) wrong.push(`file ${file.id} wants SIGIO and is gone`);
  }
  return wrong;
}

function tables(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs, sched } = k.state;
  const ofFiles = new Map<number, number>();
  const ofFs = new Map<number, number>();
  for (const task of sched.tasks.values()) {
    if (task.files !== 0) count(ofFiles, task.files);
    if (task.fs !== 0) count(ofFs, task.fs);
  }
  for (const table of fs.fdTables.values()) {
    if (table.refs !== (ofFiles.get(table.id) ?? 0)) wrong.push(`descriptor table ${table.id} counts ${table.refs} tasks, ${ofFiles.get(table.id) ?? 0} have it`);
    for (let fd = 0; fd < table.next; fd++) if (!table.fds.has(fd)) wrong.push(`descriptor ${fd} of table ${table.id} is free, below ${table.next}`);
  }
  for (const one of fs.fsStructs.values()) {
    if (one.refs !== (ofFs.get(one.id) ?? 0)) wrong.push(`fs_struct ${one.id} counts ${one.refs} tasks, ${ofFs.get(one.id) ?? 0} have it`);
  }
  for (const id of [...ofFiles.keys()].filter((one) => !fs.fdTables.has(one))) wrong.push(`descriptor table ${id} is gone and in use`);
  for (const id of [...ofFs.keys()].filter((one) => !fs.fsStructs.has(one))) wrong.push(`fs_struct ${id} is gone and in use`);
  return wrong;
}

function superBlocks(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs } = k.state;
  let attributes = 0;
  for (const inode of fs.inodes.values()) attributes += xattrBytes(inode);
  if (attributes !== fs.xattrBytes) wrong.push(`${fs.xattrBytes} bytes of extended attributes are counted, ${attributes} are found`);
  for (const sb of fs.superBlocks.values()) {
    let pages = 0;
    let stored = 0;
    for (const inode of fs.inodes.values()) {
      if (inode.sb !== sb.id) continue;
      pages += heldPages(inode);
      if (typeof sb.root === "number") stored++;
    }
    if (pages !== sb.usedPages) wrong.push(`file system ${sb.id} (${sb.type}) counts ${sb.usedPages} pages, its files hold ${pages}`);
    if (stored !== sb.usedInodes) wrong.push(`file system ${sb.id} (${sb.type}) counts ${sb.usedInodes} inodes, ${stored} are found`);
    const shown = [...fs.mounts.values()].filter((mount) => mount.sb === sb.id).length;
    if (shown !== sb.refs) wrong.push(`file system ${sb.id} counts ${sb.refs} mounts, ${shown} are found`);
    for (const [key, id] of sb.open) if (fs.inodes.get(id)?.key !== key) wrong.push(`${sb.type}/${key} is said to be open as inode ${id}`);
  }
  return wrong;
}

function locks(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs } = k.state;
  for (const [inode, list] of fs.locks) {
    if (!fs.inodes.has(inode) || list.length === 0) wrong.push(`locks are kept of inode ${inode}`);
    for (const lock of list) {
      const alive = lock.kind === "posix" ? fs.fdTables.has(lock.owner) : fs.files.has(lock.owner);
      if (!alive) wrong.push(`lock ${lock.id} belongs to ${lock.kind} owner ${lock.owner}, who is gone`);
      if (lock.start < 0 || lock.end < lock.start) wrong.push(`lock ${lock.id} goes from ${lock.start} to ${lock.end}`);
    }
  }
  wrong.push(...leaseFaults(k));
  for (const waiter of fs.lockWaiters.values()) {
    if (!k.state.sched.waitQueues.has(waiter.queue)) wrong.push(`nobody waits for lock ${waiter.id}`);
  }
  return wrong;
}

function watches(k: Kernel): string[] {
  const wrong: string[] = [];
  const { fs } = k.state;
  for (const watch of fs.watches.values()) {
    if (!fs.inodes.has(watch.inode)) wrong.push(`watch ${watch.id} is on inode ${watch.inode}, which is gone`);
    if (fs.files.get(watch.file)?.ops !== "inotify") wrong.push(`watch ${watch.id} belongs to file ${watch.file}`);
    if (fs.watched.get(watch.inode)?.includes(watch.id) !== true) wrong.push(`watch ${watch.id} is unknown to its inode`);
  }
  for (const [inode, ids] of fs.watched) for (const id of ids) if (!fs.watches.has(id)) wrong.push(`inode ${inode} is watched by ${id}, which is gone`);
  return wrong;
}
