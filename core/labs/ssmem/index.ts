/** ssmem: shared segments that processes attach by small numbers, behind two system calls of this kernel's own. */
import { EINVAL } from "../../abi/errno.ts";
import type { Addr } from "../../fs/file.ts";
import type { Kernel } from "../../kernel.ts";
import type { Task } from "../../sched/task.ts";
import type { Design } from "./design.ts";
import { anonDesign, faultDesign } from "./mapped.ts";
import { seedDesign } from "./seed.ts";
import { lengthFits, SSMEM_ID_MAX } from "./segments.ts";
import "./proc.ts";

const designs: { [name: string]: Design } = { fault: faultDesign, anon: anonDesign, seed: seedDesign };

function designOf(k: Kernel): Design {
  return designs[k.state.machine.ssmem ?? "fault"];
}

/**
 * ssmem_attach(id, flags, length): the address of a new mapping of segment `id`, however often the process has it mapped.
 * -EINVAL for an id outside 1…1024, a length outside 1…40,960 bytes or an unknown flag; -EADDRNOTAVAIL when the segment does
 * not exist and SSMEM_FLAG_CREATE is not given; errors of mmap(2), -ENOMEM first of all. Whoever creates a segment fixes its
 * length, rounded up to pages; an existing one is attached in that length.
 */
export function ssmemAttach(k: Kernel, task: Task, id: number, flags: number, length: number | bigint): number {
  if (id <= 0 || id >= SSMEM_ID_MAX || !lengthFits(length)) return -EINVAL;
  return designOf(k).attach(k, task, id, flags, length);
}

/** ssmem_detach(addr): takes the mapping that `addr` lies in away; -EFAULT when that is no mapping of ssmem. */
export function ssmemDetach(k: Kernel, task: Task, addr: Addr): number {
  return designOf(k).detach(k, task, addr);
}
