/** System calls of System V IPC: shared memory, message queues, semaphores (sysvipc(7)). */
import {
  IPC_INFO, IPC_STAT, ipcGetFlags, ipcKeys, MSG_INFO, MSG_STAT, MSG_STAT_ANY, msgCommands, msgFlagsIpc, msqidDsLayout, sembufLayout,
  semCommands, semFlags, SHM_INFO, SHM_STAT, SHM_STAT_ANY, shmCommands, shmFlags, shmgetFlags, shmidDsLayout, shmInfoLayout, shminfoLayout,
} from "../abi/ipc.ts";
import { formatFlags } from "../abi/flags.ts";
import { timespecLayout } from "../abi/time.ts";
import { msgInfoLayout } from "../ipc/layouts.ts";
import { msgctl, msgget, msgrcv, msgsnd } from "../ipc/msg.ts";
import { semget, semtimedop } from "../ipc/sem.ts";
import { semctl } from "../ipc/semctl.ts";
import { shmat, shmctl, shmdt, shmget } from "../ipc/shm.ts";
import "../ipc/proc.ts";
import type { Kernel } from "../kernel.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { addr, choice, flags, int, long, size, structIn } from "./args.ts";
import { structCodec, type Codec } from "./codec.ts";
import { controlBuffer, getFlags, messageIn, messageOut, messageSize, semArg } from "./ipc_args.ts";
import { isObject } from "./json.ts";
import type { Rows } from "./row.ts";
import { count, structArray } from "./vectors.ts";

type Word = number | bigint;

const shmidDs = structCodec("shmid_ds", shmidDsLayout);
const shminfo = structCodec("shminfo", shminfoLayout);
const shmInfo = structCodec("shm_info", shmInfoLayout);
const msqidDs = structCodec("msqid_ds", msqidDsLayout);
const msginfo = structCodec("msginfo", msgInfoLayout);
const timespec = structCodec("timespec", timespecLayout);

function shmWritten(cmd: number): Codec | undefined {
  if (cmd === IPC_INFO) return shminfo;
  if (cmd === SHM_INFO) return shmInfo;
  return [IPC_STAT, SHM_STAT, SHM_STAT_ANY].includes(cmd) ? shmidDs : undefined;
}

function msgWritten(cmd: number): Codec | undefined {
  if (cmd === IPC_INFO || cmd === MSG_INFO) return msginfo;
  return [IPC_STAT, MSG_STAT, MSG_STAT_ANY].includes(cmd) ? msqidDs : undefined;
}

/** struct sembuf, whose flags may be names. */
const plainSembuf = structCodec("sembuf", sembufLayout);
const sembuf: Codec & { size: number } = {
  ...plainSembuf,
  size: sembufLayout.size,
  encode(value, problem) {
    if (!isObject(value) || typeof value.sem_flg !== "string") return plainSembuf.encode(value, problem);
    const named = flags("sem_flg", semFlags).decode(value.sem_flg, { given: {}, placed: () => undefined, problem, raw: false });
    return plainSembuf.encode({ ...value, sem_flg: typeof named === "number" ? named : 0 }, problem);
  },
  show(bytes, view) {
    const { sem_num, sem_op, sem_flg } = plainSembuf.decode(bytes, view) as { sem_num: number; sem_op: number; sem_flg: number };
    return `{sem_num=${sem_num}, sem_op=${sem_op}, sem_flg=${formatFlags(semFlags, sem_flg & 0xffff)}}`;
  },
};
const semops = [int("semid"), structArray("sops", sembuf, "nsops"), count("nsops", "sops", sembufLayout.size)];

export const ipcRows: Rows = {
  shmget: {
    x86_64: 29, args: [choice("key", ipcKeys), size("size"), getFlags("shmflg", shmgetFlags)],
    run: (k: Kernel, task: Task, [key, bytes, flag]: [number, Word, number]) => shmget(k, task, key, bytes, flag),
    partial: "SHM_HUGETLB is ignored",
  },
  shmat: {
    x86_64: 30, returns: "address", args: [int("shmid"), addr("shmaddr"), flags("shmflg", shmFlags)],
    run: (k: Kernel, task: Task, [id, at, flag]: [number, Word, number]) => shmat(k, task, id, at, flag),
  },
  shmdt: { x86_64: 67, args: [addr("shmaddr")], run: (k: Kernel, task: Task, [at]: [Word]) => shmdt(k, task, at) },
  shmctl: {
    x86_64: 31, args: [int("shmid"), choice("cmd", shmCommands), controlBuffer("buf", shmCommands, shmidDs, shmWritten)],
    run: (k: Kernel, task: Task, [id, cmd, buf]: [number, number, Word]) => shmctl(k, task, id, cmd, buf),
  },
  msgget: {
    x86_64: 68, args: [choice("key", ipcKeys), getFlags("msgflg", ipcGetFlags)],
    run: (k: Kernel, task: Task, [key, flag]: [number, number]) => msgget(k, task, key, flag),
  },
  msgsnd: {
    x86_64: 69, args: [int("msqid"), messageIn("msgp"), messageSize("msgsz", "msgp"), flags("msgflg", msgFlagsIpc)],
    run: (k: Kernel, task: Task, [id, message, bytes, flag]: [number, Word, Word, number]): SyscallResult =>
      msgsnd(k, task, id, message, bytes, flag),
  },
  msgrcv: {
    x86_64: 70, args: [int("msqid"), messageOut("msgp"), size("msgsz"), long("msgtyp"), flags("msgflg", msgFlagsIpc)],
    run: (k: Kernel, task: Task, [id, message, bytes, type, flag]: [number, Word, Word, Word, number]): SyscallResult =>
      msgrcv(k, task, id, message, bytes, type, flag),
  },
  msgctl: {
    x86_64: 71, args: [int("msqid"), choice("cmd", msgCommands), controlBuffer("buf", msgCommands, msqidDs, msgWritten)],
    run: (k: Kernel, task: Task, [id, cmd, buf]: [number, number, Word]) => msgctl(k, task, id, cmd, buf),
  },
  semget: {
    x86_64: 64, args: [choice("key", ipcKeys), int("nsems"), getFlags("semflg", ipcGetFlags)],
    run: (k: Kernel, task: Task, [key, number, flag]: [number, number, number]) => semget(k, task, key, number, flag),
  },
  semop: {
    x86_64: 65, args: semops,
    run: (k: Kernel, task: Task, [id, ops, number]: [number, Word, Word]): SyscallResult => semtimedop(k, task, id, ops, number, 0),
  },
  semtimedop: {
    x86_64: 220, args: [...semops, structIn("timeout", timespec)],
    run: (k: Kernel, task: Task, [id, ops, number, timeout]: [number, Word, Word, Word]): SyscallResult =>
      semtimedop(k, task, id, ops, number, timeout),
  },
  semctl: {
    x86_64: 66, args: [int("semid"), int("semnum"), choice("cmd", semCommands), semArg("arg")],
    run: (k: Kernel, task: Task, [id, number, cmd, arg]: [number, number, number, Word]) => semctl(k, task, id, number, cmd, arg),
  },
};
