/** A kernel whose commands are run as the service runs them. */
import { kernelFile } from "../../../core/fs/boot.ts";
import type { CallAnswer, Json, MachineOptions } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

export type Ended = Extract<CallAnswer, { state: "program" }>;

export class Shell {
  readonly machine: CoreMachine;
  private count = 0;

  constructor(options: MachineOptions = {}) {
    this.machine = new CoreMachine(options);
    this.machine.feed({ type: "makeHome", path: "/root", uid: 0 });
  }

  /** Puts a file there without any process. */
  put(path: string, content: Uint8Array | string, mode = 0o644): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const made = kernelFile(this.machine.kernel, path, 0o100000 | mode, bytes);
    if (typeof made === "number") throw new Error(`${path}: ${made}`);
  }

  /** Starts a command and answers its call; it may sleep. */
  start(args: { [name: string]: Json }, { uid = 0, home = "/root" } = {}): string {
    const callId = `s${this.count++}`;
    const { refusal } = this.machine.feed({ type: "program", callId, program: "command", args: { uid, home, ...args }, uid, member: "owner", home });
    if (refusal !== undefined) throw new Error(JSON.stringify(refusal));
    return callId;
  }

  /** How a command stands. */
  stand(callId: string): CallAnswer {
    const ended = this.machine.journal.flatMap(({ output }) => output.ended).find((end) => end.callId === callId);
    return ended?.answer ?? this.machine.stand(callId);
  }

  /** Runs a command to its end; the clock moves on while it sleeps, for at most `seconds`. */
  run(args: { [name: string]: Json }, { uid = 0, home = "/root", seconds = 120 } = {}): Ended {
    const callId = this.start(args, { uid, home });
    for (let waited = 0; waited <= seconds * 10; waited++) {
      const answer = this.stand(callId);
      if (answer.state === "program") return answer;
      if (answer.state !== "sleeping") throw new Error(JSON.stringify(answer));
      this.machine.advance(100);
    }
    throw new Error(`${JSON.stringify(args)} did not end within ${seconds} s`);
  }

  /** Runs a script; its output, and nothing on stderr unless it is asked for. */
  sh(script: string, options: { uid?: number; home?: string } = {}): Ended {
    return this.run({ script }, options);
  }

  text(script: string): string {
    const { stdout, stderr, exit } = this.sh(script);
    if (stderr !== "" || exit !== 0) throw new Error(`${script}: exit ${exit}: ${stderr}`);
    return stdout;
  }
}
