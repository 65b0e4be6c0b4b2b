/**
 * Scenarios of raw system calls that a real Linux answered: registers, the memory that the calls find, and what they leave there.
 * Descriptors are the same numbers on both sides; processes and ids of ipc have names; what cannot be equal (times, inode numbers,
 * cookies) is compared by meaning or left out, as each output's kind says.
 */
import { signalName } from "../../core/abi/signal.ts";
import { SYSCALL_NUMBERS } from "../../core/abi/unistd.ts";
import type { CallAnswer, Json } from "../../core/input.ts";
import { CoreMachine } from "./core.ts";

/** A register: its value, or a named number times `x`. */
type Register = number | string | { $: string; x: number };

interface RawStep {
  /** The process. */
  p: string;
  /** A call's name, `$return` of a blocked one, `$handler` and `$count` of signals. */
  call: string;
  a?: Register[];
  /** Memory before the call: address, and bytes in hex or how many of 0xaa. */
  in?: [number, string | number][];
  /** Memory after it: address, length, kind, and Linux's bytes in hex. */
  out?: [number, number, string, string][];
  /** A number, or `-ENAME`. */
  ret?: number | string;
  bind?: string;
  child?: string;
  blocked?: boolean;
  died?: boolean;
  /** `$return`: the step that blocked. */
  of?: number;
  sig?: number;
  flags?: number;
}

export interface RawScenario {
  name: string;
  steps: RawStep[];
  /** Linux's numbers of what has a name. */
  syms: [string, number][];
}

export function parseRaw(text: string): RawScenario[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as RawScenario);
}

