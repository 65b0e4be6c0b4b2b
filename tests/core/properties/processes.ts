/** Processes beside a model: fork, exit, signals, process groups and sessions, and what a waiting parent is told. */
import fc from "fast-check";
import type { Json } from "../../../core/input.ts";
import { Family, isLethal, isStop, SIGNALS, type Member } from "./family.ts";
import { Seat, type Model, type Walk } from "./walk.ts";

const CALLS = [
  "fork", "fork", "fork", "fork", "exit", "exit", "kill", "kill", "kill", "kill", "killGroup", "killGroup", "wait", "wait", "wait", "wait", "wait",
  "setpgid", "setpgid", "setpgid", "setsid", "getpgid", "getsid", "getppid", "ignore", "stat", "stat",
] as const;
const MOST = 10;
const ESRCH_PID = 30_000;

export interface ProcessAct {
  call: (typeof CALLS)[number];
  who: number;
  whom: number;
  signal: number;
  code: number;
  options: number;
}

const act: fc.Arbitrary<ProcessAct> = fc.record({
  call: fc.constantFrom(...CALLS),
  who: fc.nat(MOST),
  whom: fc.nat(MOST + 1),
  signal: fc.constantFrom(0, ...Object.values(SIGNALS), SIGNALS.SIGSTOP, SIGNALS.SIGCONT, SIGNALS.SIGTERM),
  code: fc.nat(300),
  options: fc.constantFrom(0, 0, 2, 8, 10),
});

class ProcessWalk implements Walk<ProcessAct> {
  readonly seat = new Seat();
  private readonly family = new Family();
  private readonly root: Member;

  constructor() {
    const { seat } = this;
    const { pid } = seat;
    this.root = this.family.add(pid, null, Number(seat.call(pid, "getpgid", { pid: 0 }).ret), Number(seat.call(pid, "getsid", { pid: 0 }).ret));
  }

  step({ call, who, whom, signal, code, options }: ProcessAct): void {
    const { family } = this;
    const all = [...family.members.values()];
    const actors = all.filter(({ state }) => state === "runs");
    // A session whose leader was hung up: the walk is over.
    if (this.root.state !== "runs") return;
    const actor = actors[who % actors.length];
    const { pid } = actor;
    // Somebody, or nobody.
    const target = whom % (all.length + 1) === all.length ? null : all[whom % (all.length + 1)];
    const targetPid = target?.pid ?? ESRCH_PID;
    switch (call) {
      case "fork": {
        if (all.length >= MOST) break;
        const answer = this.seat.call(pid, "fork", {});
        this.seat.same("errno", answer.errno, null);
        family.add(Number(answer.ret), actor, actor.pgid, actor.sid);
        break;
      }
      case "exit":
        if (actor === this.root) break;
        this.seat.same("exit", this.seat.call(pid, "exit_group", { status: code }).exited, code & 0xff);
        family.die(actor, (code & 0xff) << 8);
        break;
      case "kill": this.kill(actor, targetPid, signal, target === null ? [] : [target]); break;
      case "killGroup": {
        const pgid = code % 3 === 0 ? 0 : (target?.pgid ?? ESRCH_PID);
        this.kill(actor, pgid === 0 ? 0 : -pgid, signal, family.group(pgid === 0 ? actor.pgid : pgid));
        break;
      }
      case "wait": this.wait(actor, [-1, -1, -1, targetPid, 0, -(target?.pgid ?? ESRCH_PID)][code % 6], options); break;
      case "setpgid": {
        const pgid = code % 2 === 0 ? 0 : (all[code % all.length].pgid);
        const wanted = this.setpgid(actor, whom % 3 === 0 ? actor : target, pgid);
        this.seat.expect(pid, "setpgid", { pid: whom % 3 === 0 ? 0 : targetPid, pgid }, wanted);
        break;
      }
      case "setsid": {
        if (actor === this.root) break;
        const refused = family.group(pid).length > 0;
        this.seat.expect(pid, "setsid", {}, refused ? "EPERM" : pid);
        if (!refused) actor.pgid = actor.sid = pid;
        break;
      }
      case "getpgid": this.seat.expect(pid, "getpgid", { pid: targetPid }, target?.pgid ?? "ESRCH"); break;
      case "getsid": this.seat.expect(pid, "getsid", { pid: targetPid }, target?.sid ?? "ESRCH"); break;
      case "getppid": if (actor !== this.root) this.seat.expect(pid, "getppid", {}, actor.parent?.pid ?? 1); break;
      case "ignore":
        actor.ignoresChildren = code % 3 === 0;
        this.seat.expect(pid, "rt_sigaction", { signum: "SIGCHLD", act: { sa_handler: actor.ignoresChildren ? "SIG_IGN" : "SIG_DFL" } }, 0);
        break;
      case "stat": for (const one of all) this.stat(one); break;
    }
  }

