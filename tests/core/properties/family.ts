/** A model of processes as a family: who is whose child, in which group and session, and what becomes of them by signals. */

export const SIGNALS = { SIGHUP: 1, SIGKILL: 9, SIGUSR1: 10, SIGTERM: 15, SIGCHLD: 17, SIGCONT: 18, SIGSTOP: 19, SIGTSTP: 20, SIGWINCH: 28 };
const { SIGHUP, SIGKILL, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGWINCH } = SIGNALS;

export const isStop = (signal: number): boolean => signal === SIGSTOP || signal === SIGTSTP;
export const isLethal = (signal: number): boolean => signal !== 0 && signal !== SIGCHLD && signal !== SIGCONT && signal !== SIGWINCH && !isStop(signal);

export interface Member {
  pid: number;
  /** Null: init's. */
  parent: Member | null;
  children: Member[];
  pgid: number;
  sid: number;
  state: "runs" | "stopped" | "dying" | "zombie" | "gone";
  /** As wait4 tells it. */
  status: number;
  /** The signal of a stop that nobody has waited for, 0 for none. */
  stop: number;
  continued: boolean;
  /** SIGCHLD is ignored: children leave no zombies. */
  ignoresChildren: boolean;
  pending: Set<number>;
}

export class Family {
  readonly members = new Map<number, Member>();

  add(pid: number, parent: Member | null, pgid: number, sid: number): Member {
    const member: Member = {
      pid, parent, children: [], pgid, sid, state: "runs", status: 0, stop: 0, continued: false,
      ignoresChildren: parent?.ignoresChildren ?? false, pending: new Set(),
    };
    this.members.set(pid, member);
    parent?.children.push(member);
    return member;
  }

  group(pgid: number): Member[] {
    return [...this.members.values()].filter((one) => one.pgid === pgid);
  }

  /** A signal to each of them. */
  signal(targets: Member[], signal: number): void {
    for (const one of targets) this.send(one, signal);
  }

  private send(one: Member, signal: number): void {
    if (one.state !== "runs" && one.state !== "stopped") return;
    if (signal === SIGKILL) this.die(one, SIGKILL);
    else if (signal === SIGCONT) this.resume(one);
    else if (one.state === "stopped") {
      if (isLethal(signal)) one.pending.add(signal);
    } else if (isLethal(signal)) this.die(one, signal);
    else if (signal === SIGSTOP || (signal === SIGTSTP && !this.orphaned(one.pgid, null))) {
      one.state = "stopped";
      one.stop = signal;
      one.continued = false;
    }
  }

  private resume(one: Member): void {
    if (one.state !== "stopped") return;
    one.state = "runs";
    one.stop = 0;
    one.continued = true;
    const [first] = [...one.pending].sort((a, b) => a - b);
    if (first !== undefined) this.die(one, first);
  }

  /** Its end, with a status as wait4 tells it (exit_notify): children to init, then its group, then its parent. */
  die(one: Member, status: number): void {
    one.state = "dying";
    one.status = status;
    const { children } = one;
    // It still stands between its children's groups and the session while they leave it one by one.
    for (const child of [...children]) {
      child.parent = null;
      this.hangUp(child, one, null);
      if (child.state === "zombie") this.reap(child);
    }
    one.children = [];
    if (one.parent !== null) this.hangUp(one, one.parent, one);
    one.state = "zombie";
    if (one.parent === null || one.parent.ignoresChildren) this.reap(one);
  }

  reap(one: Member): void {
    one.state = "gone";
    this.members.delete(one.pid);
    if (one.parent !== null) one.parent.children = one.parent.children.filter((child) => child !== one);
  }

  /** Nobody outside the group, in its session, is parent of a member (setpgid(2), "orphaned process group"). */
  private orphaned(pgid: number, ignored: Member | null): boolean {
    return this.group(pgid).every((one) => one === ignored || one.state === "zombie" || one.parent === null || one.parent.pgid === pgid || one.parent.sid !== one.sid);
  }

  private hangUp(one: Member, parent: Member, ignored: Member | null): void {
    if (parent.pgid === one.pgid || parent.sid !== one.sid || !this.orphaned(one.pgid, ignored)) return;
    const group = this.group(one.pgid);
    if (!group.some(({ state }) => state === "stopped")) return;
    // The signals are sent to all before any of them acts on one.
    const stopped = group.filter(({ state }) => state === "stopped");
    for (const member of stopped) member.pending.add(SIGHUP);
    const running = group.filter((member) => member.state === "runs" && member !== ignored);
    for (const member of [...stopped, ...running]) {
      if (member.state === "stopped") this.resume(member);
      else if (member.state === "runs") this.die(member, SIGHUP);
    }
  }
}
