/**
 * The lock checker: who holds what, in which order classes are taken, and in which contexts (kernel/locking/lockdep.c).
 * Differs from Linux: checking goes on after a report; each finding is told once.
 */
import type { Kernel } from "../kernel.ts";
import { reportCircular, reportInconsistent, reportNotHeld, reportRecursive } from "./lockdep_report.ts";
import { ENABLED_HARDIRQ, ENABLED_SOFTIRQ, heldBy, READ_SHIFT, USED_IN_HARDIRQ, USED_IN_SOFTIRQ } from "./lockdep_held.ts";
import type { HeldLock, LockdepState } from "./lock_state.ts";
import { inHardirq, inServingSoftirq, inSoftirq, irqsDisabled } from "./preempt.ts";
import { callerOf, stackOf } from "./stack_trace.ts";
import { current } from "./task.ts";

export interface AcquireOptions {
  /** 0 exclusive, 1 shared, 2 shared and may be nested. */
  read?: number;
  /** It does not wait: no order follows from it. */
  trylock?: boolean;
  /** SINGLE_DEPTH_NESTING and the like: a class of its own. */
  subclass?: number;
}

/** What the checker looks at: a lock's id, class and kind. */
export type Checked = Pick<HeldLock, "kind" | "name"> & { id: number };

/** Orders that are kept; a kernel with more classes than this goes unchecked. */
const EDGE_LIMIT = 4096;

/** Whether lock debugging is on: a proprietary module turns it off (debug_locks). */
export const debugLocks = (k: Kernel): boolean => !k.state.modules.lockdepOff;

/** Says a finding once. */
export function once(k: Kernel, finding: string, report: () => void): void {
  const { reported } = k.state.sched.lockdep;
  if (!debugLocks(k) || reported.includes(finding) || reported.length >= EDGE_LIMIT) return;
  reported.push(finding);
  report();
}

/** The running code is about to take a lock: checks it against what it holds, and counts it among that (lock_acquire). */
export function lockAcquire(k: Kernel, { id, name, kind }: Checked, { read = 0, trylock = false, subclass = 0 }: AcquireOptions = {}): void {
  const { lockdep } = k.state.sched;
  const tid = k.turn.current;
  const held = heldBy(k, tid);
  const next: HeldLock = { lock: id, name: subclass === 0 ? name : `${name}/${subclass}`, kind, read, trylock, at: callerOf(k, current(k)) };
  if (kind === "spinlock" || kind === "rwlock" || !lockdep.usage.has(next.name)) markUsage(k, next);
  if (!trylock) checkHeld(k, held, next);
  // The map holds no empty list.
  if (held.length === 0) lockdep.held.set(tid, [next]);
  else held.push(next);
}

/** The running code lets a lock go, or gives up waiting for it: false, and a report, when it does not hold it (lock_release). */
export function lockRelease(k: Kernel, { id, name, kind }: Checked): boolean {
  const tid = k.turn.current;
  if (dropHeld(k, tid, id)) return true;
  once(k, `unlock ${name}`, () => reportNotHeld(k, { lock: id, name, kind, read: 0, trylock: false, at: callerOf(k, current(k)) }));
  return false;
}

/** Takes the newest hold of a lock off a task's list; false when there is none. */
export function dropHeld(k: Kernel, tid: number, id: number): boolean {
  const held = heldBy(k, tid);
  const at = held.findLastIndex(({ lock }) => lock === id);
  if (at < 0) return false;
  held.splice(at, 1);
  if (held.length === 0) k.state.sched.lockdep.held.delete(tid);
  return true;
}

/** A write hold becomes a read hold (lock_downgrade). */
export function lockDowngrade(k: Kernel, id: number): void {
  const held = heldBy(k, k.turn.current).find(({ lock }) => lock === id);
  if (held !== undefined) held.read = 1;
}

/** Whether the running code holds the lock (lockdep_is_held). */
export const lockIsHeld = (k: Kernel, id: number): boolean => heldBy(k, k.turn.current).some(({ lock }) => lock === id);

