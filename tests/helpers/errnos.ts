/** Calls that must be refused, row by row: who makes them, with what, and by which errno. */
import type { Json } from "../../core/input.ts";
import { CoreMachine } from "./core.ts";

export type Answer = { ret?: unknown; errno?: string | null; state?: string; [output: string]: unknown };

/** A kernel with an administrator's process and a student's. */
export class Callers {
  readonly m = new CoreMachine({ ramMiB: 16, swapMiB: 0 });
  readonly root: number;
  readonly user: number;

  constructor() {
    this.root = this.make(0, "/root");
    this.user = this.make(1000, "/home/1000");
  }

  make(uid: number, home: string): number {
    this.m.feed({ type: "makeHome", path: home, uid });
    return this.m.feed({ type: "createProcess", comm: "caller", uid, member: `m${uid}`, home }).pid ?? 0;
  }

  call(pid: number, name: string, args: Json = {}): Answer {
    return this.m.callNow(pid, name, args, "report") as Answer;
  }

  /** What a call that must succeed returns. */
  must(pid: number, name: string, args: Json = {}): Json {
    const answer = this.call(pid, name, args);
    if (answer.errno !== null || answer.ret === undefined) throw new Error(JSON.stringify(answer));
    return answer.ret as Json;
  }

  /** The errno of a call, or what it returned. */
  errno(pid: number, name: string, args: Json = {}): unknown {
    const answer = this.call(pid, name, args);
    return answer.errno ?? answer.ret ?? answer.state;
  }

  limit(pid: number, resource: string, value: number): void {
    this.must(pid, "prlimit64", { resource, new_limit: { rlim_cur: value, rlim_max: value } });
  }
}

export type Refused = [call: string, args: Json, errno: string];
