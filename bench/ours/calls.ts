/** System calls of the core, ns each: as single inputs, in batches of 1,000, and between enter.ts and the call alone. Prints one JSON object. */
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
const null_ = call(bench, "openat", { pathname: "/dev/null", flags: "O_WRONLY" }).ret as number;
const [read, write] = call(bench, "pipe2").pipefd as number[];
const page = { base64: Buffer.alloc(4096, "x").toString("base64") };
const getpidNumber = tables.syscallNames.get("getpid")?.x86_64 ?? 39;

const many = (request: CallRequest): CallRequest[] => Array.from({ length: 1000 }, () => request);
const trips = Array.from({ length: 500 }, (): CallRequest[] => [
  { call: "write", args: { fd: write, buf: page } }, { call: "read", args: { fd: read, count: 4096 } },
]).flat();

const result = {
  getpidBare: measure(1_000_000, () => {
    k.turn.current = pid;
    const task = taskOf(k, pid);
    for (let at = 0; at < 1_000_000; at++) syscall(k, task, getpidNumber, []);
    k.turn.current = 0;
  }),
  getpidBatch: batches(bench, many({ call: "getpid" })),
  getpidSingle: measure(100_000, () => {
    for (let at = 0; at < 100_000; at++) call(bench, "getpid");
  }),
  devNullBatch: batches(bench, many({ call: "write", args: { fd: null_, buf: "x" } })),
  pipeBatch: 2 * batches(bench, trips),
};
console.log(JSON.stringify(result));
