/** Random attaching, touching, forking, detaching and dying: no frame is lost, and the journal gives the same bytes again. */
import { expect, test } from "vitest";
import { nextBelow, seedRng } from "../../../core/lib/rng.ts";
import { freePages } from "../../../core/mm/page_alloc.ts";
import { CoreMachine } from "../../helpers/core.ts";
import { bootAgain, copy, expectSame, replay } from "../../helpers/replay.ts";

const PAGE = 4096;
const STEPS = 400;

for (const ssmem of ["fault", "anon", "seed"] as const) {
  test(`a random walk with ssmem=${ssmem}`, async () => {
    const machine = new CoreMachine({ ssmem, ramMiB: 8 });
    const random = seedRng(7);
    const below = (bound: number): number => nextBelow(random, bound);
    const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
    const freeAtStart = freePages(machine.kernel.state.mm);
    const parent = await machine.createProcess();
    let alive = [parent];
    let addrs: string[] = ["0x0"];
    let attached = 0;
    for (let step = 0; step < STEPS; step++) {
      const pid = pick(alive);
      const addr = pick(addrs);
      switch (below(6)) {
        case 0: case 1: {
          const answer = machine.callNow(pid, 320, { id: below(5), flags: below(9), length: below(3 * PAGE) });
          if ("ret" in answer && typeof answer.ret === "string") {
            addrs = [...addrs.slice(-20), answer.ret];
            attached++;
          }
          break;
        }
        case 2: machine.callNow(pid, 321, { addr }); break;
        case 3: machine.callNow(pid, "store", { addr, buf: "word" }, "report"); break;
        case 4: {
          if (alive.length >= 6) break;
          const answer = machine.callNow(pid, "fork", {});
          if ("ret" in answer && typeof answer.ret === "number" && answer.ret > 0) alive = [...alive, answer.ret];
          break;
        }
        case 5: if (pid !== parent) {
          machine.callNow(pid, "exit_group", { status: 0 });
          alive = alive.filter((one) => one !== pid);
        }
      }
      if (step % 40 === 0) expect(machine.broken()).toEqual([]);
    }
    expect(attached).toBeGreaterThan(30);
    expect(machine.broken()).toEqual([]);
    expectSame(replay(bootAgain(machine), machine.journal, (k, at) => (at % 97 === 0 ? copy(k) : k)), machine.kernel);
    if (ssmem === "seed") return;
    for (const pid of alive) machine.feed({ type: "killProcess", pid });
    expect(machine.text("/proc/ssmem")).toBe("  id pages frames attached\n");
    expect(freePages(machine.kernel.state.mm)).toBe(freeAtStart);
  });
}
