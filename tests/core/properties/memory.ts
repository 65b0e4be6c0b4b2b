/**
 * Processes that map, touch, share, move and give back memory on a machine of 8 MiB, with and without swap, beside a model of
 * its bytes. After every step all frames are accounted for; when all have exited, nothing is held.
 */
import { restore, snapshot } from "../../../core/index.ts";
import type { Json, MachineOptions } from "../../../core/input.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { mmInvariants } from "../../../core/mm/invariants.ts";
import { freePages, totalPages } from "../../../core/mm/page_alloc.ts";
import { pteValue } from "../../../core/mm/page_table.ts";
import { CoreMachine } from "../../helpers/core.ts";
import { among, PAGE, type Page, type Process, type Store } from "./memory_model.ts";
import { MemoryActs } from "./memory_acts.ts";
import { type Answer } from "./walk.ts";

/** Steps on one machine, between two looks at all invariants, and between two snapshots that the machine goes on from. */
const ROUND = 2500;
const LOOK_EVERY = 400;
const RESTORE_EVERY = 900;

const MACHINES: MachineOptions[] = [
  { ramMiB: 8, swapMiB: 8 }, { ramMiB: 8, swapMiB: 0 }, { ramMiB: 8, swapMiB: 2, ssmem: "anon" }, { ramMiB: 8, swapMiB: 64 },
];

/** Numbers by chance, the same for the same seed. */
export class Chance {
  private at: number;
  constructor(seed: number) {
    this.at = seed >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    this.at = (Math.imul(this.at, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.at / 2 ** 32) * limit);
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
}

/** A kernel and what is known of it. */
export class MemoryWalk {
  readonly m: CoreMachine;
  readonly machine: MachineOptions;
  readonly chance: Chance;
  processes: Process[] = [];
  readonly segments: { id: number; store: Store }[] = [];
  /** The file that all processes have open as fd 3; it grows and shrinks. */
  readonly file: Store = { bytes: new Map(), pages: 0, kind: "file", doubtful: new Set() };
  mappings = 0;
  /** The last calls, for whoever looks into a difference. */
  private readonly last: string[] = [];
  private kills = 0;
  /** How many were killed before this step. */
  killsBefore = 0;

  constructor(machine: MachineOptions, chance: Chance) {
    this.m = new CoreMachine(machine);
    this.machine = machine;
    this.chance = chance;
  }

  get k(): Kernel {
    return this.m.kernel;
  }

  /** A process of its own; children come by fork. */
  begin(): void {
    const home = "/root/memory";
    this.m.feed({ type: "makeHome", path: home, uid: 0 });
    const { pid } = this.m.feed({ type: "createProcess", comm: "walk", uid: 0, member: "owner", home });
    if (pid === undefined) throw this.wrong("no process could be made");
    const process = { pid, pages: new Map<number, Page>(), regions: [] };
    this.processes.push(process);
    const opened = this.call(process, "openat", { pathname: "m", flags: "O_RDWR|O_CREAT", mode: 0o600 });
    if (opened !== null) this.same("fd", opened.ret, 3);
    this.call(process, "rt_sigaction", { signum: "SIGCHLD", act: { sa_handler: "SIG_IGN" } });
  }

  /** Makes a call; null when the process died of it, for want of memory. Others may have died too. */
  call(process: Process, name: string, args: Json): Answer | null {
    const answer = this.m.callNow(process.pid, name, args, "report") as unknown as Answer;
    this.m.journal.length = 0;
    const strace = typeof answer.strace === "string" ? answer.strace.slice(0, 200) : `${name}(${JSON.stringify(args).slice(0, 200)}): ${JSON.stringify(answer).slice(0, 200)}`;
    this.last.push(`${process.pid} ${strace}`);
    if (this.last.length > 12) this.last.shift();
    this.bury();
    if (answer.state === "sleeping") throw this.wrong(`a call sleeps in ${JSON.stringify(answer.wchan)}`);
    return this.processes.includes(process) ? answer : null;
  }

