/** What the file systems and open files keep: inodes, dentries, mounts, descriptor tables, pipes, locks, watches. */
import type { Dentry, Inode } from "./inode.ts";
import type { DirNotify } from "./dnotify.ts";
import type { FdTable } from "./fd_table.ts";
import type { FsStruct } from "./fs_struct.ts";
import type { InotifyWatch } from "./inotify.ts";
import type { Lease } from "./leases.ts";
import type { FileLock, LockWaiter } from "./locks.ts";
import type { Mount, SuperBlock } from "./mount.ts";
import type { EpollItem } from "./eventpoll.ts";
import type { OpenFile } from "./file.ts";
import type { Pipe } from "./pipe.ts";

export interface FsState {
  inodes: Map<number, Inode>;
  dentries: Map<number, Dentry>;
  superBlocks: Map<number, SuperBlock>;
  mounts: Map<number, Mount>;
  files: Map<number, OpenFile>;
  fdTables: Map<number, FdTable>;
  fsStructs: Map<number, FsStruct>;
  pipes: Map<number, Pipe>;
  epollItems: Map<number, EpollItem>;
  /** Locks by inode, each list by start; flock, POSIX and OFD locks together. */
  locks: Map<number, FileLock[]>;
  lockWaiters: Map<number, LockWaiter>;
  /** Leases, and watches of F_NOTIFY, by inode. */
  leases: Map<number, Lease[]>;
  dnotify: Map<number, DirNotify[]>;
  /** inotify watches by id; `watched` leads from an inode to those on it. */
  watches: Map<number, InotifyWatch>;
  watched: Map<number, number[]>;
  /** Pages of pipes by the uid that made them, for the limit on unprivileged users. */
  pipePages: Map<number, number>;
  /** Bytes of all extended attributes, names and values. */
  xattrBytes: number;
  /** Mount of pipes, sockets and anonymous inodes, which has no place in the tree. */
  anonMount: number;
  /** The one inode behind all anonymous files (eventfd, epoll …). */
  anonInode: number;
  rootMount: number;
  nextInode: number;
  nextDentry: number;
  nextSuperBlock: number;
  nextMount: number;
  nextFile: number;
  nextFdTable: number;
  nextFsStruct: number;
  nextPipe: number;
  nextEpollItem: number;
  nextLock: number;
  nextWatch: number;
  /** Cookie that joins the two halves of a rename for inotify. */
  nextMoveCookie: number;
  /** Inode numbers of pipes and sockets (get_next_ino). */
  nextAnonIno: number;
  /** Minor of the next anonymous device number (st_dev of a file system without a disk). */
  nextAnonDev: number;
}

/** An empty table of everything; `bootFs` (mount.ts) makes the tree. */
export function fsInit(): FsState {
  return {
    inodes: new Map(), dentries: new Map(), superBlocks: new Map(), mounts: new Map(), files: new Map(), fdTables: new Map(),
    fsStructs: new Map(), pipes: new Map(), epollItems: new Map(), locks: new Map(), lockWaiters: new Map(), leases: new Map(), dnotify: new Map(),
    watches: new Map(), watched: new Map(), pipePages: new Map(), xattrBytes: 0,
    anonMount: 0, anonInode: 0, rootMount: 0,
    nextInode: 1, nextDentry: 1, nextSuperBlock: 1, nextMount: 1, nextFile: 1, nextFdTable: 1, nextFsStruct: 1, nextPipe: 1,
    nextEpollItem: 1, nextLock: 1, nextWatch: 1, nextMoveCookie: 1,
    // The recorded machine had handed out about ten thousand before its first shell.
    nextAnonIno: 10_001,
    nextAnonDev: 1,
  };
}
