/** A random machine of hogs, sleepers, timers and calls, looked at after every single event: where the time went, adds up. */
import { handle } from "../../../core/index.ts";
import type { Input, MachineOptions } from "../../../core/input.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { createProgram, kthread } from "../../../core/process/create.ts";
import { charge } from "../../../core/sched/cost.ts";
import { cpuAccount, taskTimes } from "../../../core/sched/cpu_time.ts";
import { affinityChanged, reweigh } from "../../../core/sched/run_queue.ts";
import { run, steps, to } from "../../../core/sched/steps.ts";
import type { Task } from "../../../core/sched/task.ts";
import { newWaitQueue, sleepOn, sleepUntil, wake } from "../../../core/sched/wait_queue.ts";
import { now } from "../../../core/time/clock.ts";
import { jiffies } from "../../../core/time/jiffies.ts";
import { modTimer, timerFunction, timerSetup } from "../../../core/time/timer_list.ts";
import { armTimer, timerCallback } from "../../../core/time/timer.ts";
import { CoreMachine } from "../../helpers/core.ts";

/** What the actors share, in the state like everything else. */
interface Scene {
  random: number;
  queue: number;
  timers: number[];
}

const scene = (k: Kernel): Scene => k.state.labs.get("clocks") as Scene;

/** The next number of the scene's own, below `limit`. */
function below(k: Kernel, limit: number): number {
  const at = scene(k);
  at.random = (Math.imul(at.random, 1664525) + 1013904223) >>> 0;
  return Math.floor((at.random / 2 ** 32) * limit);
}

/** Computes, works in the kernel, wakes others and sleeps, each for as long as chance has it; for ever. */
const actor = steps<{ lazy: boolean }>("test.clocks.actor", {
  compute: (k) => run(below(k, 4) === 0 ? below(k, 30_000_000) : below(k, 200_000)),
  kernel: (k) => {
    charge(k, below(k, 20_000));
    if (below(k, 3) === 0) wake(k, scene(k).queue);
    if (below(k, 8) === 0) armTimer(k, { expiresNs: now(k) + below(k, 5_000_000), callback: "test.clocks.hr", arg: 0 });
    if (below(k, 8) === 0) modTimer(k, scene(k).timers[below(k, 4)], jiffies(k) + below(k, 12));
    return { act: "next" };
  },
  rest: (k, _task, { locals }) => {
    const what = below(k, locals.lazy ? 3 : 9);
    if (what === 0) return to("sleep");
    return what === 1 ? to("wait") : to("compute");
  },
  sleep: (k, task) => (task.timedOut || below(k, 4) === 0 ? to("compute") : sleepUntil(now(k) + below(k, 8_000_000))),
  wait: (k, task) => (task.timedOut || below(k, 3) === 0 ? to("compute") : sleepOn(scene(k).queue, { untilNs: now(k) + 20_000_000 })),
});

timerCallback("test.clocks.hr", (k) => {
  charge(k, below(k, 3000));
  wake(k, scene(k).queue);
});
timerFunction("test.clocks.wheel", (k, _arg, timer) => {
  charge(k, below(k, 5000));
  if (below(k, 2) === 0) modTimer(k, timer, jiffies(k) + below(k, 40));
});

const POLICIES = [0, 0, 0, 3, 5, 1, 2];

