/** monitor: prints the samples that mp3 left in the memory of `node`. The handout's consumes what it prints; the report's only looks. */
import { O_RDWR, O_SYNC } from "../../abi/fcntl.ts";
import { PAGE_SIZE } from "../../abi/limits.ts";
import { MAP_SHARED, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { getU64 } from "../../lib/bytes.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { tool } from "../tool.ts";
import { load, store } from "./user_memory.ts";

const SAMPLES = 12_000;
const SAMPLE_SIZE = 32;
/** Samples in one step, and the user time of a line, ns. */
const AT_ONCE = 64;
const LINE_NS = 1_000;
/** All bits are set in the time of a slot that holds no sample. */
const unused = (time: number | bigint): boolean => time === 0xffff_ffff_ffff_ffffn;
const UNUSED = new Uint8Array(SAMPLE_SIZE).fill(0xff);

interface MonitorLocals {
  addr: number;
  /** The slot that is looked at next. */
  slot: number;
  /** Slots looked at before the first sample. */
  skipped: number;
  read: number;
}

function monitor(name: string, pages: number, consumes: boolean): void {
  tool<MonitorLocals>(name, "bin", () => ({ addr: 0, slot: 0, skipped: 0, read: 0 }), {
    open: (p) => p.open("node", O_RDWR | O_SYNC),
    map: (p) => {
      if (p.ret < 0) {
        p.out("file open error. node\n");
        return 255;
      }
      return p.sys("mmap", 0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p.ret, 0);
    },
    mapped: (p, l) => {
      if (p.ret < 0) {
        p.out("buf file open error.\n");
        return 255;
      }
      l.addr = p.ret;
      return NEXT;
    },
    look: (p, l) => {
      for (let count = 0; count < AT_ONCE; count++) {
        const at = l.addr + l.slot * SAMPLE_SIZE;
        const bytes = load(p, at, SAMPLE_SIZE);
        if (bytes === false) return to("die");
        const fields = [0, 8, 16, 24].map((field) => getU64(bytes, field));
        const skips = consumes && l.read === 0 && l.skipped < SAMPLES - 1;
        if (unused(fields[0]) && !skips) return to("end");
        l.slot = (l.slot + 1) % SAMPLES;
        if (unused(fields[0])) {
          l.skipped++;
          continue;
        }
        p.out(`${fields.join(" ")}\n`);
        p.work(LINE_NS);
        l.read++;
        if (consumes && !store(p, at, UNUSED)) return to("die");
        if (l.read === SAMPLES) return to("end");
      }
      return to("look");
    },
    die: (p) => p.sys("getpid"),
    dead: () => 255,
    end: (p, { read }) => {
      p.out(`read ${read} profiled data\n`);
      return 0;
    },
  });
}

monitor("monitor", 128, true);
monitor("monitor.seed", 94, false);
