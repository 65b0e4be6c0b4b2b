/** What the builds of mp3 share: the module's statics, and in what the builds differ. */
import type { Kernel } from "../../kernel.ts";
import { must } from "../../lib/assert.ts";
import type { Variant } from "../../module/definition.ts";
import { moduleData } from "../../module/query.ts";

export const NAME = "mp3";
export const STATUS = "mp3/status";
export const ALERT = 1;
/** Samples in the queue: ten minutes of them, 20 a second. */
export const SAMPLES = 12_000;
/** Bytes of a sample: four unsigned longs. */
export const SAMPLE_SIZE = 32;
export const WORK_PERIOD_MS = 50;

/** A task whose faults and CPU time are counted, and what it had of them at the last sample. */
export interface Registered {
  tid: number;
  /** Tells a task from a later one with its number. */
  startNs: number;
  minFlt: number;
  majFlt: number;
  cpuNs: number;
}

export interface Mp3 {
  dev: number;
  /** vmalloc area that monitors map. */
  buffer: number;
  workqueue: number;
  work: number;
  /** In the order of registration. */
  tasks: Registered[];
  /** Where the next sample goes. */
  position: number;
  lastJiffies: number;
  /** What the last task that was there added, which the report's code adds again for one that is not. */
  stale: { minFlt: number; majFlt: number; cpuNs: number };
}

export function lab(k: Kernel): Mp3 {
  return moduleData<Mp3>(k, NAME);
}

/** In what a build differs. */
export interface Build {
  chrdev: string;
  bufferSize: number;
  /** Mistakes are told by errno; else every write takes its bytes. */
  strict: boolean;
  /** Fields after the time: the handout has minor faults before major ones. */
  majorFirst: boolean;
  /** A task that has gone is dropped; else it adds what the one before it added. */
  dropsDead: boolean;
  /** Unused longs are -1; else the buffer begins as zeros, and only an end mark is set. */
  marksUnused: boolean;
  /** mmap honours the offset. */
  offset: boolean;
}

const PAGES = 128;
const PAGE_SIZE = 4096;

const BUILDS: { [v in Variant]?: Build } = {
  corrected: { chrdev: "mp3", bufferSize: PAGES * PAGE_SIZE, strict: true, majorFirst: false, dropsDead: true, marksUnused: true, offset: true },
  seed: { chrdev: "MP3", bufferSize: SAMPLES * SAMPLE_SIZE, strict: false, majorFirst: true, dropsDead: false, marksUnused: false, offset: false },
};

export function buildOf(variant: Variant): Build {
  const build = BUILDS[variant];
  if (build === undefined) throw new Error(`mp3 has no variant ${variant}`);
  return build;
}

export function build(k: Kernel): Build {
  return buildOf(must(k.state.modules.loaded, NAME).variant);
}