  /** Calls in one trip, each whether it succeeded; null when the process died of them. */
  batch(process: Process, calls: { call: string; args: Json }[]): boolean[] | null {
    const callId = `batch${this.m.calls++}`;
    const output = this.m.feed({ type: "batch", pid: process.pid, callId, calls, onError: "continue" });
    this.m.journal.length = 0;
    this.last.push(`${process.pid} ${calls.length} calls from ${JSON.stringify(calls[0])}`);
    if (this.last.length > 12) this.last.shift();
    const answer = output.ended.find((end) => end.callId === callId)?.answer;
    this.bury();
    if (!this.processes.includes(process)) return null;
    if (answer?.state !== "returned" || !("results" in answer)) throw this.wrong(`a batch did not end: ${JSON.stringify(output).slice(0, 300)}`);
    const results = answer.results as unknown as Answer[];
    const failed = results.find((one) => one.ret !== 1);
    if (failed !== undefined) this.last.push(`${process.pid} ${String(failed.strace)}`);
    return results.map((one) => one.ret === 1);
  }

  /** Takes out who was killed; only memory that is short kills. */
  private bury(): void {
    const { sched, mm } = this.k.state;
    const dead = this.processes.filter(({ pid }) => (sched.groups.get(pid)?.exiting ?? 0) >= 0);
    if (dead.length === 0) return;
    if (mm.events.oomKill === this.kills) throw this.wrong(`process ${dead[0].pid} is gone, and nobody killed it`);
    this.kills = mm.events.oomKill;
    this.processes = this.processes.filter((one) => !dead.includes(one));
  }

  /** An exit that was asked for. */
  exited(process: Process): void {
    this.processes = this.processes.filter((one) => one !== process);
  }

  /** Whether an errno may be for want of memory. */
  isShort(): boolean {
    const { mm } = this.k.state;
    return mm.events.oomKill > this.killsBefore || freePages(mm) < mm.watermarks.min + 32;
  }

  /** A call that must answer `wanted`, unless memory is short and it says so; false when it did nothing. */
  did(process: Process, name: string, args: Json, wanted: Json | undefined): boolean {
    const answer = this.call(process, name, args);
    if (answer === null) return false;
    const got = answer.errno ?? answer.ret;
    if (got !== wanted && typeof got === "string" && SHORT.includes(got) && this.isShort()) return false;
    if (wanted !== undefined) this.same(name, got, wanted);
    return answer.errno === null;
  }

  wrong(what: string): Error {
    return new Error(`${what}\n  ${this.last.join("\n  ")}`);
  }

  same(what: string, got: Json | undefined, wanted: Json | undefined): void {
    const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
    if (a !== b) throw this.wrong(`${what}: the kernel says ${a ?? "nothing"}, the model ${b ?? "nothing"}`);
  }

  /** The cheap sums, after every step. */
  sums(): void {
    const { mm } = this.k.state;
    const used = Object.values(mm.used).reduce((sum, count) => sum + count, 0);
    if (used + freePages(mm) !== totalPages(mm)) throw this.wrong(`${used} frames used and ${freePages(mm)} free are not ${totalPages(mm)}`);
    if (Object.values(mm.used).some((count) => count < 0)) throw this.wrong(`frames by use: ${JSON.stringify(mm.used)}`);
  }

  /** Everything, now and then: each reference, and that locked pages are there. */
  look(): void {
    const broken = mmInvariants(this.k);
    if (broken.length > 0) throw this.wrong(broken.slice(0, 5).join("\n"));
    for (const { pid, pages } of this.processes) {
      const space = this.k.state.mm.spaces.get(this.k.state.sched.tasks.get(pid)!.mm)!;
      for (const [number, page] of pages) {
        if (page.resident && (pteValue(this.k.state.mm, space, number * PAGE) & 0x101n) === 0n) throw this.wrong(`locked page ${number.toString(16)} of ${pid} is not there`);
      }
    }
  }

