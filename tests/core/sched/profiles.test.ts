/** Cost profiles: every figure says what it is and where it comes from, and is what work is charged. */
import { machine, thread } from "./actors.ts";
import { expect, test } from "vitest";
import { costs } from "../../../core/sched/cost.ts";
import { figures, profiles } from "../../../core/sched/profiles/index.ts";
import { NEXT, steps } from "../../../core/sched/steps.ts";

test("each figure has a sentence and a source", () => {
  expect(Object.keys(figures)).toEqual(Object.keys(profiles));
  for (const [profile, named] of Object.entries(figures)) {
    for (const [name, { ns, what, source }] of Object.entries(named)) {
      expect(ns, `${profile}.${name}`).toBeGreaterThan(0);
      expect(what, `${profile}.${name}`).toMatch(/^[A-Z0-9].{15,}\.$/);
      expect(source, `${profile}.${name}`).toMatch(/^[A-Za-z0-9].{15,}\.$/);
      expect(profiles[profile][name as keyof (typeof profiles)[string]], `${profile}.${name}`).toBe(ns);
    }
  }
});

test("a machine works at its profile's cost", () => {
  const m = machine({ cpus: 1 });
  const task = thread(m, "steps", steps<object>("test.profiles.steps", { one: () => NEXT, two: () => NEXT, three: () => NEXT }), {});
  m.advance(1);
  expect(m.kernel.state.sched.tasks.has(task.tid)).toBe(false);
  expect(task.stimeNs).toBeGreaterThanOrEqual(costs(m.kernel).exitNs + 3 * costs(m.kernel).stepNs);
});
