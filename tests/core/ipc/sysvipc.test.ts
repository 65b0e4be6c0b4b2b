/** System V IPC as two processes see it: what sleeps, who wakes it, what a removed object or a dead process means. */
import { expect, test } from "vitest";
import type { CallAnswer, Json } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

interface Two {
  m: CoreMachine;
  a: number;
  b: number;
}

async function two(): Promise<Two> {
  const m = new CoreMachine();
  return { m, a: await m.createProcess(), b: await m.createProcess() };
}

/** The result, or the errno; "asleep" while the call sleeps. */
function told(answer: CallAnswer): Json {
  if (answer.state !== "returned" || !("ret" in answer)) return answer.state === "sleeping" ? "asleep" : answer.state;
  return answer.errno ?? answer.ret;
}

const call = ({ m }: Two, pid: number, name: string, args: Json): Json => told(m.callNow(pid, name, args));
const created = { key: "IPC_PRIVATE" };

test("a full queue holds the sender until somebody reads", async () => {
  const t = await two();
  const { m, a, b } = t;
  const msqid = call(t, a, "msgget", { ...created, msgflg: "IPC_CREAT|0600" }) as number;
  for (let sent = 0; sent < 2; sent++) expect(call(t, a, "msgsnd", { msqid, msgp: { mtype: 1, mtext: { zero: 8192 } } })).toBe(0);
  expect(call(t, a, "msgsnd", { msqid, msgp: { mtype: 1, mtext: "x" }, msgflg: "IPC_NOWAIT" })).toBe("EAGAIN");
  const waiting = m.callNow(a, "msgsnd", { msqid, msgp: { mtype: 2, mtext: "late" } });
  expect(waiting).toMatchObject({ state: "sleeping", wchan: "do_msgsnd" });
  expect(call(t, b, "msgrcv", { msqid, msgsz: 8192 })).toBe(8192);
  expect(told(m.stand((waiting as { callId: string }).callId))).toBe(0);
  const got = m.callNow(b, "msgrcv", { msqid, msgsz: 100, msgtyp: -2 });
  expect(told(got)).toBe("E2BIG");
  const late = m.callNow(b, "msgrcv", { msqid, msgsz: 100, msgtyp: 2 });
  expect(late).toMatchObject({ ret: 4, msgp: { mtype: 2, mtext: { text: "late" } } });
  expect(m.broken()).toEqual([]);
});

test("a receiver waits for its type; a removed queue ends the wait with EIDRM", async () => {
  const t = await two();
  const { m, a, b } = t;
  const msqid = call(t, a, "msgget", { ...created, msgflg: 0o600 }) as number;
  const waiting = m.callNow(a, "msgrcv", { msqid, msgsz: 10, msgtyp: 7 }) as { callId: string };
  expect(call(t, b, "msgsnd", { msqid, msgp: { mtype: 6, mtext: "no" } })).toBe(0);
  expect(told(m.stand(waiting.callId))).toBe("asleep");
  expect(call(t, b, "msgsnd", { msqid, msgp: { mtype: 7, mtext: "yes" } })).toBe(0);
  expect(told(m.stand(waiting.callId))).toBe(3);
  const again = m.callNow(a, "msgrcv", { msqid, msgsz: 10, msgtyp: 7 }) as { callId: string };
  expect(m.callNow(b, "msgctl", { msqid, cmd: "IPC_STAT" })).toMatchObject({ ret: 0, buf: { msg_qnum: 1, msg_cbytes: 2, msg_lspid: b } });
  expect(call(t, b, "msgctl", { msqid, cmd: "IPC_RMID" })).toBe(0);
  expect(told(m.stand(again.callId))).toBe("EIDRM");
  expect(call(t, b, "msgctl", { msqid, cmd: "IPC_RMID" })).toBe("EINVAL");
  expect(m.broken()).toEqual([]);
});

