/** Numbers given out lowest first: fds, pids, minors, IPC ids (include/linux/idr.h). */
import { EBUSY, ENOSPC } from "../abi/errno.ts";
import { INT_MAX } from "../abi/limits.ts";

/** Which numbers are taken, 32 to a word; words of zeros at the end are left out, so that equal sets are equal data. */
export interface Ida {
  words: number[];
  /** Where idaAllocCyclic looks first. */
  next: number;
}

export const newIda = (): Ida => ({ words: [], next: 0 });

export const idaHas = (ida: Ida, id: number): boolean => ((ida.words[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;

/** The lowest free number from `min` to `max`, or undefined. */
function lowestFree(ida: Ida, min: number, max: number): number | undefined {
  let id = min;
  while (id <= max) {
    // Numbers below `id` in its word count as taken.
    const taken = (ida.words[id >>> 5] ?? 0) | ((1 << (id & 31)) - 1);
    if (taken !== -1) {
      const free = (id & ~31) + (31 - Math.clz32(~taken & -~taken));
      return free <= max ? free : undefined;
    }
    id = (id | 31) + 1;
  }
  return undefined;
}

function take(ida: Ida, id: number): void {
  while (ida.words.length <= id >>> 5) ida.words.push(0);
  ida.words[id >>> 5] |= 1 << (id & 31);
}

/** Takes the lowest free number from `min` to `max`, both included: the number, or -ENOSPC. */
export function idaAllocRange(ida: Ida, min: number, max: number): number {
  const id = lowestFree(ida, min, max);
  if (id === undefined) return -ENOSPC;
  take(ida, id);
  return id;
}

/** Takes the lowest free number of all, from 0. */
export const idaAlloc = (ida: Ida): number => idaAllocRange(ida, 0, INT_MAX);

/** Takes the next free number after the last one given, starting again at `min` after `max`: the number, or -ENOSPC. */
export function idaAllocCyclic(ida: Ida, min: number, max: number): number {
  const from = Math.max(min, ida.next);
  const id = lowestFree(ida, from, max) ?? lowestFree(ida, min, Math.min(from - 1, max));
  if (id === undefined) return -ENOSPC;
  take(ida, id);
  ida.next = id + 1;
  return id;
}

/** Takes one number: 0, or -EBUSY when it is taken. */
export function idaReserve(ida: Ida, id: number): number {
  if (idaHas(ida, id)) return -EBUSY;
  take(ida, id);
  return 0;
}

/** Gives a number back; one that is free stays free. */
export function idaFree(ida: Ida, id: number): void {
  if (!idaHas(ida, id)) return;
  ida.words[id >>> 5] &= ~(1 << (id & 31));
  while (ida.words.length > 0 && ida.words[ida.words.length - 1] === 0) ida.words.pop();
}

/** The numbers that are taken, ascending. */
export function idaMembers(ida: Ida): number[] {
  const members: number[] = [];
  for (let word = 0; word < ida.words.length; word++) {
    for (let left = ida.words[word]; left !== 0; left &= left - 1) members.push(word * 32 + 31 - Math.clz32(left & -left));
  }
  return members;
}

/** Numbers with what they stand for. */
export interface Idr<T> {
  ids: Ida;
  entries: Map<number, T>;
}

export const newIdr = <T>(): Idr<T> => ({ ids: newIda(), entries: new Map() });

/** Stores `value` under the lowest free number from `start` to `end` - 1 (`end` 0: no limit): the number, or -ENOSPC. */
export function idrAlloc<T>(idr: Idr<T>, value: T, start: number, end: number): number {
  const id = idaAllocRange(idr.ids, start, end > 0 ? end - 1 : INT_MAX);
  if (id >= 0) idr.entries.set(id, value);
  return id;
}

export function idrAllocCyclic<T>(idr: Idr<T>, value: T, start: number, end: number): number {
  const id = idaAllocCyclic(idr.ids, start, end > 0 ? end - 1 : INT_MAX);
  if (id >= 0) idr.entries.set(id, value);
  return id;
}

export const idrFind = <T>(idr: Idr<T>, id: number): T | undefined => idr.entries.get(id);

/** Takes an entry out and answers what it was. */
export function idrRemove<T>(idr: Idr<T>, id: number): T | undefined {
  const value = idr.entries.get(id);
  idr.entries.delete(id);
  idaFree(idr.ids, id);
  return value;
}
