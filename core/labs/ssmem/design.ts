/**
 * Three ways to build ssmem, of which a machine boots one (`ssmem=` of its options): "fault" maps shared memory through
 * vm_ops.fault, "anon" is the report's first design, private mappings whose anonymous faults are patched, and "seed" is the
 * report's code with its defects.
 */
import type { Addr } from "../../fs/file.ts";
import type { Kernel } from "../../kernel.ts";
import type { Task } from "../../sched/task.ts";

export interface Design {
  /** ssmem_attach: the mapping's address or an errno. The id was checked, the length was checked. */
  attach(k: Kernel, task: Task, id: number, flags: number, length: number): number;
  /** ssmem_detach: 0 or -EFAULT. */
  detach(k: Kernel, task: Task, addr: Addr): number;
}
