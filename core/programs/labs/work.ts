/**
 * work MEMSIZE LOCALITY NACCESS: the load of the page-fault lab. It registers with mp3, takes MEMSIZE blocks of a MiB, and
 * twenty times stores NACCESS bytes somewhere in them and sleeps a second.
 */
import { O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { nameBytes } from "../../fs/names.ts";
import { nextBelow, seedRng, type RngState } from "../../lib/rng.ts";
import { NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";
import { timespec } from "../tools/sleep.ts";
import { store } from "./user_memory.ts";

const STATUS = "//proc/mp3/status";
const MEGABYTE = 1 << 20;
const MEMSIZE_MAX = 1024;
const ITERATIONS = 20;
/** malloc(3) maps a block of this size by itself, and keeps 16 bytes before it. */
const BLOCK_SIZE = MEGABYTE + PAGE_SIZE;
const HEADER = 16;
/** Accesses in one step, and the user time of one, ns: drawing a position and the store. */
const AT_ONCE = 256;
const ACCESS_NS = 20;
/** Of ten accesses of a local program, two go anywhere; the others compute an address and touch nothing. */
const FAR_OF_TEN = 2;

interface WorkLocals {
  memsize: number;
  local: boolean;
  naccess: number;
  tid: number;
  /** Registers, or takes its registration back. */
  command: "R" | "U";
  blocks: number[];
  random: RngState;
  iteration: number;
  left: number;
  fd: number;
}

const written = (p: Proc, l: WorkLocals): StepResult => p.sys("close", l.fd);

tool<WorkLocals>("work", "bin", (p, args) => {
  const [memsize, locality, naccess] = args;
  if (naccess === undefined) {
    p.out("Usage: work <memsize in MB> <locality: R for random, T for temporal> <naccess: accesses in an iteration>\n");
    return 255;
  }
  const [megabytes, accesses] = [Number.parseInt(memsize, 10) || 0, Number.parseInt(naccess, 10) || 0];
  if (megabytes < 1 || megabytes > MEMSIZE_MAX) return refuse(p, `memsize shall be between 1 and ${MEMSIZE_MAX}`);
  if (accesses < 1) return refuse(p, "naccess shall be >=1");
  return {
    memsize: megabytes, local: !locality.startsWith("R"), naccess: accesses, tid: 0, command: "R", blocks: [],
    random: seedRng(p.task.tid), iteration: 0, left: 0, fd: -1,
  };
}, {
  start: (p, { memsize, local, naccess }) => {
    p.out(`A work prcess starts (configuration: ${memsize} ${local ? 1 : 0} ${naccess})\n`);
    return p.sys("gettid");
  },
  tid: (p, l) => {
    l.tid = p.ret;
    return NEXT;
  },
  tell: (p) => p.open(STATUS, O_WRONLY | O_TRUNC),
  told: (p, l) => {
    // Without the module there is nobody to tell, and the program works all the same.
    if (p.ret < 0) return to("registered");
    l.fd = p.ret;
    const text = nameBytes(`${l.command} ${l.tid}\n`);
    return p.sys("write", l.fd, text, text.length);
  },
  close: written,
  registered: (_p, { command }) => (command === "R" ? NEXT : to("done")),

  allocate: (p, { blocks, memsize }) =>
    (blocks.length === memsize ? to("iteration") : p.sys("mmap", 0, BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
  allocated: (p, { blocks }) => {
    if (p.ret < 0) {
      p.out(`Out of memory error! (failed at ${blocks.length}MB)\n`);
      return 255;
    }
    blocks.push(p.ret + HEADER);
    return to("allocate");
  },

  iteration: (p, l) => {
    if (l.iteration === ITERATIONS) return to("free");
    p.out(`[${l.tid}] ${l.iteration} iteration\n`);
    l.left = l.naccess;
    return NEXT;
  },
  access: (p, l) => {
    const count = Math.min(l.left, AT_ONCE);
    l.left -= count;
    p.work(count * ACCESS_NS);
    for (let done = 0; done < count; done++) if (!access(p, l)) return to("die");
    return l.left > 0 ? to("access") : NEXT;
  },
  sleep: (p) => p.sys("clock_nanosleep", 1, 0, timespec(1_000_000_000), 0),
  slept: (_p, l) => {
    l.iteration++;
    return to("iteration");
  },

  free: (p, { blocks }) => {
    const block = blocks.pop();
    return block === undefined ? to("leave") : p.sys("munmap", block - HEADER, BLOCK_SIZE);
  },
  freed: () => to("free"),
  leave: (_p, l) => {
    l.command = "U";
    return to("tell");
  },
  done: () => 0,
  die: (p) => p.sys("getpid"),
  dead: () => 255,
});

function refuse(p: Proc, what: string): number {
  p.out(`${what}\n`);
  return 255;
}

/** One access; false when the program dies of it. */
function access(p: Proc, { local, random, blocks, memsize }: WorkLocals): boolean {
  if (local && nextBelow(random, 10) >= FAR_OF_TEN) return true;
  const position = nextBelow(random, memsize * MEGABYTE);
  return store(p, blocks[Math.floor(position / MEGABYTE)] + (position % MEGABYTE), ONE);
}

const ONE = Uint8Array.of(1);
