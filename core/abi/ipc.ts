/** System V IPC: commands, flags and structures of shared memory, message queues and semaphores. */
import type { ChoiceTable, FlagTable } from "./flags.ts";
import { layout } from "./layout.ts";

export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;
export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;
export const SHM_LOCK = 11;
export const SHM_UNLOCK = 12;
export const SHM_STAT = 13;
export const SHM_INFO = 14;
export const SHM_STAT_ANY = 15;
export const MSG_STAT = 11;
export const MSG_INFO = 12;
export const MSG_STAT_ANY = 13;
export const GETPID = 11;
export const GETVAL = 12;
export const GETALL = 13;
export const GETNCNT = 14;
export const GETZCNT = 15;
export const SETVAL = 16;
export const SETALL = 17;
export const SEM_STAT = 18;
export const SEM_INFO = 19;
export const SEM_STAT_ANY = 20;
export const SHM_R = 0o400;
export const SHM_W = 0o200;
export const SHM_RDONLY = 0o10000;
export const SHM_RND = 0o20000;
export const SHM_REMAP = 0o40000;
export const SHM_EXEC = 0o100000;
export const SHM_HUGETLB = 0o4000;
export const SHM_NORESERVE = 0o10000;
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;
export const MSG_NOERROR = 0o10000;
export const MSG_EXCEPT = 0o20000;
export const MSG_COPY = 0o40000;
export const SEM_UNDO = 0o10000;
/** Limits as Linux starts with them; SHMMAX and SHMALL are ULONG_MAX less 2^24. */
export const SHMMIN = 1;
export const SHMMNI = 4096;
export const MSGMAX = 8192;
export const MSGMNB = 16384;
export const MSGMNI = 32000;
export const SEMMSL = 32000;
export const SEMMNI = 32000;
export const SEMMNS = 1024000000;
export const SEMOPM = 500;
export const SEMVMX = 32767;
export const SHMMAX = 0xfffffffffeffffffn;
export const SHMALL = 0xfffffffffeffffffn;

/** shmget(2): flags above nine permission bits. */
export const shmgetFlags: FlagTable = {
  prefix: "SHM_",
  flags: { IPC_CREAT, IPC_EXCL, SHM_HUGETLB, SHM_NORESERVE },
  aliases: { SHM_R, SHM_W },
  shifted: { name: "SHM_HUGE_SHIFT", shift: 26, mask: 63 },
  permissions: 0o777,
};
/** msgget(2), semget(2) */
export const ipcGetFlags: FlagTable = { prefix: "IPC_", flags: { IPC_CREAT, IPC_EXCL, IPC_NOWAIT }, permissions: 0o777 };
/** shmat(2) */
export const shmFlags: FlagTable = { prefix: "SHM_", flags: { SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC } };
export const msgFlagsIpc: FlagTable = { prefix: "MSG_", flags: { MSG_NOERROR, MSG_EXCEPT, MSG_COPY, IPC_NOWAIT } };
export const semFlags: FlagTable = { prefix: "SEM_", flags: { SEM_UNDO, IPC_NOWAIT } };
export const ipcKeys: ChoiceTable = { prefix: "IPC_", values: { IPC_PRIVATE } };
const ipcCommands = { IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO };
export const shmCommands: ChoiceTable = {
  prefix: "SHM_",
  values: { ...ipcCommands, SHM_LOCK, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY },
};
export const msgCommands: ChoiceTable = { prefix: "MSG_", values: { ...ipcCommands, MSG_STAT, MSG_INFO, MSG_STAT_ANY } };
export const semCommands: ChoiceTable = {
  prefix: "SEM_",
  values: { ...ipcCommands, GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL, SEM_STAT, SEM_INFO, SEM_STAT_ANY },
};

export const ipcPermLayout = layout(48, {
  key: [0, "i32"],
  uid: [4, "u32"],
  gid: [8, "u32"],
  cuid: [12, "u32"],
  cgid: [16, "u32"],
  mode: [20, "u32"],
  seq: [24, "u16"],
});
export const shmidDsLayout = layout(112, {
  shm_perm: [0, ipcPermLayout],
  shm_segsz: [48, "u64"],
  shm_atime: [56, "i64"],
  shm_dtime: [64, "i64"],
  shm_ctime: [72, "i64"],
  shm_cpid: [80, "i32"],
  shm_lpid: [84, "i32"],
  shm_nattch: [88, "u64"],
});
export const msqidDsLayout = layout(120, {
  msg_perm: [0, ipcPermLayout],
  msg_stime: [48, "i64"],
  msg_rtime: [56, "i64"],
  msg_ctime: [64, "i64"],
  msg_cbytes: [72, "u64"],
  msg_qnum: [80, "u64"],
  msg_qbytes: [88, "u64"],
  msg_lspid: [96, "i32"],
  msg_lrpid: [100, "i32"],
});
export const semidDsLayout = layout(104, {
  sem_perm: [0, ipcPermLayout],
  sem_otime: [48, "i64"],
  sem_ctime: [64, "i64"],
  sem_nsems: [80, "u64"],
});
/** One operation of semop(2). */
export const sembufLayout = layout(6, { sem_num: [0, "u16"], sem_op: [2, "i16"], sem_flg: [4, "i16"] });
/** IPC_INFO of shmctl. */
export const shminfoLayout = layout(72, {
  shmmax: [0, "u64"],
  shmmin: [8, "u64"],
  shmmni: [16, "u64"],
  shmseg: [24, "u64"],
  shmall: [32, "u64"],
});
/** SHM_INFO of shmctl. */
export const shmInfoLayout = layout(48, {
  used_ids: [0, "i32"],
  shm_tot: [8, "u64"],
  shm_rss: [16, "u64"],
  shm_swp: [24, "u64"],
  swap_attempts: [32, "u64"],
  swap_successes: [40, "u64"],
});