test("semaphore operations happen together or not at all, and wake who waits for them", async () => {
  const t = await two();
  const { m, a, b } = t;
  const semid = call(t, a, "semget", { ...created, nsems: 2, semflg: 0o600 }) as number;
  const waiting = m.callNow(a, "semop", { semid, sops: [{ sem_num: 0, sem_op: -1 }, { sem_num: 1, sem_op: -1 }] }) as { callId: string };
  expect(waiting).toMatchObject({ state: "sleeping", wchan: "do_semtimedop" });
  expect(call(t, b, "semctl", { semid, semnum: 0, cmd: "GETNCNT" })).toBe(1);
  expect(call(t, b, "semop", { semid, sops: [{ sem_num: 0, sem_op: 1 }] })).toBe(0);
  expect(told(m.stand(waiting.callId))).toBe("asleep");
  expect(m.callNow(b, "semctl", { semid, cmd: "GETALL" })).toMatchObject({ arg: [1, 0] });
  expect(call(t, b, "semctl", { semid, semnum: 1, cmd: "SETVAL", arg: 1 })).toBe(0);
  expect(told(m.stand(waiting.callId))).toBe(0);
  expect(m.callNow(b, "semctl", { semid, cmd: "GETALL" })).toMatchObject({ arg: [0, 0] });
  expect(call(t, b, "semctl", { semid, semnum: 0, cmd: "GETPID" })).toBe(a);
  expect(call(t, b, "semctl", { semid, cmd: "SETALL", arg: [3, 4] })).toBe(0);
  expect(call(t, b, "semctl", { semid, cmd: "SETALL", arg: [3, 40000] })).toBe("ERANGE");
  expect(call(t, b, "semctl", { semid, semnum: 1, cmd: "GETVAL" })).toBe(4);
  expect(call(t, b, "semop", { semid, sops: [{ sem_num: 0, sem_op: 32766 }] })).toBe("ERANGE");
});

test("a timed semop ends with EAGAIN, an interrupted one with EINTR, one on a removed set with EIDRM", async () => {
  const t = await two();
  const { m, a, b } = t;
  const semid = call(t, a, "semget", { ...created, nsems: 1, semflg: 0o600 }) as number;
  const timed = m.callNow(a, "semtimedop", { semid, sops: [{ sem_op: -1 }], timeout: { tv_nsec: 50_000_000 } }) as { callId: string };
  m.advance(40);
  expect(told(m.stand(timed.callId))).toBe("asleep");
  m.advance(20);
  expect(told(m.stand(timed.callId))).toBe("EAGAIN");
  const interrupted = m.callNow(a, "semop", { semid, sops: [{ sem_op: -1 }] }) as { callId: string };
  m.feed({ type: "interruptCall", callId: interrupted.callId });
  expect(told(m.stand(interrupted.callId))).toBe("EINTR");
  expect(call(t, b, "semctl", { semid, semnum: 0, cmd: "GETNCNT" })).toBe(0);
  const removed = m.callNow(a, "semop", { semid, sops: [{ sem_op: -1 }] }) as { callId: string };
  expect(call(t, b, "semctl", { semid, cmd: "IPC_RMID" })).toBe(0);
  expect(told(m.stand(removed.callId))).toBe("EIDRM");
  expect(m.broken()).toEqual([]);
});

test("SEM_UNDO gives back what a dead process took", async () => {
  const t = await two();
  const { m, a, b } = t;
  const semid = call(t, a, "semget", { ...created, nsems: 1, semflg: 0o600 }) as number;
  call(t, a, "semctl", { semid, cmd: "SETVAL", arg: 1 });
  expect(call(t, b, "semop", { semid, sops: [{ sem_op: -1, sem_flg: "SEM_UNDO" }] })).toBe(0);
  const waiting = m.callNow(a, "semop", { semid, sops: [{ sem_op: -1 }] }) as { callId: string };
  m.feed({ type: "killProcess", pid: b });
  expect(told(m.stand(waiting.callId))).toBe(0);
  expect(m.broken()).toEqual([]);
});