  /** `pid` as kill takes it; `targets`: whom that means. */
  private kill(actor: Member, pid: number, signal: number, targets: Member[]): void {
    // Who stops or kills the first process can go no further; a caller that stops itself is asleep in its call.
    if (targets.includes(this.root) && (isLethal(signal) || isStop(signal))) return;
    if (targets.includes(actor) && isStop(signal)) return;
    const answer = this.seat.call(actor.pid, "kill", { pid, sig: signal });
    if (targets.includes(actor) && isLethal(signal)) this.seat.same("state", answer.state, "ended");
    else this.seat.same("result", answer.errno ?? answer.ret, targets.length === 0 ? "ESRCH" : 0);
    this.family.signal(targets, signal);
  }

  private wait(actor: Member, pid: number, options: number): void {
    const among = actor.children.filter((child) => pid === -1 || (pid > 0 ? child.pid === pid : child.pgid === (pid === 0 ? actor.pgid : -pid)));
    const told = among.find((child) => child.state === "zombie" || ((options & 2) !== 0 && child.stop !== 0) || ((options & 8) !== 0 && child.continued));
    const args: Json = { pid, options: options | 1 };
    if (told === undefined) {
      this.seat.expect(actor.pid, "wait4", args, among.length === 0 ? "ECHILD" : 0);
      return;
    }
    const answer = this.seat.expect(actor.pid, "wait4", args, told.pid);
    if (told.state === "zombie") {
      this.seat.same("wstatus", answer.wstatus, told.status);
      this.family.reap(told);
    } else if (told.stop !== 0 && (options & 2) !== 0) {
      this.seat.same("wstatus", answer.wstatus, (told.stop << 8) | 0x7f);
      told.stop = 0;
    } else {
      this.seat.same("wstatus", answer.wstatus, 0xffff);
      told.continued = false;
    }
  }

  private setpgid(actor: Member, target: Member | null, pgid: number): string | number {
    if (target === null || (target !== actor && target.parent !== actor)) return "ESRCH";
    if (target !== actor && target.sid !== actor.sid) return "EPERM";
    if (target.sid === target.pid) return "EPERM";
    const into = pgid === 0 ? target.pid : pgid;
    if (into !== target.pid && !this.family.group(into).some(({ sid }) => sid === actor.sid)) return "EPERM";
    target.pgid = into;
    return 0;
  }

  /** /proc/PID/stat: state, parent, group and session. */
  private stat(one: Member): void {
    const text = this.seat.m.text(`/proc/${one.pid}/stat`);
    const [state, ppid, pgrp, session] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const letter = one.state === "zombie" ? "Z" : one.state === "stopped" ? "T" : "runs";
    this.seat.same(`state of ${one.pid}`, state === "Z" || state === "T" ? state : "runs", letter);
    if (one !== this.root) this.seat.same(`parent of ${one.pid}`, Number(ppid), one.parent?.pid ?? 1);
    this.seat.same(`group and session of ${one.pid}`, [Number(pgrp), Number(session)], [one.pgid, one.sid]);
  }
}

export const processes: Model<ProcessAct> = { name: "processes", act, begin: () => new ProcessWalk() };
