/** Cost profiles: every figure says what it is and where it comes from, and is what work is charged. */
import { machine, thread } from "./actors.ts";
import { expect, test } from "vitest";
import { costs } from "../../../core/sched/cost.ts";
import { figures, profiles } from "../../../core/sched/profiles/index.ts";
import { NEXT, steps } from "../../../core/sched/steps.ts";
import { Shell } from "../programs/shell.ts";

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
  expect(task.stimeNs).toBeGreaterThanOrEqual(costs(m.kernel).threadExitNs + 3 * costs(m.kernel).stepNs);
});

test("a thread costs less to make and to end than a process", () => {
  const { forkNs, exitNs, threadNs, threadExitNs } = costs(machine({ cpus: 1 }).kernel);
  expect(threadNs + threadExitNs).toBeLessThan((forkNs + exitNs) / 5);
});

const LINES = 200;

/** Kernel time of a command that prints a text, ns, on one CPU: for who asked for it, or on a terminal of its own. */
function spent(text: string, tty: boolean): number {
  const sh = new Shell({ cpus: 1 });
  sh.put("/tmp/text", text);
  const { time } = sh.machine.kernel.state;
  const from = time.nowNs;
  const command = { argv: ["cat", "/tmp/text"] };
  if (tty) sh.machine.feed({ type: "openTty", command, uid: 0, member: "owner", home: "/root", rows: 24, columns: 80 });
  else sh.run(command);
  return time.nowNs - from;
}

test.each([["a command", false], ["a terminal", true]])("each line that %s shows takes its time", (_who, tty) => {
  const { consoleNs } = costs(new Shell().machine.kernel);
  const shown = spent("a line\n".repeat(LINES + 1), tty) - spent(`${"a line.".repeat(LINES)}a line\n`, tty);
  expect(Math.round(shown / consoleNs)).toBe(LINES);
});
