/** getrusage(2), getrlimit(2), getpriority(2). */
import type { ChoiceTable } from "./flags.ts";
import { layout } from "./layout.ts";
import { timevalLayout } from "./time.ts";

export const RUSAGE_SELF = 0;
export const RUSAGE_CHILDREN = -1;
export const RUSAGE_THREAD = 1;
export const PRIO_PROCESS = 0;
export const PRIO_PGRP = 1;
export const PRIO_USER = 2;

export const rusageWho: ChoiceTable = { prefix: "RUSAGE_", values: { RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD } };
export const priorityWhich: ChoiceTable = { prefix: "PRIO_", values: { PRIO_PROCESS, PRIO_PGRP, PRIO_USER } };

export const rlimitLayout = layout(16, { rlim_cur: [0, "u64"], rlim_max: [8, "u64"] });

export const rusageLayout = layout(144, {
  ru_utime: [0, timevalLayout],
  ru_stime: [16, timevalLayout],
  ru_maxrss: [32, "i64"],
  ru_ixrss: [40, "i64"],
  ru_idrss: [48, "i64"],
  ru_isrss: [56, "i64"],
  ru_minflt: [64, "i64"],
  ru_majflt: [72, "i64"],
  ru_nswap: [80, "i64"],
  ru_inblock: [88, "i64"],
  ru_oublock: [96, "i64"],
  ru_msgsnd: [104, "i64"],
  ru_msgrcv: [112, "i64"],
  ru_nsignals: [120, "i64"],
  ru_nvcsw: [128, "i64"],
  ru_nivcsw: [136, "i64"],
});
