/** Processes do what a model of their family foretells. */
import { expect, test } from "vitest";
import { processes } from "./processes.ts";
import { check, Seat } from "./walk.ts";

test("processes: fork, exit, signals, groups, sessions, waiting", () => check(processes, 1, 3000));

test("a stopped group is hung up too when the last tie that goes is the parent of a zombie", () => {
  const seat = new Seat();
  const father = Number(seat.call(seat.pid, "fork", {}).ret);
  const leader = Number(seat.call(father, "fork", {}).ret);
  seat.expect(father, "setpgid", { pid: leader, pgid: 0 }, 0);
  const stopped = Number(seat.call(leader, "fork", {}).ret);
  seat.call(leader, "exit_group", { status: 0 });
  // Nobody can continue it any more, but the stop comes after that.
  seat.expect(seat.pid, "kill", { pid: stopped, sig: "SIGSTOP" }, 0);
  expect(seat.m.kernel.state.sched.groups.has(stopped)).toBe(true);
  seat.call(father, "exit_group", { status: 0 });
  expect(seat.m.kernel.state.sched.groups.has(stopped)).toBe(false);
  seat.sound();
});