/** One thing from outside: an actor, another nice value, policy or affinity, a call, or time. */
function act(m: CoreMachine, pid: number, at: number): Input {
  const k = m.kernel;
  const actors = [...k.state.sched.tasks.values()].filter(({ frames }) => frames.some(({ code }) => code === actor.name));
  const { cpus } = k.state.machine;
  const some = actors[below(k, actors.length)];
  const stamp = { atNs: k.state.time.nowNs };
  switch (below(k, 8)) {
    case 0:
      if (actors.length < 10) {
        const lazy = below(k, 2) === 0;
        if (below(k, 2) === 0) kthread(k, `actor/${at}`, actor, { lazy });
        else createProgram(k, { comm: "actor", uid: 0, member: "test", home: "/", code: actor.name, locals: { lazy } });
      }
      break;
    case 1:
      if (some !== undefined) reweigh(k, some, () => { some.nice = below(k, 40) - 20; });
      break;
    case 2:
      if (some !== undefined) setPolicy(k, some, POLICIES[below(k, POLICIES.length)]);
      break;
    case 3:
      if (some !== undefined) {
        some.affinity = below(k, 2 ** cpus - 1) + 1;
        affinityChanged(k, some);
      }
      break;
    case 4: return { ...stamp, type: "syscall", pid, callId: `c${at}`, call: "sched_yield", args: {} };
    case 5: return { ...stamp, type: "syscall", pid, callId: `c${at}`, call: "getdents64", args: { fd: 0, count: 100 } };
    default:
  }
  return { ...stamp, type: "advance", byNs: below(k, 20_000_000) };
}

function setPolicy(k: Kernel, task: Task, policy: number): void {
  reweigh(k, task, () => {
    task.policy = policy;
    task.rtPriority = policy === 1 || policy === 2 ? 1 + below(k, 5) : 0;
  });
}

/** What does not add up; "" when all does. */
export function unaccounted(k: Kernel): string {
  const { cpus, tasks, groups } = k.state.sched;
  let busy = 0;
  for (const cpu of cpus) {
    const { user, nice, system, idle, irq, softirq } = cpuAccount(k, cpu);
    if (Math.min(user, nice, system, idle, irq, softirq) < 0) return `CPU ${cpu.id} has spent less than nothing: ${JSON.stringify(cpuAccount(k, cpu))}`;
    const sum = user + nice + system + idle + irq + softirq;
    const should = Math.max(now(k), cpu.clockNs);
    if (sum !== should) return `CPU ${cpu.id} accounts for ${sum} of ${should} ns`;
    busy += user + nice + system;
  }
  let own = 0;
  for (const task of tasks.values()) {
    const { utimeNs, stimeNs } = taskTimes(k, task);
    own += utimeNs + stimeNs;
  }
  for (const group of groups.values()) own += group.deadUtimeNs + group.deadStimeNs;
  return busy === own ? "" : `the CPUs have worked ${busy} ns for tasks, which know of ${own}`;
}

/** A machine with its scene set. */
export function newScene(seed: number, machine: MachineOptions): CoreMachine {
  const m = new CoreMachine({ ramMiB: 16, swapMiB: 0, ...machine });
  const k = m.kernel;
  const timers = [0, 1, 2, 3].map(() => timerSetup(k, "test.clocks.wheel"));
  k.state.labs.set("clocks", { random: seed >>> 0, queue: newWaitQueue(k), timers } satisfies Scene);
  return m;
}

/** Goes on until `events` single events have happened, each checked; throws at the first that does not add up. Answers what happened. */
export function clocks(seed: number, events: number): { inputs: number; cpus: number } {
  const m = newScene(seed, { cpus: 1 + (seed % 4), hz: [100, 250, 300, 1000][Math.floor(seed / 4) % 4] });
  const k = m.kernel;
  const made = m.feed({ type: "createProcess", comm: "sh", uid: 0, member: "owner", home: "/" });
  let inputs = 0;
  for (let event = 0; event < events;) {
    let input = act(m, made.pid ?? 0, inputs++);
    for (;;) {
      const { more, refusal } = handle(k, input, 1);
      if (refusal !== undefined) throw new Error(JSON.stringify(refusal));
      event++;
      const wrong = unaccounted(k);
      if (wrong !== "") throw new Error(`event ${event}, after ${JSON.stringify(input)}: ${wrong}`);
      if (!more) break;
      input = { type: "run", atNs: k.state.time.nowNs };
    }
  }
  const broken = m.broken();
  if (broken.length > 0) throw new Error(broken.join("\n"));
  return { inputs, cpus: k.state.machine.cpus };
}
