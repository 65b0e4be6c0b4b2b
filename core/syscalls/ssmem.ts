/** System calls 320 and 321, which only this kernel has: shared segments by number. */
import { ssmemFlags } from "../abi/ssmem.ts";
import type { Kernel } from "../kernel.ts";
import { ssmemAttach, ssmemDetach } from "../labs/ssmem/index.ts";
import type { Task } from "../sched/task.ts";
import { addr, flags, int, size } from "./args.ts";
import type { Rows } from "./row.ts";

type Word = number | bigint;

export const ssmemRows: Rows = {
  ssmem_attach: {
    x86_64: 320, returns: "address", args: [int("id"), flags("flags", ssmemFlags), size("length")],
    run: (k: Kernel, task: Task, [id, how, length]: [number, number, Word]) => ssmemAttach(k, task, id, how, length),
  },
  ssmem_detach: {
    x86_64: 321, args: [addr("addr")],
    run: (k: Kernel, task: Task, [at]: [Word]) => ssmemDetach(k, task, at),
  },
};
