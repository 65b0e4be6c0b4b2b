/** Who may look into another process (ptrace(2), "Ptrace access mode checking"). */
import { CAP_SYS_PTRACE } from "../../abi/capability.ts";
import type { Kernel } from "../../kernel.ts";
import type { Cred } from "../../sched/cred.ts";
import type { Task } from "../../sched/task.ts";
import type { WalkContext } from "../fs_type.ts";
import { hasCapability } from "../permission.ts";

/** SUID_DUMP_USER of prctl(PR_SET_DUMPABLE) */
const DUMPABLE = 1;

/** The same user in every respect, and nothing more allowed to the target than to the one who looks. */
function sameUser(cred: Cred, target: Cred): boolean {
  const { fsuid: uid, fsgid: gid } = cred;
  return uid === target.euid && uid === target.suid && uid === target.uid && gid === target.egid && gid === target.sgid && gid === target.gid;
}

/** PTRACE_MODE_READ_FSCREDS: whether `ctx` may read of `task` what only its owner should. A process may always look into itself. */
export function ptraceMayAccess(k: Kernel, ctx: WalkContext, task: Task): boolean {
  const self = ctx.tid === 0 ? undefined : k.state.sched.tasks.get(ctx.tid);
  if (self?.tgid === task.tgid) return true;
  if (hasCapability(ctx.cred, CAP_SYS_PTRACE)) return true;
  if (!sameUser(ctx.cred, task.cred) || (task.mm !== 0 && task.dumpable !== DUMPABLE)) return false;
  return (task.cred.capPermitted & ~ctx.cred.capPermitted) === 0n;
}

/** Who owns the files of a process: its effective user while it may be dumped, else root. */
export function taskOwner(task: Task): { uid: number; gid: number } {
  if (task.mm === 0 || task.dumpable !== DUMPABLE) return { uid: 0, gid: 0 };
  return { uid: task.cred.euid, gid: task.cred.egid };
}
