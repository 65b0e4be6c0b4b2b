/** /proc/sysvipc: one line an object. */
import type { Kernel } from "../kernel.ts";
import { procFile } from "../fs/proc/registry.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { column } from "../lib/format.ts";
import { shmemOf } from "../mm/shmem.ts";
import type { IpcPerm } from "./perm.ts";

const signed = (key: number): number => key | 0;

function owners({ uid, gid, cuid, cgid }: IpcPerm): string {
  return [uid, gid, cuid, cgid].map((id) => column(id, 5)).join(" ");
}

function head({ key, mode }: IpcPerm, id: number): string {
  return `${column(signed(key), 10)} ${column(id, 10)}  ${mode.toString(8).padStart(4)}`;
}

function shmText(k: Kernel): string {
  let text = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime " +
    "                  rss                  swap\n";
  for (const one of k.state.ipc.shm.values()) {
    text += `${head(one.perm, one.id)} ${column(one.size, 21)} ${column(one.creatorPid, 5)} ${column(one.lastPid, 5)}  ` +
      `${column(one.attached, 5)} ${owners(one.perm)} ${column(one.atime, 10)} ${column(one.dtime, 10)} ${column(one.ctime, 10)} ` +
      `${column(shmemOf(k, one.shmem).frames.size * PAGE_SIZE, 21)} ${column(0, 21)}\n`;
  }
  return text;
}

function semText(k: Kernel): string {
  let text = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
  for (const one of k.state.ipc.sem.values()) {
    text += `${head(one.perm, one.id)} ${column(one.values.length, 10)} ${owners(one.perm)} ${column(one.otime, 10)} ${column(one.ctime, 10)}\n`;
  }
  return text;
}

function msgText(k: Kernel): string {
  let text = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n";
  for (const one of k.state.ipc.msg.values()) {
    text += `${head(one.perm, one.id)}  ${column(one.bytes, 10)} ${column(one.messages.length, 10)} ${column(one.lastSender, 5)} ` +
      `${column(one.lastReceiver, 5)} ${owners(one.perm)} ${column(one.stime, 10)} ${column(one.rtime, 10)} ${column(one.ctime, 10)}\n`;
  }
  return text;
}

procFile("sysvipc/shm", shmText);
procFile("sysvipc/sem", semText);
procFile("sysvipc/msg", msgText);
