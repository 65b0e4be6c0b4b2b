/** One transfer of the first lab on a fresh kernel: modules, input files, master and slave, and the times that they print. */
import type { Input, Output } from "../input.ts";
import type { Kernel } from "../kernel.ts";
import type { MachineOptions } from "../machine.ts";
import type { Door } from "./types.ts";

export type Method = "fcntl" | "mmap";

/** What is measured once. */
export interface TransferCase {
  /** Bytes of each file. */
  files: number[];
  method: Method;
  /** Bytes of one read and write. */
  bufSize: number;
  variant: "corrected" | "seed";
}

export interface Transfer {
  what: TransferCase;
  machine: MachineOptions;
  kernel: Kernel | null;
  /** The next thing to do, when nothing of the last one is left. */
  next: "boot" | "modules" | "process" | "open" | "fill" | "close" | "programs" | "done";
  /** The last input is not finished: `run` goes on with it. */
  more: boolean;
  /** Modules loaded, and later files made; bytes of the file under way. */
  made: number;
  filled: number;
  pid: number;
  /** What the programs that have ended printed, by name. */
  printed: { [program: string]: { stdout: string; stderr: string } };
}

/** The times that both programs printed, ms. */
export interface TransferTimes {
  master: number;
  slave: number;
}

const MODULES = ["ksocket", "master_device", "slave_device"];
/** Bytes that one write of the set-up brings. */
const FILL = 1 << 20;
/** More pages than this, and the report's programs would run out of mappings (vm.max_map_count): a build that unmaps is taken. */
const LEAKY_PAGES = 30_000;
const MIB = 1 << 20;
const PAGE = 4096;

/** A transfer that has not begun. Its machine gets the memory that both copies of the files need. */
export function newTransfer(what: TransferCase, machine: MachineOptions): Transfer {
  const bytes = what.files.reduce((sum, size) => sum + Math.ceil(size / PAGE) * PAGE, 0);
  const ramMiB = Math.max(machine.ramMiB ?? 64, Math.ceil((2 * bytes * 1.05) / MIB) + 48);
  return { what, machine: { ...machine, ramMiB, swapMiB: 0 }, kernel: null, next: "boot", more: false, made: 0, filled: 0, pid: 0, printed: {} };
}

function feed(door: Door, transfer: Transfer, input: Omit<Input, "atNs"> | { type: "run" }, budget: number): Output {
  const { kernel } = transfer;
  if (kernel === null) throw new Error("a transfer without a kernel");
  const output = door.handle(kernel, { ...input, atNs: kernel.state.time.nowNs } as Input, budget);
  if (output.refusal !== undefined) throw new Error(`${input.type}: ${JSON.stringify(output.refusal)}`);
  transfer.more = output.more;
  for (const { callId, answer } of output.ended) {
    if (answer.state === "program") transfer.printed[callId] = { stdout: answer.stdout, stderr: answer.stderr };
  }
  return output;
}

function program(name: string, args: object): Omit<Input, "atNs"> {
  return { type: "program", callId: name, program: name, args, uid: 0, member: "benchmark", home: "/root" } as Omit<Input, "atNs">;
}

function call(pid: number, name: string, args: object): Omit<Input, "atNs"> {
  return { type: "syscall", callId: name, pid, call: name, args } as Omit<Input, "atNs">;
}

const shell = { type: "createProcess", comm: "sh", uid: 0, member: "benchmark", home: "/root" } as Omit<Input, "atNs">;

const inPath = (at: number): string => `/tmp/in${at}`;
const outPath = (at: number): string => `/tmp/out${at}`;

