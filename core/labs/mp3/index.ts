/** mp3: a profiler that counts the page faults of registered tasks, 20 times a second, into memory that a monitor maps. */
import { ENOMEM } from "../../abi/errno.ts";
import { allocChrdevRegion, cdevAdd, cdevDel, unregisterChrdevRegion } from "../../fs/char_dev.ts";
import { fileOperations } from "../../fs/file.ts";
import { procCreate, procMkdir, removeProcEntry } from "../../fs/proc/dynamic.ts";
import { cancelDelayedWorkSync, destroyWorkqueue } from "../../irq/flush.ts";
import { freeWork, initDelayedWork } from "../../irq/work.ts";
import { allocWorkqueue } from "../../irq/workqueue.ts";
import type { Kernel } from "../../kernel.ts";
import { remapVmallocRange, vfree, vmallocUser, writeVmalloc } from "../../mm/vmalloc.ts";
import { moduleDefinition } from "../../module/definition.ts";
import type { Module } from "../../module/state.ts";
import { printk } from "../../sched/printk.ts";
import { enter, NEXT, steps } from "../../sched/steps.ts";
import { ALERT, build, buildOf, lab, NAME, STATUS, type Mp3 } from "./lab.ts";
import { sampling } from "./sampling.ts";
import "./status.ts";

const MODE = 0o666;

/** The device gives its buffer to mappings, and nothing else. */
fileOperations(NAME, {
  owner: NAME,
  open: () => 0,
  release: () => 0,
  mmap: (k, _task, _file, vma) => remapVmallocRange(k, vma, lab(k).buffer, build(k).offset ? vma.pgoff : 0),
});

function init(k: Kernel, { data, variant }: Module): number {
  const { bufferSize, chrdev, marksUnused } = buildOf(variant);
  const buffer = vmallocUser(k, bufferSize, NAME);
  if (buffer === 0) return -ENOMEM;
  const dev = allocChrdevRegion(k, 0, 1, chrdev);
  const workqueue = dev < 0 ? dev : allocWorkqueue(k, "mp3wq", 0, 1, NAME);
  if (workqueue < 0) {
    if (dev >= 0) unregisterChrdevRegion(k, dev, 1);
    vfree(k, buffer);
    return workqueue;
  }
  cdevAdd(k, dev, 1, NAME);
  if (marksUnused) writeVmalloc(k, buffer, 0, new Uint8Array(bufferSize).fill(0xff));
  Object.assign(data, {
    dev, buffer, workqueue, work: initDelayedWork(k, sampling.name, { owner: NAME }),
    tasks: [], position: 0, lastJiffies: 0, stale: { minFlt: 0, majFlt: 0, cpuNs: 0 },
  } satisfies Mp3);
  procMkdir(k, NAME);
  procCreate(k, STATUS, MODE, "mp3.status");
  printk(k, ALERT, `MODULE LOADED with BUFFER_SIZE=${bufferSize}`);
  return 0;
}

const exit = steps<{ module: string }>("mp3.exit", {
  proc: (k) => {
    removeProcEntry(k, STATUS);
    removeProcEntry(k, NAME);
    return NEXT;
  },
  cancel: (k) => enter(cancelDelayedWorkSync, { work: lab(k).work }),
  destroy: (k) => enter(destroyWorkqueue, { wq: lab(k).workqueue }),
  free: (k) => {
    const { dev, buffer, work } = lab(k);
    freeWork(k, work);
    cdevDel(k, dev);
    unregisterChrdevRegion(k, dev, 1);
    vfree(k, buffer);
    printk(k, ALERT, "MODULE UNLOADED");
    return 0;
  },
});

moduleDefinition({
  name: NAME,
  license: "GPL",
  depends: [],
  srcversion: "",
  size: 16384,
  initSize: 4096,
  params: [],
  exports: [],
  imports: [],
  variants: {
    corrected: { defects: [], init, exit },
    seed: {
      defects: [
        "a sample has the major faults before the minor ones",
        "every write to /proc/mp3/status takes its bytes: garbage, unknown tasks and tasks that are registered already are no errors",
        "a task that has ended stays on the list, and adds again what the one before it added",
        "mmap ignores its offset, and the buffer begins as zeros: a monitor that comes early reads them as samples",
        "the last deregistration does not wait for a sample under way",
      ],
      init, exit,
    },
  },
});
