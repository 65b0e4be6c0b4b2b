/**
 * bench [THREADS [ROUNDS]]: threads that all connect to 127.0.0.1:12345 at once, send a message and take it back; bench.txt gets
 * the mean time of the first, the second … that was done, over all rounds. 1,000 threads and 10 rounds, as it is compiled.
 *
 * `bench` counts the threads that have come to the barrier; the report's form (`bench.seed`) opens it once all are created.
 */
import { errnoMessage } from "../../abi/errno.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { encodeSockaddr, SOCKADDR_IN_SIZE } from "../../abi/sockaddr.ts";
import { AF_INET, INADDR_LOOPBACK, SHUT_RDWR, SOCK_STREAM } from "../../abi/socket.ts";
import { nameBytes } from "../../fs/names.ts";
import { getI64, putU64 } from "../../lib/bytes.ts";
import { NEXT, to, type StepResult } from "../../sched/steps.ts";
import { programSteps, type Proc } from "../proc.ts";
import { COND_SIZE, condBroadcast, condWait, exitProgram, mutexLock, mutexUnlock, pthreadCreate, pthreadJoin } from "../pthread.ts";
import { tool } from "../tool.ts";
import { load, load32, store, store32 } from "./user_memory.ts";

const MAX_THREAD = 1000;
const BENCH_COUNT = 10;
const BENCH_RESULT_FILE = "bench.txt";
const TARGET = encodeSockaddr({ family: AF_INET, port: 12345, addr: INADDR_LOOPBACK });
const MAX_MSG_LEN = 32;
const MESSAGE = "dummy message";
const FAILED = 255;
/** More threads than this no kernel of ours has. */
const THREADS_MAX = 4000;

/** The program's variables, which all its threads share: two mutexes, a condition variable, the barrier, the next place of `time_res`. */
const [WORKER_LOCK, RES_LOCK, WORKER_WAIT] = [0, 64, 128];
const READY = WORKER_WAIT + COND_SIZE;
const INDEX = READY + 4;
const TIME_RES = 192;
const LONG = 8;

interface Shared {
  /** Where those variables lie. */
  at: number;
  threads: number;
  /** Threads count themselves at the barrier. */
  counted: boolean;
}

interface WorkerLocals extends Shared {
  sock: number;
  startUs: number;
  endUs: number;
  /** What came back, one character a byte. */
  dummy: string;
}

const variable = (p: Proc, at: number): number => load32(p, at) || 0;

function perror(p: Proc, what: string): StepResult {
  p.err(`${what}: ${errnoMessage(-p.ret)}\n`);
  return exitProgram(FAILED);
}

function puts(p: Proc, what: string): StepResult {
  p.out(`${what}\n`);
  return exitProgram(FAILED);
}

function addTime(p: Proc, { at }: Shared, us: number): void {
  const index = variable(p, at + INDEX);
  store32(p, at + INDEX, index + 1);
  const place = at + TIME_RES + index * LONG;
  putLong(p, place, longAt(p, place) + us);
}

function longAt(p: Proc, at: number): number {
  const bytes = load(p, at, LONG);
  return bytes === false || bytes.length < LONG ? 0 : Number(getI64(bytes, 0));
}

function putLong(p: Proc, at: number, value: number): void {
  const bytes = new Uint8Array(LONG);
  putU64(bytes, 0, value);
  store(p, at, bytes);
}

