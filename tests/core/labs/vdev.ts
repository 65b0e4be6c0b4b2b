/** A machine with the two devices of the first lab, their users' programs, and processes that do the same by hand. */
import { expect } from "vitest";
import { view } from "../../../core/index.ts";
import type { CallAnswer, Json, MachineOptions } from "../../../core/input.ts";
import { Sockets } from "../net/sockets.ts";

export const DESCRIPTOR = 0x12345676;
export const CREATESOCK = 0x12345677;
export const MMAP = 0x12345678;
export const EXIT = 0x12345679;
/** The ten files and the large one that the lab hands out. */
export const SMALL = [32, 859, 1343, 1663, 2042, 3065, 2808, 4056, 3659, 4619];
export const LARGE = 12_022_885;

export type Method = "fcntl" | "mmap";
export type Side = "master" | "slave";
/** How a program ended. */
export type Ended = Extract<CallAnswer, { state: "program" }>;

/** Bytes that no shift, swap or repetition of pages leaves the same. */
export function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let word = seed;
  for (let at = 0; at < size; at++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = word >>> 24;
  }
  return bytes;
}

export class VdevLab extends Sockets {
  private programs = 0;

  static async loaded(variant = "corrected", machine: MachineOptions = {}): Promise<VdevLab> {
    const lab = new VdevLab(machine);
    lab.pid = await lab.createProcess();
    for (const name of ["ksocket", "master_device", "slave_device"]) expect(lab.insmod(name, variant).ret).toBe(0);
    return lab;
  }

  /** Starts a program; its id. */
  start(program: string, args: Json, uid = 0): string {
    const callId = `program${this.programs++}`;
    const home = uid === 0 ? "/root" : `/home/${uid}`;
    if (uid !== 0) this.feed({ type: "makeHome", path: home, uid });
    const output = this.feed({ type: "program", callId, program, args: args as { [name: string]: Json }, uid, member: "owner", home });
    expect(output.refusal).toBeUndefined();
    for (const { callId: id, answer } of output.ended) this.endings.set(id, answer);
    return callId;
  }

  private readonly endings = new Map<string, CallAnswer>();

  /** How a program ended, after as much time as it takes. */
  end(callId: string): Ended {
    for (let waited = 0; waited < 2_000; waited++) {
      const answer = this.endings.get(callId) ?? this.stand(callId);
      if (answer.state !== "sleeping") return answer as Ended;
      this.advance(10);
    }
    throw new Error(`${callId} does not end`);
  }

  insmod(name: string, variant = "corrected"): Ended {
    return this.end(this.start("insmod", { name, variant }));
  }

  rmmod(name: string): Ended {
    return this.end(this.start("rmmod", { name }));
  }

  /** The kernel's log from the first line of this lab on. */
  log(): string[] {
    const lines = this.kernel.state.log.records.map(({ text }) => text);
    return lines.slice(lines.findIndex((line) => line.startsWith("ksocket version")));
  }

  upload(path: string, bytes: Uint8Array): void {
    const file = this.ok("openat", { dirfd: "AT_FDCWD", pathname: path, flags: "O_WRONLY|O_CREAT|O_TRUNC", mode: "0644" });
    for (let at = 0; at < bytes.length; at += 1 << 19) {
      this.ok("write", { fd: file, buf: { base64: Buffer.from(bytes.subarray(at, at + (1 << 19))).toString("base64") } });
    }
    this.ok("close", { fd: file });
  }

  bytes(path: string): Uint8Array {
    const seen = view(this.kernel, { uid: 0 }, path);
    if (!("bytes" in seen)) throw new Error(`${path}: ${JSON.stringify(seen)}`);
    return seen.bytes;
  }

  /** Both programs move files of these sizes, and every file arrives as it was. */
  transfer(sizes: number[], methods: { master: Method; slave: Method }, first: Side): { master: Ended; slave: Ended } {
    const files = sizes.map((size, at) => ({ from: `/tmp/in${at}`, to: `/tmp/out${at}`, bytes: noise(size, at + 1) }));
    for (const { from, bytes } of files) this.upload(from, bytes);
    const argv = {
      master: ["master", `${files.length}`, ...files.map(({ from }) => from), methods.master],
      slave: ["slave", `${files.length}`, ...files.map(({ to }) => to), methods.slave, "127.0.0.1"],
    };
    const ids = { master: "", slave: "" };
    for (const side of first === "master" ? ["master", "slave"] as const : ["slave", "master"] as const) {
      ids[side] = this.start(side, { argv: argv[side] });
    }
    const ended = { master: this.end(ids.master), slave: this.end(ids.slave) };
    for (const { to, bytes } of files) expect(Buffer.compare(this.bytes(to), bytes), to).toBe(0);
    return ended;
  }

  refcount(name: string): number {
    return this.kernel.state.modules.loaded.get(name)?.refcount ?? -1;
  }

  open(side: Side, pid = this.pid, flags = "O_RDWR"): number {
    return this.ok("openat", { dirfd: "AT_FDCWD", pathname: `/dev/${side}_device`, flags }, pid);
  }

  /** Both devices open and connected: [master, slave], descriptors of one process. */
  connected(pid = this.pid, master = this.open("master", pid)): [number, number] {
    const slave = this.open("slave", pid);
    this.ok("ioctl", { fd: slave, request: CREATESOCK, arg: this.address(pid) }, pid);
    this.ok("ioctl", { fd: master, request: CREATESOCK }, pid);
    return [master, slave];
  }

  /** Pages of a process's own, or of the device behind `fd`. */
  map(length: number, fd?: number, pid = this.pid): Json {
    const what: { [name: string]: Json } = fd === undefined ? { flags: "MAP_PRIVATE|MAP_ANONYMOUS" } : { flags: "MAP_SHARED", fd };
    return { addr: this.do("mmap", { length, prot: "PROT_READ|PROT_WRITE", ...what }, pid).ret as Json };
  }

  /** The master's address as text in a process's memory. */
  address(pid = this.pid, text = "127.0.0.1"): Json {
    const at = this.map(4096, undefined, pid);
    this.ok("store", { addr: at, buf: `${text}\0` }, pid);
    return at;
  }

  /** The first bytes that a mapping shows. */
  load(addr: Json, length: number): Uint8Array {
    return Buffer.from((this.do("load", { addr, length }).buf as { base64: string }).base64, "base64");
  }
}
