/** Threads that take and leave locks at random: nothing breaks, and neither the budget nor a snapshot changes what happens. */
import { describe, expect, test } from "vitest";
import { initCompletion } from "../../../core/sched/completion.ts";
import { mutexInit } from "../../../core/sched/mutex.ts";
import { initRwsem } from "../../../core/sched/rwsem.ts";
import { semaInit } from "../../../core/sched/semaphore.ts";
import { spinLockInit } from "../../../core/sched/spinlock.ts";
import { rwlockInit } from "../../../core/sched/rwlock.ts";
import { nextU32, seedRng } from "../../../core/lib/rng.ts";
import { act, dmesg, sameHowever, sceneOf, type Act } from "./actors.ts";
import type { CoreMachine } from "../../helpers/core.ts";

interface Locks {
  mutexes: number[];
  semaphore: number;
  rwsem: number;
  spin: number;
  rwlock: number;
  done: number;
}

/** Sections of random locks, each left again, with work and sleep in them where that is allowed. */
function script(next: (below: number) => number, { mutexes, semaphore, rwsem, spin, rwlock, done }: Locks): Act[] {
  const acts: Act[] = [];
  const work = (): Act => ["run", 10_000 + next(300_000)];
  const pause = (): Act => (next(2) === 0 ? work() : ["sleep", 1 + next(4)]);
  for (let count = 0; count < 12; count++) {
    switch (next(9)) {
      case 0: acts.push(["lock", mutexes[0]], pause(), ["unlock", mutexes[0]]); break;
      // Always in this order: no circle.
      case 1: acts.push(["lock", mutexes[0]], work(), ["lock", mutexes[1]], pause(), ["unlock", mutexes[1]], ["unlock", mutexes[0]]); break;
      case 2: acts.push(["down", semaphore], pause(), ["up", semaphore]); break;
      case 3: acts.push(["read", rwsem], pause(), ["upRead", rwsem]); break;
      case 4: acts.push(["write", rwsem], pause(), ["downgrade", rwsem], pause(), ["upRead", rwsem]); break;
      case 5: acts.push(["spin", spin], work(), ["unspin", spin]); break;
      case 6: acts.push(["spinIrqsave", spin], work(), ["unspinIrqrestore", spin]); break;
      case 7: acts.push(...(next(2) === 0 ? [["readLock", rwlock], work(), ["readUnlock", rwlock]] as Act[] : [["writeLock", rwlock], work(), ["writeUnlock", rwlock]] as Act[])); break;
      case 8: acts.push(["complete", done], work(), ["waitTimeout", done, 1 + next(5)]); break;
    }
  }
  acts.push(["tell", "ends"]);
  return acts;
}

function play(seed: number, m: CoreMachine, pause: () => void): void {
  const rng = seedRng(seed);
  const next = (below: number): number => nextU32(rng) % below;
  const { kernel: k } = m;
  const locks: Locks = {
    mutexes: [mutexInit(k, "first"), mutexInit(k, "second")], semaphore: semaInit(k, 2), rwsem: initRwsem(k, "rwsem"), spin: spinLockInit(k, "spin"),
    rwlock: rwlockInit(k, "rwlock"), done: initCompletion(k),
  };
  for (let thread = 0; thread < 6; thread++) act(m, `t${thread}`, ...script(next, locks));
  for (let step = 0; step < 30; step++) {
    m.advance(1 + next(15));
    expect(m.broken()).toEqual([]);
    pause();
  }
  m.advance(2000);
}

describe("at random", () => {
  for (const seed of [1, 2, 3]) {
    for (const cpus of [1, 3]) {
      test(`seed ${seed}, ${cpus} CPUs`, () => {
        let last: CoreMachine | null = null;
        const lines = sameHowever((m, pause) => {
          play(seed, m, pause);
          last = m;
        }, { cpus });
        expect(lines.filter((line) => line.includes(" ends"))).toHaveLength(6);
        const m = last as unknown as CoreMachine;
        expect(dmesg(m).filter((line) => /BUG|WARNING|INFO/.test(line))).toEqual([]);
        expect(m.kernel.state.sched.lockdep.held.size).toBe(0);
        expect(sceneOf(m.kernel).told).toEqual(lines);
      });
    }
  }
});
