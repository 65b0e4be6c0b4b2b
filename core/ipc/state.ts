/** What System V IPC keeps: shared memory segments, semaphore sets, message queues. */
import type { MsgQueue } from "./msg.ts";
import type { SemSet } from "./sem.ts";
import type { ShmSegment } from "./shm.ts";
import { newIda, type Ida } from "../lib/idr.ts";

/** How ids of one kind are given out. */
export interface IpcIds {
  /** Indexes in use: the low 15 bits of an id. */
  indexes: Ida;
  lastIndex: number;
  /** The high bits: they grow when an index is used again, so that an old id does not name a new object. */
  seq: number;
}

export interface IpcState {
  shm: Map<number, ShmSegment>;
  sem: Map<number, SemSet>;
  msg: Map<number, MsgQueue>;
  shmIds: IpcIds;
  semIds: IpcIds;
  msgIds: IpcIds;
}

const newIds = (): IpcIds => ({ indexes: newIda(), lastIndex: -1, seq: 0 });

export function ipcInit(): IpcState {
  return { shm: new Map(), sem: new Map(), msg: new Map(), shmIds: newIds(), semIds: newIds(), msgIds: newIds() };
}
