/** What exists in a kernel, read from its state: the valid half of what the fuzzer says. */
import type { Kernel } from "../../core/kernel.ts";
import { moduleCatalogue, view } from "../../core/index.ts";
import { drivenFrame } from "../../core/syscalls/driven.ts";
import type { Task } from "../../core/sched/task.ts";

export interface Fd {
  fd: number;
  /** Name of its file operations. */
  ops: string;
}

export interface Region {
  start: number;
  length: number;
}

export function drivenTasks(k: Kernel): Task[] {
  return [...k.state.sched.tasks.values()].filter(({ kind, state }) => kind === "driven" && state !== "zombie");
}

export function idle(task: Task): boolean {
  return drivenFrame(task) === null;
}

export function descriptors(k: Kernel, task: Task): Fd[] {
  const found: Fd[] = [];
  for (const [fd, entry] of k.state.fs.fdTables.get(task.files)?.fds ?? []) {
    const file = k.state.fs.files.get(Math.abs(entry));
    if (file !== undefined) found.push({ fd, ops: file.ops });
  }
  return found;
}

export function regions(k: Kernel, task: Task): Region[] {
  const space = k.state.mm.spaces.get(task.mm);
  return space === undefined ? [] : space.vmas.flat().map(({ start, end }) => ({ start, length: end - start }));
}

/** Devices, files of /proc and /sys, and modules' files. */
export function kernelFiles(k: Kernel): string[] {
  const found = ["/", "/tmp", "/dev/null"];
  for (const folder of ["/dev", "/proc", "/sys/module", "/proc/sys/kernel", "/bin"]) {
    const seen = view(k, { uid: 0 }, folder);
    if ("entries" in seen) found.push(...seen.entries.filter(({ name }) => !/^\d+$/.test(name)).map(({ name }) => `${folder}/${name}`));
  }
  return [...found, ...moduleCatalogue().map(({ name }) => `/lib/modules/6.1.0-syslab/corrected/${name}.ko`)];
}
