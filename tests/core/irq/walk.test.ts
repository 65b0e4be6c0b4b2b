/** Work queues under random use: each queueing runs once or is taken back, never twice at a time, and all who wait are told. */
import { expect, test } from "vitest";
import { cancelWorkSync, drainWorkqueue, flushDelayedWork, flushWork, flushWorkqueue } from "../../../core/irq/flush.ts";
import { cancelDelayedWork, cancelWork, modDelayedWork, queueDelayedWork, queueWork, queueWorkOn } from "../../../core/irq/queue_work.ts";
import { initDelayedWork } from "../../../core/irq/work.ts";
import { allocOrderedWorkqueue, allocWorkqueue, workqueueSetMaxActive, WQ_CPU_INTENSIVE, WQ_HIGHPRI, WQ_UNBOUND } from "../../../core/irq/workqueue.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { nextBelow, seedRng } from "../../../core/lib/rng.ts";
import { NEXT, run, steps, to, type StepTable } from "../../../core/sched/steps.ts";
import { sleepUntil, timedOut } from "../../../core/sched/wait_queue.ts";
import { now } from "../../../core/time/clock.ts";
import { copy, expectSame } from "../../helpers/replay.ts";
import { inThread, MS, seen, stage } from "./stage.ts";

interface Tally {
  /** By item: how often it ran, and whether it runs now. */
  ran: number[];
  runs: boolean[];
  twice: number;
}

const tally = (k: Kernel): Tally => k.state.labs.get("walk") as Tally;

/** Computes and sleeps by turns, as its number says. */
steps<{ work: number; arg: number; turns?: number; untilNs?: number }>("test.walk_func", {
  begin: (k, _task, { locals }) => {
    const { runs } = tally(k);
    if (runs[locals.arg]) tally(k).twice++;
    runs[locals.arg] = true;
    locals.turns = locals.arg % 3;
    return NEXT;
  },
  compute: (_k, _task, { locals }) => run((locals.arg % 4) * MS / 2),
  look: (k, _task, { locals }) => {
    if (locals.turns === 0) return to("end");
    locals.turns = (locals.turns ?? 0) - 1;
    locals.untilNs = now(k) + (1 + locals.arg % 5) * MS;
    return NEXT;
  },
  sleep: (_k, task, { locals }) => (timedOut(task) ? to("compute") : sleepUntil(locals.untilNs ?? 0, { mode: "uninterruptible" })),
  end: (k, _task, { locals }) => {
    tally(k).runs[locals.arg] = false;
    tally(k).ran[locals.arg]++;
    return 0;
  },
});

const ITEMS = 12;

function walk(seed: number, length: number, budget?: number): Kernel {
  const m = stage({ cpus: 1 + seed % 3 });
  m.budget = budget;
  const k = m.kernel;
  const rng = seedRng(seed);
  const below = (limit: number): number => nextBelow(rng, limit);
  k.state.labs.set("walk", { ran: Array.from({ length: ITEMS }, () => 0), runs: Array.from({ length: ITEMS }, () => false), twice: 0 } satisfies Tally);
  const queues = [
    allocWorkqueue(k, "bound", 0, 0), allocWorkqueue(k, "few", 0, 1), allocWorkqueue(k, "free", WQ_UNBOUND, 3), allocOrderedWorkqueue(k, "ordered", 0),
    allocWorkqueue(k, "urgent", WQ_HIGHPRI, 2), allocWorkqueue(k, "heavy", WQ_CPU_INTENSIVE, 0),
  ];
  // As a module would: an item belongs to one queue.
  const items = Array.from({ length: ITEMS }, (_, arg) => ({ work: initDelayedWork(k, "test.walk_func", { arg }), wq: queues[arg % queues.length], due: 0 }));
  let waiters = 0;
  const wait = <L>(what: string, table: StepTable<L>, locals: L): void => {
    inThread(m, `${what}${waiters}`, table, locals);
    waiters++;
  };
  for (let at = 0; at < length; at++) {
    const item = items[below(ITEMS)];
    const { work, wq } = item;
    k.turn.cpu = below(k.state.machine.cpus);
    switch (below(12)) {
      case 0: case 1: if (queueWork(k, wq, work)) item.due++; break;
      case 2: if (queueWorkOn(k, below(k.state.machine.cpus), wq, work)) item.due++; break;
      case 3: if (queueDelayedWork(k, wq, work, below(6))) item.due++; break;
      case 4: if (!modDelayedWork(k, wq, work, below(4))) item.due++; break;
      case 5: if (cancelWork(k, work)) item.due--; break;
      case 6: if (cancelDelayedWork(k, work)) item.due--; break;
      case 7: wait("flush", flushWork, { work }); break;
      case 8: wait("flushq", flushWorkqueue, { wq }); break;
      case 9: wait("flushd", flushDelayedWork, { work }); break;
      case 10: workqueueSetMaxActive(k, queues[2], 1 + below(4)); break;
      default: m.advance(below(4));
    }
    if (at % 16 === 0) expect(m.broken(), `after ${at} of walk ${seed}`).toEqual([]);
  }
  const twin = stage({ cpus: 1 + seed % 3 });
  twin.kernel = copy(k);
  for (const one of [m, twin]) one.advance(3000);
  expectSame(m.kernel, twin.kernel);
  expect(tally(k).twice).toBe(0);
  expect(tally(k).ran).toEqual(items.map(({ due }) => due));
  expect(tally(k).ran.reduce((sum, count) => sum + count)).toBeGreaterThan(20);
  expect(seen(m)).toHaveLength(waiters);
  expect(m.broken()).toEqual([]);
  // Nothing is left but idle workers.
  for (const { worklist, running, workers, idle } of k.state.irq.wq.pools) expect({ worklist, running, idle: idle.length }).toEqual({ worklist: [], running: 0, idle: workers.length });
  for (const { work } of items) inThread(m, "cancel", cancelWorkSync, { work });
  for (const wq of queues) inThread(m, "drain", drainWorkqueue, { wq });
  m.advance(100);
  expect(seen(m).slice(waiters).sort()).toEqual([...items.map(() => "cancel=0"), ...queues.map(() => "drain=0")].sort());
  return m.kernel;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])("walk %i", (seed) => void walk(seed, 400));

test("slices of any size give the same bytes", () => {
  const whole = walk(9, 200);
  for (const budget of [1, 100]) expectSame(whole, walk(9, 200, budget));
});