  /** The machine goes on from its own snapshot. */
  restored(): void {
    this.m.kernel = restore(snapshot(this.k));
  }

  /** Everybody exits, files and segments go. */
  end(): void {
    if (this.processes.length === 0) this.begin();
    const [one] = this.processes;
    for (const { id } of this.segments.splice(0)) this.call(one, "shmctl", { shmid: id, cmd: "IPC_RMID" });
    this.call(one, "unlink", { pathname: "m" });
    for (const { pid } of this.processes.splice(0)) this.m.feed({ type: "killProcess", pid });
    this.m.advance(1000);
    this.m.journal.length = 0;
  }

  /** What is in use, for the comparison of beginning and end. */
  held(): Json {
    const { mm, ipc, labs } = this.k.state;
    return { used: { ...mm.used }, free: freePages(mm), spaces: mm.spaces.size, shmem: mm.shmem.size, promised: mm.committedPages, vmas: mm.vmaCount, inodes: mm.mappedInodes.size, shm: ipc.shm.size, swap: mm.swap.slots.size, cached: mm.swap.cached,
      ssmem: (labs.get("ssmem") as { segments: Map<number, unknown> } | undefined)?.segments.size ?? 0 };
  }

  /** Pages of a process that chance picks: mapped ones mostly. */
  somewhere({ pages, regions }: Process, most: number): { page: number; count: number } {
    for (let tries = 0; tries < 4 && regions.length > 0; tries++) {
      const index = this.chance.below(regions.length);
      const region = regions[index];
      const page = region.page + this.chance.below(region.pages);
      const count = 1 + this.chance.below(Math.min(most, region.page + region.pages - page));
      if (among(pages, region.page, region.pages).length === 0) regions.splice(index, 1);
      else return { page, count };
    }
    return { page: BASE_PAGE + this.chance.below(WINDOW), count: 1 + this.chance.below(most) };
  }
}

/** Where fixed mappings lie. */
export const BASE_PAGE = 0x10_0000_0000 / PAGE;
export const WINDOW = 1536;
/** The file's pages at most. */
export const FILE_PAGES = 200;
/** What a call says for want of memory. */
const SHORT = ["ENOMEM", "EAGAIN", "EFAULT", "ENOSPC"];

/** Walks `steps` steps, on one machine after the other; throws at the first difference. Answers what happened for want of memory. */
export function memory(seed: number, steps: number): { kills: number; swappedIn: number; swappedOut: number } {
  const seen = { kills: 0, swappedIn: 0, swappedOut: 0 };
  for (let round = 0; round * ROUND < steps; round++) {
    const chance = new Chance(seed * 1000 + round);
    const walk = new MemoryWalk(MACHINES[round % MACHINES.length], chance);
    walk.begin();
    walk.end();
    const before = walk.held();
    walk.begin();
    const acts = new MemoryActs(walk);
    for (let step = 1; step <= Math.min(ROUND, steps - round * ROUND); step++) {
      try {
        if (walk.processes.length === 0) walk.begin();
        walk.killsBefore = walk.k.state.mm.events.oomKill;
        acts.step();
        walk.sums();
        if (step % LOOK_EVERY === 0) walk.look();
        if (step % RESTORE_EVERY === 0) walk.restored();
      } catch (error) {
        throw new Error(`round ${round} (${JSON.stringify(MACHINES[round % MACHINES.length])}), step ${step}`, { cause: error });
      }
    }
    const { oomKill, pswpin, pswpout } = walk.k.state.mm.events;
    seen.kills += oomKill;
    seen.swappedIn += pswpin;
    seen.swappedOut += pswpout;
    walk.end();
    walk.look();
    walk.same("what is held when all have exited", walk.held(), before);
    const broken = walk.m.broken();
    if (broken.length > 0) throw new Error(broken.join("\n"));
  }
  return seen;
}