test("a segment lives while it is attached, and dies with its last mapping once it is removed", async () => {
  const t = await two();
  const { m, a, b } = t;
  const shmid = call(t, a, "shmget", { key: 77, size: 5000, shmflg: "IPC_CREAT|0666" }) as number;
  const at = call(t, a, "shmat", { shmid });
  const other = call(t, b, "shmat", { shmid, shmflg: "SHM_RDONLY" });
  expect(call(t, a, "store", { addr: at, buf: "shared" })).toBe(6);
  expect(m.callNow(b, "load", { addr: other, length: 6 })).toMatchObject({ ret: 6, buf: { text: "shared" } });
  expect(call(t, b, "mprotect", { addr: other, len: 4096, prot: "PROT_READ|PROT_WRITE" })).toBe("EACCES");
  expect(m.text(`/proc/${a}/maps`)).toMatch(/rw-s 00000000 00:01 0 +\/SYSV0000004d \(deleted\)\n/);
  expect(call(t, a, "shmctl", { shmid, cmd: "IPC_RMID" })).toBe(0);
  expect(m.callNow(a, "shmctl", { shmid, cmd: "IPC_STAT" })).toMatchObject({ buf: { shm_perm: { key: 0, mode: 0o1666 }, shm_nattch: 2 } });
  expect(call(t, b, "shmget", { key: 77, size: 1 })).toBe("ENOENT");
  m.feed({ type: "killProcess", pid: b });
  expect(call(t, a, "munmap", { addr: at, length: 4096 })).toBe(0);
  expect(m.callNow(a, "shmctl", { shmid, cmd: "IPC_STAT" })).toMatchObject({ buf: { shm_nattch: 1 } });
  expect(call(t, a, "shmdt", { shmaddr: at })).toBe(0);
  expect(call(t, a, "shmctl", { shmid, cmd: "IPC_STAT" })).toBe("EINVAL");
  expect(m.kernel.state.mm.shmem.size).toBe(0);
  expect(m.broken()).toEqual([]);
});

test("rights: others need the bits that they ask for, and only the owner changes or removes", async () => {
  const t = await two();
  const { m, a } = t;
  const user = await m.createProcess(1000);
  const shmid = call(t, a, "shmget", { key: 5, size: 4096, shmflg: "IPC_CREAT|0644" }) as number;
  expect(call(t, user, "shmget", { key: 5, size: 4096, shmflg: 0o600 })).toBe("EACCES");
  expect(call(t, user, "shmget", { key: 5, size: 4096, shmflg: 0o400 })).toBe(shmid);
  expect(call(t, user, "shmget", { key: 5, size: 9000, shmflg: 0o400 })).toBe("EINVAL");
  expect(call(t, user, "shmget", { key: 5, size: 4096, shmflg: "IPC_CREAT|IPC_EXCL|0600" })).toBe("EEXIST");
  expect(call(t, user, "shmat", { shmid })).toBe("EACCES");
  expect(call(t, user, "shmat", { shmid, shmflg: "SHM_RDONLY" })).toMatch(/^0x7f/);
  expect(call(t, user, "shmctl", { shmid, cmd: "IPC_RMID" })).toBe("EPERM");
  expect(call(t, a, "shmctl", { shmid, cmd: "IPC_SET", buf: { shm_perm: { uid: 1000, gid: 1000, mode: 0o600 } } })).toBe(0);
  expect(call(t, user, "shmctl", { shmid, cmd: "IPC_RMID" })).toBe(0);
});

test("ids are not used again at once, and /proc/sysvipc lists what there is", async () => {
  const t = await two();
  const { m, a } = t;
  const first = call(t, a, "semget", { ...created, nsems: 3, semflg: 0o600 });
  call(t, a, "semctl", { semid: first, cmd: "IPC_RMID" });
  const second = call(t, a, "semget", { key: 0x6f7a, nsems: 3, semflg: "IPC_CREAT|0600" });
  expect(second).not.toBe(first);
  expect(m.text("/proc/sysvipc/sem").split("\n")[1]).toBe(
    `     28538 ${String(second).padStart(10)}   600          3     0     0     0     0          0 1704067200`);
  expect(m.text("/proc/sysvipc/msg")).toBe(
    "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
});

test("what a queue holds is kernel memory: it runs out", async () => {
  const m = new CoreMachine({ ramMiB: 8 });
  const a = await m.createProcess();
  let answer: Json = 0;
  for (let queues = 0; answer === 0 && queues < 2000; queues++) {
    const msqid = told(m.callNow(a, "msgget", { key: "IPC_PRIVATE", msgflg: 0o600 }));
    for (let sent = 0; answer === 0 && sent < 4; sent++) answer = told(m.callNow(a, "msgsnd", { msqid, msgp: { mtype: 1, mtext: { zero: 4000 } } }));
  }
  expect(["ENOMEM", "ended"]).toContain(answer);
  expect(m.broken()).toEqual([]);
});