function checkHeld(k: Kernel, held: readonly HeldLock[], next: HeldLock): void {
  for (const before of held) {
    if (before.name !== next.name || (before.read === 2 && next.read === 2)) continue;
    once(k, `recursive ${next.name}`, () => reportRecursive(k, next, before));
    return;
  }
  for (let at = held.length - 1; at >= 0; at--) {
    addOrder(k, held[at], next);
    // What was taken before a lock that waited is ordered before it already.
    if (!held[at].trylock) break;
  }
}

/** `next` is taken while `before` is held: a circle when `before` was ever taken, by whatever way, inside `next`. */
function addOrder(k: Kernel, before: HeldLock, next: HeldLock): void {
  const { edges } = k.state.sched.lockdep;
  const known = edges.get(before.name);
  if (known?.some(({ to }) => to === next.name) === true) return;
  const path = pathBetween(edges, next.name, before.name);
  if (path !== null) once(k, `circular ${before.name} ${next.name}`, () => reportCircular(k, before, next, path));
  // A circle is not entered into the graph: it would close every later search.
  if (path !== null || count(edges) >= EDGE_LIMIT) return;
  const edge = { to: next.name, trace: stackOf(k, current(k)) };
  if (known === undefined) edges.set(before.name, [edge]);
  else known.push(edge);
}

const count = (edges: LockdepState["edges"]): number => [...edges.values()].reduce((sum, { length }) => sum + length, 0);

/** One link of a way through the graph: `name` was taken inside the one before it, there. */
export interface Link {
  name: string;
  trace: string[];
}

/** The shortest way from one class to another, without its start; null for none. */
function pathBetween(edges: LockdepState["edges"], from: string, to: string): Link[] | null {
  const cameFrom = new Map<string, { before: string; trace: string[] }>();
  const queue = [from];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    for (const edge of edges.get(name) ?? []) {
      if (edge.to === from || cameFrom.has(edge.to)) continue;
      cameFrom.set(edge.to, { before: name, trace: edge.trace });
      if (edge.to === to) return wayBack(cameFrom, from, to);
      queue.push(edge.to);
    }
  }
  return null;
}

function wayBack(cameFrom: Map<string, { before: string; trace: string[] }>, from: string, to: string): Link[] {
  const path: Link[] = [];
  for (let name = to; name !== from;) {
    const { before, trace } = cameFrom.get(name) ?? { before: from, trace: [] };
    path.unshift({ name, trace });
    name = before;
  }
  return path;
}

/** Notes the context in which a class is taken; one taken in interrupts must never be taken with them open (mark_lock). */
function markUsage(k: Kernel, next: HeldLock): void {
  const { usage } = k.state.sched.lockdep;
  const shift = next.read === 0 ? 0 : READ_SHIFT;
  let bits = 0;
  if (inHardirq(k)) bits |= USED_IN_HARDIRQ;
  else if (!irqsDisabled(k)) bits |= ENABLED_HARDIRQ;
  if (inServingSoftirq(k)) bits |= USED_IN_SOFTIRQ;
  else if (!inHardirq(k) && !irqsDisabled(k) && !inSoftirq(k)) bits |= ENABLED_SOFTIRQ;
  const old = usage.get(next.name) ?? 0;
  if ((old | bits << shift) === old) return;
  usage.set(next.name, old | bits << shift);
  if (next.kind !== "spinlock" && next.kind !== "rwlock") return;
  const others = next.read === 0 ? old | old >> READ_SHIFT : old;
  for (const [used, enabled, word] of [[USED_IN_HARDIRQ, ENABLED_HARDIRQ, "HARDIRQ"], [USED_IN_SOFTIRQ, ENABLED_SOFTIRQ, "SOFTIRQ"]] as const) {
    const inside = (bits & used) !== 0 && (others & enabled) !== 0;
    if (!inside && !((bits & enabled) !== 0 && (others & used) !== 0)) continue;
    once(k, `inconsistent ${next.name}`, () => reportInconsistent(k, next, word, inside));
  }
}