const worker = programSteps<WorkerLocals>("bench.worker", {
  lock: (p, { at }) => mutexLock(p, at + WORKER_LOCK),
  arrive: (p, { at, threads, counted }) => {
    if (!counted) return to("wait");
    const ready = variable(p, at + READY) + 1;
    store32(p, at + READY, ready);
    return ready === threads ? condBroadcast(p, at + WORKER_WAIT) : NEXT;
  },
  wait: (p, { at, threads, counted }) => (variable(p, at + READY) < (counted ? threads : 1) ? condWait(at + WORKER_WAIT, at + WORKER_LOCK) : to("unlock")),
  again: () => to("wait"),
  unlock: (p, { at }) => mutexUnlock(p, at + WORKER_LOCK),

  socket: (p) => p.sys("socket", AF_INET, SOCK_STREAM, 0),
  connect: (p, l) => {
    if (p.ret < 0) return perror(p, "socket");
    l.sock = p.ret;
    return p.sys("connect", l.sock, TARGET, SOCKADDR_IN_SIZE);
  },
  send: (p, l) => {
    if (p.ret < 0) return perror(p, "connect");
    l.startUs = p.gettimeofday();
    return p.sys("sendto", l.sock, nameBytes(MESSAGE), MESSAGE.length, 0, 0, 0);
  },
  receive: (p, { sock }) => p.sys("recvfrom", sock, { room: MAX_MSG_LEN }, MAX_MSG_LEN, 0, 0, 0),
  shutdown: (p, l) => {
    l.endUs = p.gettimeofday();
    l.dummy = p.text(p.ret);
    return p.sys("shutdown", l.sock, SHUT_RDWR);
  },
  close: (p, { sock }) => p.sys("close", sock),
  compare: (p, { dummy }) => (dummy.startsWith(MESSAGE) ? NEXT : puts(p, "echo message validation failed")),

  account: (p, { at }) => mutexLock(p, at + RES_LOCK),
  add: (p, l) => {
    addTime(p, l, l.endUs - l.startUs);
    return mutexUnlock(p, l.at + RES_LOCK);
  },
  done: () => 0,
});

interface BenchLocals extends Shared {
  rounds: number;
  round: number;
  file: number;
  /** Those of the round, and how many were waited for. */
  pt: number[];
  joined: number;
}

/** An operand that counts something, at least one; NaN when it is none. */
function count(word: string | undefined, standard: number): number {
  return word === undefined ? standard : /^[1-9]\d{0,3}$/.test(word) ? Number(word) : Number.NaN;
}

function result(p: Proc, { at, threads, rounds }: BenchLocals): string {
  const lines: string[] = [];
  for (let index = 0; index < threads; index++) lines.push(`${index} ${Math.floor(longAt(p, at + TIME_RES + index * LONG) / rounds)}\n`);
  return lines.join("");
}

function bench(name: string, counted: boolean): void {
  tool<BenchLocals>(name, "bin", (p, args) => {
    const [threads, rounds] = [count(args[0], MAX_THREAD), count(args[1], BENCH_COUNT)];
    if (Number.isNaN(threads + rounds) || threads > THREADS_MAX || args.length > 2) {
      p.out(`Usage: ${p.name} [threads: 1 to ${THREADS_MAX}] [rounds: 1 to 9999]\n`);
      return FAILED;
    }
    return { at: 0, threads, counted, rounds, round: 0, file: -1, pt: [], joined: 0 };
  }, {
    variables: (p, { threads }) => {
      const size = Math.ceil((TIME_RES + threads * LONG) / PAGE_SIZE) * PAGE_SIZE;
      return p.sys("mmap", 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    },
    open: (p, l) => {
      if (p.ret < 0) return perror(p, name);
      l.at = p.ret;
      return p.open(BENCH_RESULT_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
    },
    opened: (p, l) => {
      if (p.ret < 0) return perror(p, "fopen");
      l.file = p.ret;
      return NEXT;
    },

    round: (p, l) => {
      if (l.round === l.rounds) return to("print");
      store32(p, l.at + READY, 0);
      store32(p, l.at + INDEX, 0);
      l.pt = [];
      l.joined = 0;
      return NEXT;
    },
    create: (_p, l) => {
      if (l.pt.length === l.threads) return to("lock");
      const { at, threads } = l;
      return pthreadCreate<WorkerLocals>(worker, { at, threads, counted, sock: -1, startUs: 0, endUs: 0, dummy: "" });
    },
    created: (p, l) => {
      if (p.ret < 0) return puts(p, "thread creation failed");
      l.pt.push(p.ret);
      return to("create");
    },
    lock: (p, { at }) => (counted ? to("join") : mutexLock(p, at + WORKER_LOCK)),
    openBarrier: (p, { at }) => {
      store32(p, at + READY, 1);
      return condBroadcast(p, at + WORKER_WAIT);
    },
    unlock: (p, { at }) => mutexUnlock(p, at + WORKER_LOCK),
    join: (_p, l) => (l.joined === l.threads ? to("next") : pthreadJoin(l.pt[l.joined++])),
    joined: () => to("join"),
    next: (_p, l) => {
      l.round++;
      return to("round");
    },

    print: (p, l) => p.write(l.file, result(p, l)),
    close: (p, { file }) => p.sys("close", file),
    done: () => 0,
  });
}

bench("bench", true);
bench("bench.seed", false);