/** Does the next part; true when the transfer is over. */
export function stepTransfer(door: Door, transfer: Transfer, budget: number): boolean {
  if (transfer.more) {
    feed(door, transfer, { type: "run" }, budget);
    return false;
  }
  const { what, made } = transfer;
  switch (transfer.next) {
    case "boot": {
      transfer.kernel = door.boot({ type: "boot", machine: { clock: "virtual", ...transfer.machine }, realtimeNs: "1704067200000000000" }).kernel;
      // Nothing holds a benchmark's programs back.
      transfer.kernel.state.time.limitNs = Number.MAX_SAFE_INTEGER;
      transfer.kernel.state.calls.traced = false;
      // The disk is large enough: half of the memory, as tmpfs takes, would not hold both copies.
      for (const sb of transfer.kernel.state.fs.superBlocks.values()) sb.maxPages = 0;
      transfer.next = "modules";
      return false;
    }
    case "modules":
      feed(door, transfer, program("insmod", { name: MODULES[made], variant: what.variant }), budget);
      transfer.made++;
      if (transfer.made === MODULES.length) transfer.next = "process";
      return false;
    case "process":
      transfer.pid = feed(door, transfer, shell, budget).pid ?? 0;
      transfer.made = 0;
      transfer.next = "open";
      return false;
    case "open":
      if (made === what.files.length) {
        transfer.next = "programs";
        return false;
      }
      feed(door, transfer, call(transfer.pid, "openat", { pathname: inPath(made), flags: "O_WRONLY|O_CREAT|O_TRUNC", mode: "0644" }), budget);
      transfer.filled = 0;
      transfer.next = "fill";
      return false;
    case "fill": {
      const zero = Math.min(FILL, what.files[made] - transfer.filled);
      if (zero > 0) feed(door, transfer, call(transfer.pid, "write", { fd: 3, buf: { zero } }), budget);
      transfer.filled += zero;
      if (transfer.filled === what.files[made]) transfer.next = "close";
      return false;
    }
    case "close":
      feed(door, transfer, call(transfer.pid, "close", { fd: 3 }), budget);
      transfer.made++;
      transfer.next = "open";
      return false;
    case "programs":
      startPrograms(door, transfer, budget);
      transfer.next = "done";
      return false;
    case "done":
      return true;
  }
}

/** The master waits for the slave before either looks at the clock. */
function startPrograms(door: Door, transfer: Transfer, budget: number): void {
  const { files, method, bufSize } = transfer.what;
  const pages = files.reduce((sum, size) => sum + Math.ceil(size / PAGE), 0);
  const build = { bufSize, unmaps: pages > LEAKY_PAGES };
  const names = (path: (at: number) => string): string[] => files.map((_, at) => path(at));
  const count = String(files.length);
  feed(door, transfer, program("master", { argv: ["master", count, ...names(inPath), method], ...build }), budget);
  feed(door, transfer, program("slave", { argv: ["slave", count, ...names(outPath), method, "127.0.0.1"], ...build }), budget);
}

/** The times that the programs of a finished transfer printed. */
export function timesOf({ printed }: Transfer): TransferTimes {
  const timeOf = (program: string): number => {
    const { stdout, stderr } = printed[program] ?? { stdout: "", stderr: "" };
    const told = /^Transmission time: ([0-9.]+) ms, File size: ([0-9]+) bytes$/m.exec(stdout);
    if (told === null) throw new Error(`${program} did not finish: ${stderr.slice(-200)}`);
    return Number(told[1]);
  };
  return { master: timeOf("master"), slave: timeOf("slave") };
}

/** How far a transfer is, 0 to 1: by the bytes that the slave still expects. */
export function progressOf({ kernel, next, what, printed }: Transfer): number {
  if (next !== "done" || kernel === null) return 0;
  if (printed.slave !== undefined) return 1;
  const total = what.files.reduce((sum, size) => sum + size, 0);
  let done = 0;
  for (const { frames } of kernel.state.sched.tasks.values()) {
    const frame = frames.find(({ code }) => code === "program.slave");
    const locals = frame?.locals as { bytes: number; total: number; left: number } | undefined;
    if (locals !== undefined) done = Math.max(done, locals.bytes + locals.total - locals.left);
  }
  return total === 0 ? 0 : Math.min(1, done / total);
}