/** What an output looks like without the numbers that are a kernel's own. */
interface Plain {
  bytes: Buffer;
  inode: string;
  told: string;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** Entries in the order of their names; their numbers and offsets are the file system's own. */
function direntsOf(bytes: Buffer, length: number): string {
  const names: string[] = [];
  for (let at = 0; at < length; at += bytes.readUInt16LE(at + 16)) {
    names.push(`${bytes.subarray(at + 19, bytes.indexOf(0, at + 19)).toString("latin1")} ${bytes[at + 18]}`);
  }
  return names.sort().join(", ");
}

/** Cookies of inotify events in the order of their coming. */
function orderCookies(bytes: Buffer, length: number): void {
  const order = new Map<number, number>();
  for (let at = 0; at + 16 <= length; at += 16 + bytes.readUInt32LE(at + 12)) {
    const cookie = bytes.readUInt32LE(at + 8);
    if (cookie !== 0 && !order.has(cookie)) order.set(cookie, order.size + 1);
    bytes.writeUInt32LE(order.get(cookie) ?? 0, at + 8);
  }
}

/** `names` leads from a process's number to its name. */
function plain(kind: string, given: Buffer, ret: number | string | undefined, names: Map<number, string>): Plain {
  const bytes = Buffer.from(given);
  const result: Plain = { bytes, inode: "", told: "" };
  if (bytes.every((byte) => byte === 0xaa)) return result;
  const length = typeof ret === "number" ? ret : 0;
  for (const part of kind.split(",")) {
    const [, letter, at, count] = /^([mp])(\d+)(?:\+(\d+))?$/.exec(part) ?? [];
    if (letter === "m") bytes.fill(0, Number(at), Number(at) + Number(count));
    else if (letter === "p") {
      const pid = bytes.readInt32LE(Number(at));
      const name = names.get(Math.abs(pid));
      if (name === undefined) continue;
      result.told += ` ${at}=${pid < 0 ? "-" : ""}${name}`;
      bytes.fill(0, Number(at), Number(at) + 4);
    } else if (part === "stat") {
      result.inode = bytes.readBigUInt64LE(8).toString();
      const directory = (bytes.readUInt32LE(24) & S_IFMT) === S_IFDIR;
      for (const [from, to] of [[0, 16], [72, 120], ...(directory ? [[48, 56], [64, 72]] : [])]) bytes.fill(0, from, to);
    } else if (part === "statx") {
      result.inode = bytes.readBigUInt64LE(32).toString();
      const directory = (bytes.readUInt16LE(28) & S_IFMT) === S_IFDIR;
      // The mask and the attributes' mask say more on newer kernels.
      for (const [from, to] of [[0, 4], [8, 16], [32, 40], [56, 128], [136, 256], ...(directory ? [[40, 56]] : [])]) bytes.fill(0, from, to);
    } else if (part === "dents") {
      result.told += direntsOf(bytes, length);
      bytes.fill(0);
    } else if (part === "inot") orderCookies(bytes, length);
    else if (part === "ignore") bytes.fill(0);
    else if (part !== "raw") throw new Error(`nobody knows the kind ${part}`);
  }
  return result;
}

const HOME = "/root/lab";

/** A process in an empty tree of its own, as the recorder's: root without CAP_SYS_RESOURCE, two megabytes at 0x10000000. */
async function startRaw(machine: CoreMachine): Promise<number> {
  const pid = await machine.createProcess();
  const must = (call: string, args: Json): void => {
    const answer = machine.callNow(pid, call, args);
    if (answer.state !== "returned" || !("ret" in answer) || answer.errno !== null) throw new Error(`${call}: ${JSON.stringify(answer)}`);
  };
  must("umask", { mask: 0 });
  must("mkdir", { pathname: HOME, mode: 0o755 });
  must("mount", { source: "lab", target: HOME, filesystemtype: "tmpfs", mountflags: 0 });
  for (const name of ["/x", "/x/root", "/x/root/lab", "/x/dev"]) must("mkdir", { pathname: HOME + name, mode: 0o755 });
  for (const [name, minor] of [["null", 3], ["zero", 5], ["full", 7]] as const) {
    must("mknod", { pathname: `${HOME}/x/dev/${name}`, mode: 0o20666, dev: { major: 1, minor } });
  }
  must("chroot", { path: `${HOME}/x` });
  must("chdir", { path: HOME });
  must("umask", { mask: 0o22 });
  must("rt_sigaction", { signum: "SIGPIPE", act: { sa_handler: "SIG_IGN" } });
  must("prlimit64", { pid: 0, resource: "RLIMIT_NOFILE", new_limit: { rlim_cur: 1024, rlim_max: 4096 } });
  must("mmap", { addr: "0x10000000", length: 0x200000, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED", fd: -1 });
  const caps = Buffer.alloc(32);
  for (const [at, word] of [[0, 0x20080522], [8, 0xfeffffff], [12, 0xfeffffff], [20, 0x1ff], [24, 0x1ff]]) caps.writeUInt32LE(word, at);
  must("store", { addr: 0x10000000, buf: { base64: caps.toString("base64") } });
  must("capset", [0x10000000, 0x10000008]);
  must("store", { addr: 0x10000000, buf: { base64: Buffer.alloc(32).toString("base64") } });
  return pid;
}

class RawPlayer {
  readonly machine: CoreMachine;
  readonly scenario: RawScenario;
  readonly pids = new Map<string, number>();
  /** Our numbers of what has a name, and the names of our processes and Linux's. */
  readonly values = new Map<string, number>();
  readonly ours = new Map<number, string>();
  readonly theirs: Map<number, string>;
  readonly pending = new Map<number, string>();
  /** Linux's inode → ours. */
  readonly inodes = new Map<string, string>();

  constructor(machine: CoreMachine, scenario: RawScenario) {
    this.machine = machine;
    this.scenario = scenario;
    this.theirs = new Map(scenario.syms.map(([name, number]) => [number, name]));
  }

  name(name: string, pid: number): void {
    this.pids.set(name, pid);
    this.values.set(name, pid);
    this.ours.set(pid, name);
  }

  /** What differs, or null. */
  async step(step: RawStep, at: number): Promise<string | null> {
    const pid = this.pids.get(step.p) ?? 0;
    if (step.call === "$handler") {
      this.machine.callNow(pid, "rt_sigaction", { signum: step.sig ?? 0, act: { sa_handler: "count", sa_flags: step.flags ?? 0 } });
      return null;
    }
    if (step.call === "$count") {
      const count = await this.machine.signalCount(pid, signalName(step.sig ?? 0));
      return count === step.ret ? null : `${count} signals, Linux ${step.ret}`;
    }
    const answer = step.call === "$return"
      ? await this.machine.wait(pid, this.pending.get(step.of ?? -1) ?? "", step.blocked === true ? 120 : 5000)
      : await this.call(pid, step, at);
    if (step.died === true) return answer.state === "ended" ? null : `Linux: died; we: ${JSON.stringify(answer)}`;
    if (step.blocked === true) return answer.state === "sleeping" ? null : `Linux: blocked; we: ${JSON.stringify(answer)}`;
    if (answer.state !== "returned" || !("ret" in answer)) return `Linux: ${step.ret}; we: ${JSON.stringify(answer)}`;
    return this.judge(pid, step, answer as { ret: Json; errno: string | null; strace?: string });
  }

  async call(pid: number, step: RawStep, at: number): Promise<CallAnswer> {
    for (const [addr, content] of step.in ?? []) {
      const bytes = typeof content === "number" ? Buffer.alloc(content, 0xaa) : Buffer.from(content, "hex");
      if (bytes.length > 0) this.machine.callNow(pid, "store", { addr, buf: { base64: bytes.toString("base64") } }, "report");
    }
    const args = (step.a ?? []).map((arg) => (typeof arg === "object" ? (this.values.get(arg.$) ?? 0) * arg.x : arg));
    const answer = this.machine.callNow(pid, SYSCALL_NUMBERS[step.call], args, "report");
    if (answer.state !== "sleeping" || answer.callId === undefined) return answer;
    this.pending.set(at, answer.callId);
    return this.machine.wait(pid, answer.callId, step.blocked === true ? 60 : 5000);
  }

  judge(pid: number, step: RawStep, { ret: given, errno, strace = "" }: { ret: Json; errno: string | null; strace?: string }): string | null {
    const ret = errno !== null ? `-${errno}` : typeof given === "string" && Number.isSafeInteger(Number(given)) ? Number(given) : (given as number | string);
    if (step.child !== undefined || (step.bind !== undefined && step.ret === 0)) {
      if (typeof ret !== "number") return `${strace}, Linux succeeded`;
      if (step.child !== undefined) this.name(step.child, ret);
      else if (step.bind !== undefined) this.values.set(step.bind, ret);
    } else if (ret !== step.ret) return `${strace}, Linux ${step.ret}`;
    for (const [addr, length, kind, hex] of step.out ?? []) {
      if (length === 0) continue;
      const loaded = this.machine.callNow(pid, "load", { addr, length }, "report") as { buf?: { base64: string } };
      const us = plain(kind, Buffer.from(loaded.buf?.base64 ?? "", "base64"), ret, this.ours);
      const linux = plain(kind, Buffer.from(hex, "hex"), step.ret, this.theirs);
      if (us.told !== linux.told) return `${strace}: ${us.told}, Linux ${linux.told}`;
      if (!us.bytes.equals(linux.bytes)) return `${strace}: ${kind}\n  ${us.bytes.toString("hex")}, Linux\n  ${linux.bytes.toString("hex")}`;
      if (!this.sameInode(linux.inode, us.inode)) return `${strace}: another inode`;
    }
    return null;
  }

  sameInode(linux: string, us: string): boolean {
    if (!this.inodes.has(linux) && ![...this.inodes.values()].includes(us)) this.inodes.set(linux, us);
    return this.inodes.get(linux) === us;
  }
}

/** Plays a scenario on a fresh kernel: the first step that differs, or null. */
export async function playRaw(scenario: RawScenario): Promise<string | null> {
  const machine = new CoreMachine();
  const player = new RawPlayer(machine, scenario);
  player.name("p0", await startRaw(machine));
  for (const [at, step] of scenario.steps.entries()) {
    const told = await player.step(step, at);
    if (told !== null) return `step ${at}: ${told}`;
  }
  return machine.broken()[0] ?? null;
}
