/** System calls of the core, ns each: by registers as a program makes them, in batches as JSON, as inputs of their own. Prints one JSON object. */
import type { CallRequest } from "../../core/input.ts";
import { taskOf } from "../../core/sched/task.ts";
import { syscall } from "../../core/syscalls/enter.ts";
import { tables } from "../../core/tables.ts";
import { batch, call, newBench, type Bench } from "./kernel.ts";

const ROUNDS = 300;

function nsPer(count: number, work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / count;
}

/** The best of several rounds after a warm-up: what the machine can do undisturbed. */
function measure(count: number, work: () => void): number {
  for (let round = 0; round < 3; round++) work();
  return Math.min(...Array.from({ length: 5 }, () => nsPer(count, work)));
}

function batches(bench: Bench, requests: CallRequest[]): number {
  return measure(ROUNDS * requests.length, () => {
    for (let round = 0; round < ROUNDS; round++) batch(bench, requests);
  });
}

const bench = newBench();
const { k, pid } = bench;
const task = taskOf(k, pid);
const null_ = call(bench, "openat", { pathname: "/dev/null", flags: "O_WRONLY" }).ret as number;
const [read, write] = call(bench, "pipe2").pipefd as number[];
const page = { base64: Buffer.alloc(4096, "x").toString("base64") };
const memory = Number(call(bench, "mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" }).ret);
call(bench, "store", { addr: memory, buf: page });
call(bench, "store", { addr: memory + 4096, buf: page });

/** A call by its registers, as a program's step makes it. */
function bare(name: string, regs: number[]): () => void {
  const nr = tables.syscallNames.get(name)?.x86_64 ?? -1;
  return () => {
    if (typeof syscall(k, task, nr, regs) === "object") throw new Error(`${name} sleeps`);
  };
}

function measureBare(count: number, ...work: (() => void)[]): number {
  k.turn.current = pid;
  const ns = measure(count, () => {
    for (let at = 0; at < count; at++) for (const one of work) one();
  });
  k.turn.current = 0;
  return ns;
}

const many = (request: CallRequest): CallRequest[] => Array.from({ length: 1000 }, () => request);
const trips = Array.from({ length: 100 }, (): CallRequest[] => [
  { call: "write", args: { fd: write, buf: page } }, { call: "read", args: { fd: read, count: 4096 } },
]).flat();

const result = {
  getpidBare: measureBare(1_000_000, bare("getpid", [])),
  getpidBatch: batches(bench, many({ call: "getpid" })),
  getpidSingle: measure(100_000, () => {
    for (let at = 0; at < 100_000; at++) call(bench, "getpid");
  }),
  devNullBare: measureBare(500_000, bare("write", [null_, memory, 1])),
  devNullBatch: batches(bench, many({ call: "write", args: { fd: null_, buf: "x" } })),
  pipeBare: measureBare(200_000, bare("write", [write, memory, 4096]), bare("read", [read, memory + 4096, 4096])),
  pipeBatch: 2 * batches(bench, trips),
};
console.log(JSON.stringify(result));
