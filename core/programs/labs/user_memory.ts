/** A program's own loads and stores: real accesses with their faults; a forbidden one is the program's death. */
import { getU32, putU32 } from "../../lib/bytes.ts";
import { loadUser, storeUser } from "../../mm/access.ts";
import type { BadAccess } from "../../mm/fault.ts";
import { forceSignal } from "../../sched/signal.ts";
import type { Proc } from "../proc.ts";

/** What an access says when it was the last: the step goes to one that makes any call, on whose return the signal is delivered. */
function died({ k, task }: Proc, { signal, siCode, addr }: BadAccess): false {
  forceSignal(k, task, signal, { code: siCode, addr });
  return false;
}

/** Stores bytes; false when the program dies of it. */
export function store(p: Proc, addr: number, bytes: Uint8Array): boolean {
  const { fault } = storeUser(p.k, p.task, addr, bytes);
  return fault === null || died(p, fault);
}

/** `count` bytes, or false when the program dies of it. */
export function load(p: Proc, addr: number, count: number): Uint8Array | false {
  const { bytes, fault } = loadUser(p.k, p.task, addr, count);
  return fault === null ? bytes : died(p, fault);
}

export function store32(p: Proc, addr: number, value: number): boolean {
  const bytes = new Uint8Array(4);
  putU32(bytes, 0, value);
  return store(p, addr, bytes);
}

export function load32(p: Proc, addr: number): number | false {
  const bytes = load(p, addr, 4);
  return bytes === false ? false : getU32(bytes, 0);
}
