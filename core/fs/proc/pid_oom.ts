/** /proc/PID/oom_score, oom_score_adj and oom_adj: how likely the OOM killer is to choose a process (fs/proc/base.c). */
import { EACCES, EINVAL } from "../../abi/errno.ts";
import { CAP_SYS_RESOURCE } from "../../abi/capability.ts";
import type { Kernel } from "../../kernel.ts";
import { kstrtoint } from "../../lib/kstrto.ts";
import { warnOnce } from "../../mm/accounting.ts";
import { totalPages } from "../../mm/page_alloc.ts";
import { oomBadness } from "../../mm/oom.ts";
import { swapPages } from "../../mm/swap.ts";
import { capable } from "../../sched/cred.ts";
import { groupOf, type Task } from "../../sched/task.ts";
import { procPidFile } from "./registry.ts";

const OOM_MIN = -1000;
const OOM_MAX = 1000;
/** Of what is written only so many characters are looked at (PROC_NUMBUF - 1). */
const NUMBER_LENGTH = 12;

/** 0 for what is never killed, else two thirds of 1000 plus the share of memory in thousandths, moved by oom_score_adj (proc_oom_score). */
function oomScore(k: Kernel, task: Task): number {
  const group = groupOf(k, task);
  const space = k.state.mm.spaces.get(task.mm);
  if (group.oomScoreAdj === OOM_MIN || space === undefined) return 0;
  const total = totalPages(k.state.mm) + swapPages(k);
  const points = oomBadness(k, group, space);
  return Math.trunc(((1000 + Math.trunc((points * 1000) / total)) * 2) / 3);
}
procPidFile("oom_score", (k, task) => `${oomScore(k, task)}\n`);

/** The number that was written, or an errno; blanks around it are nothing. */
function parse(text: string): number | { errno: number } {
  const parsed = kstrtoint(text.slice(0, NUMBER_LENGTH).split("\0")[0].replace(/^[ \t-\r]+|[ \t-\r]+$/g, ""), 0);
  return "errno" in parsed ? parsed : parsed.value;
}

/**
 * Sets the adjustment of a process and of all that share its memory. Below what a privileged writer set last, only another
 * one may go; by the old file, below what there is.
 */
function setAdj(k: Kernel, writer: Task, task: Task, value: number, legacy: boolean): number {
  const group = groupOf(k, task);
  const privileged = capable(writer, CAP_SYS_RESOURCE);
  if (value < (legacy ? group.oomScoreAdj : group.oomScoreAdjMin) && !privileged) return -EACCES;
  if (legacy) {
    const file = `/proc/${task.tid}/oom_`;
    warnOnce(k, "proc.oom_adj", `${writer.comm} (${writer.tid}): ${file}adj is deprecated, please use ${file}score_adj instead.`);
  }
  // Who waits in vfork for this process is left alone.
  const alone = task.mm === 0 || group.vforkParent !== 0;
  for (const other of k.state.sched.groups.values()) {
    if (other !== group && (alone || other.tgid === 1 || k.state.sched.tasks.get(other.tgid)?.mm !== task.mm)) continue;
    other.oomScoreAdj = value;
    if (!legacy && privileged) other.oomScoreAdjMin = value;
  }
  return 0;
}

procPidFile("oom_score_adj", (k, task) => `${groupOf(k, task).oomScoreAdj}\n`, {
  mode: 0o644,
  write: (k, writer, task, text) => {
    const value = parse(text);
    if (typeof value !== "number") return value.errno;
    if (value < OOM_MIN || value > OOM_MAX) return -EINVAL;
    return setAdj(k, writer, task, value, false) || Math.min(text.length, NUMBER_LENGTH);
  },
});

/** The old scale of -16 to 15, and -17 for never, kept for old programs. */
const OOM_DISABLE = -17;
const OOM_ADJUST_MAX = 15;
procPidFile("oom_adj", (k, task) => {
  const { oomScoreAdj } = groupOf(k, task);
  return `${Math.min(OOM_ADJUST_MAX, Math.trunc((oomScoreAdj * -OOM_DISABLE) / OOM_MAX))}\n`;
}, {
  mode: 0o644,
  write: (k, writer, task, text) => {
    const value = parse(text);
    if (typeof value !== "number") return value.errno;
    if (value < OOM_DISABLE || value > OOM_ADJUST_MAX) return -EINVAL;
    const scaled = value === OOM_ADJUST_MAX ? OOM_MAX : Math.trunc((value * OOM_MAX) / -OOM_DISABLE);
    return setAdj(k, writer, task, scaled, true) || Math.min(text.length, NUMBER_LENGTH);
  },
});
