/** Flags of clone(2), clone3(2) and unshare(2), and struct clone_args. */
import type { ChoiceTable, FlagTable } from "./flags.ts";
import { layout } from "./layout.ts";
import { signalNumbers } from "./signal.ts";

export const CSIGNAL = 0xff;
export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_PTRACE = 0x2000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_NEWNS = 0x20000;
export const CLONE_SYSVSEM = 0x40000;
export const CLONE_SETTLS = 0x80000;
export const CLONE_PARENT_SETTID = 0x100000;
export const CLONE_CHILD_CLEARTID = 0x200000;
export const CLONE_DETACHED = 0x400000;
export const CLONE_UNTRACED = 0x800000;
export const CLONE_CHILD_SETTID = 0x1000000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_IO = 0x80000000;
/** Above 32 bits: for clone3 only. */
export const CLONE_CLEAR_SIGHAND = 0x100000000;
export const CLONE_INTO_CGROUP = 0x200000000;
export const CLONE_NEWTIME = 0x80;

const flags = {
  CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_PIDFD, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT, CLONE_THREAD, CLONE_NEWNS,
  CLONE_SYSVSEM, CLONE_SETTLS, CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_UNTRACED, CLONE_CHILD_SETTID,
  CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_IO,
};

/** clone(2), whose low byte is the exit signal. */
export const cloneFlags: FlagTable = {
  prefix: "CLONE_",
  choices: { mask: CSIGNAL, values: signalNumbers, last: true, decimal: true },
  flags,
  aliases: { CLONE_DETACHED },
};
export const clone3Flags: FlagTable = { prefix: "CLONE_", flags: { ...flags, CLONE_NEWTIME, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP } };
export const unshareFlags: FlagTable = {
  prefix: "CLONE_",
  flags: {
    CLONE_NEWTIME, CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD, CLONE_NEWNS, CLONE_SYSVSEM, CLONE_NEWCGROUP, CLONE_NEWUTS,
    CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET,
  },
};

export const cloneArgsLayout = layout(88, {
  flags: [0, "u64"],
  pidfd: [8, "u64"],
  child_tid: [16, "u64"],
  parent_tid: [24, "u64"],
  exit_signal: [32, "u64"],
  stack: [40, "u64"],
  stack_size: [48, "u64"],
  tls: [56, "u64"],
  set_tid: [64, "u64"],
  set_tid_size: [72, "u64"],
  cgroup: [80, "u64"],
});
/** The sizes that clone3 has accepted over time. */
export const CLONE_ARGS_SIZE_VER0 = 64;
export const CLONE_ARGS_SIZE_VER1 = 80;
export const CLONE_ARGS_SIZE_VER2 = 88;

/** Policies of sched_setscheduler(2). */
export const SCHED_NORMAL = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
export const schedPolicies: ChoiceTable = {
  prefix: "SCHED_",
  values: { SCHED_OTHER: SCHED_NORMAL, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE },
  aliases: { SCHED_NORMAL },
};
