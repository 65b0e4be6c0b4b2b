/**
 * Raw system calls as a real Linux answered them, played on the core: one scenario a line, `[process, what, arguments …, answer]`.
 *
 * `call` takes a number and registers; `M+n` is n bytes into a megabyte of memory at a fixed address, `$p1` the pid of a process
 * named by the fork that made it, `H` a handler that counts. Answers: `[result, errno]`, `blocked`, `dead`, `data HEX`.
 * `poll` and `ret` ask what became of a call that blocked.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { signalName } from "../../core/abi/signal.ts";
import type { CallAnswer, Json } from "../../core/input.ts";
import { CoreMachine } from "./core.ts";

type Word = number | string;
type Answer = string | [Word, number];
type Step = [who: string, op: string, ...rest: (Word | Answer)[]];

const MEMORY = 0x1000_0000;
const HOME = "/tmp/recorded";
const FORK = 57;
/** How long the recorder waited before it called a call blocked, ms. */
const PATIENCE_MS = 300;
const POLL_MS = 30;

class Recording {
  readonly machine = new CoreMachine();
  readonly pids = new Map<string, number>();
  readonly blocked = new Map<string, string>();

  async begin(): Promise<void> {
    const pid = await this.machine.createProcess();
    this.pids.set("p0", pid);
    this.machine.callNow(pid, "mkdir", { pathname: HOME, mode: 0o755 });
    this.machine.callNow(pid, "chdir", { path: HOME });
    this.machine.callNow(pid, "mmap", [MEMORY, 1 << 20, 3, 0x32, -1, 0]);
    this.machine.callNow(pid, "rt_sigaction", { signum: "SIGPIPE", act: { sa_handler: "SIG_IGN" } });
  }

  pidOf(name: string): number {
    const pid = this.pids.get(name);
    if (pid === undefined) throw new Error(`no process ${name}`);
    return pid;
  }

  register(word: Word): Json {
    if (typeof word === "number") return Number.isSafeInteger(word) ? word : BigInt(word).toString();
    if (word.startsWith("-$")) return -this.pidOf(word.slice(2));
    if (word.startsWith("$")) return this.pidOf(word.slice(1));
    if (word.startsWith("M")) return MEMORY + Number(word.slice(2));
    if (word === "H") return 0x40_1000;
    return word === "R" ? 0x40_2000 : word;
  }

  async step(step: Step): Promise<Answer> {
    const [who, op, ...rest] = step;
    const pid = this.pidOf(who);
    const words = rest.slice(0, -1) as Word[];
    switch (op) {
      case "sleep":
        this.machine.advance(Number(words[0]));
        return "slept";
      case "count": return `count ${await this.machine.signalCount(pid, signalName(Number(words[0])))}`;
      case "load": {
        const answer = this.raw(pid, "load", { addr: MEMORY + Number(words[0]), length: Number(words[1]) });
        const { base64 } = (answer as unknown as { buf: { base64: string } }).buf;
        return `data ${Buffer.from(base64, "base64").toString("hex")}`;
      }
      case "store": case "put": {
        const buf: Json = op === "store" ? { hex: String(words[1]) } : { u64: this.register(words[1]) };
        this.raw(pid, "store", { addr: MEMORY + Number(words[0]), buf });
        return "ok";
      }
      case "poll":
        this.machine.advance(POLL_MS);
        return this.shown(who, this.machine.stand(this.blockedCall(who)));
      case "ret": return this.shown(who, await this.machine.wait(pid, this.blockedCall(who), 5000));
      default: return this.call(who, Number(words[0]), words.slice(1));
    }
  }

  blockedCall(who: string): string {
    const callId = this.blocked.get(who);
    if (callId === undefined) throw new Error(`${who} is in no call`);
    return callId;
  }

  raw(pid: number, call: string | number, args: Json): CallAnswer | null {
    const callId = `r${this.machine.calls++}`;
    const output = this.machine.feed({ type: "syscall", pid, callId, call, args });
    if (output.refusal?.refused === "no-process") return null;
    if (output.refusal !== undefined) throw new Error(JSON.stringify(output.refusal));
    return output.ended.find((end) => end.callId === callId)?.answer ?? this.machine.stand(callId);
  }

  async call(who: string, nr: number, words: Word[]): Promise<Answer> {
    const pid = this.pidOf(who);
    let answer = this.raw(pid, nr, words.map((word) => this.register(word)));
    if (answer?.state === "sleeping") {
      const { callId } = answer;
      answer = await this.machine.wait(pid, callId, PATIENCE_MS);
      if (answer.state === "sleeping") this.blocked.set(who, callId);
    }
    if (nr === FORK && answer?.state === "returned" && "ret" in answer) this.pids.set(`p${this.pids.size}`, Number(answer.ret));
    return answer === null ? "dead" : this.shown(who, answer);
  }

  shown(who: string, answer: CallAnswer): Answer {
    if (answer.state === "sleeping") return "blocked";
    if (answer.state !== "returned" || !("ret" in answer)) return "dead";
    this.blocked.delete(who);
    if (answer.errno !== null) return [-1, answer.errnoNumber ?? 0];
    const result = Number(answer.ret);
    const named = [...this.pids].find(([, pid]) => pid === result)?.[0];
    return [result > 20 && named !== undefined ? `$${named}` : result, 0];
  }
}

/** Plays the scenarios of a folder's `.jsonl` files, a test each; the first process stands in an empty directory that all may enter. */
export function playFolder(folder: string): void {
  for (const file of readdirSync(folder).sort()) describe(`as recorded: ${file.replace(".jsonl", "")}`, () => {
    for (const line of readFileSync(join(folder, file), "utf8").split("\n").filter((one) => one !== "")) {
      const { name, steps } = JSON.parse(line) as { name: string; steps: Step[] };
      test(name, async () => {
        const recording = new Recording();
        await recording.begin();
        for (const [at, step] of steps.entries()) {
          expect([at, step, await recording.step(step)]).toEqual([at, step, step[step.length - 1]]);
        }
        expect(recording.machine.broken()).toEqual([]);
      });
    }
  });
}
