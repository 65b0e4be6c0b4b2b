/** Every errno that the man pages of the System V calls name and that this kernel can give. */
import { expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { Callers, type Refused } from "../../helpers/errnos.ts";

const PAGE = 4096;
const BAD = "0x1000";

function refuses(c: Callers, pid: number, rows: Refused[]): void {
  for (const [call, args, errno] of rows) expect(c.errno(pid, call, args), `${call} ${JSON.stringify(args)}`).toBe(errno);
}

/** Runs the call to its end beside another that ends it. */
function asleep(c: Callers, pid: number, call: string, args: Json, then: () => void): unknown {
  const { state, callId } = c.call(pid, call, args) as { state: string; callId: string };
  expect(state, call).toBe("sleeping");
  then();
  return (c.m.stand(callId) as { errno?: unknown }).errno;
}

test("shared memory", () => {
  const c = new Callers();
  const { root, user } = c;
  const own = c.must(root, "shmget", { key: 7, size: 2 * PAGE, shmflg: "IPC_CREAT|0600" });
  const at = c.must(root, "shmat", { shmid: own });
  const gone = c.must(root, "shmget", { key: "IPC_PRIVATE", size: PAGE, shmflg: 0o600 });
  c.must(root, "shmctl", { shmid: gone, cmd: "IPC_RMID" });
  refuses(c, root, [
    ["shmget", { key: 8, size: PAGE, shmflg: 0 }, "ENOENT"], ["shmget", { key: 7, size: PAGE, shmflg: "IPC_CREAT|IPC_EXCL|0600" }, "EEXIST"],
    ["shmget", { key: 7, size: 3 * PAGE, shmflg: 0 }, "EINVAL"], ["shmget", { key: 8, size: 0, shmflg: "IPC_CREAT|0600" }, "EINVAL"],
    ["shmget", { key: 8, size: "0xffffffffffffffff", shmflg: "IPC_CREAT|0600" }, "EINVAL"], ["shmget", { key: 8, size: 2 ** 40, shmflg: "IPC_CREAT|0600" }, "ENOMEM"],
    ["shmat", { shmid: -1 }, "EINVAL"], ["shmat", { shmid: 12345 }, "EINVAL"], ["shmat", { shmid: gone }, "EINVAL"],
    ["shmat", { shmid: own, shmaddr: "0x10000001" }, "EINVAL"], ["shmat", { shmid: own, shmaddr: at }, "EINVAL"], ["shmat", { shmid: own, shmflg: "SHM_REMAP" }, "EINVAL"],
    ["shmdt", { shmaddr: BAD }, "EINVAL"], ["shmdt", { shmaddr: `0x${(BigInt(at as string) + 1n).toString(16)}` }, "EINVAL"],
    ["shmctl", { shmid: own, cmd: 999 }, "EINVAL"], ["shmctl", { shmid: gone, cmd: "IPC_STAT" }, "EINVAL"], ["shmctl", { shmid: -1, cmd: "IPC_RMID" }, "EINVAL"],
    ["shmctl", [own, 2, BAD], "EFAULT"], ["shmctl", [own, 1, BAD], "EFAULT"],
  ]);
  refuses(c, user, [
    ["shmget", { key: 7, size: PAGE, shmflg: 0o400 }, "EACCES"], ["shmat", { shmid: own }, "EACCES"], ["shmat", { shmid: own, shmflg: "SHM_RDONLY" }, "EACCES"],
    ["shmctl", { shmid: own, cmd: "IPC_STAT" }, "EACCES"], ["shmctl", { shmid: own, cmd: "IPC_RMID" }, "EPERM"], ["shmctl", { shmid: own, cmd: "SHM_LOCK" }, "EPERM"],
  ]);
  const small = c.must(user, "shmget", { key: "IPC_PRIVATE", size: 64 * PAGE, shmflg: 0o600 });
  c.limit(user, "RLIMIT_AS", 32 * PAGE);
  refuses(c, user, [["shmat", { shmid: small }, "ENOMEM"]]);
  // As many segments as there may be.
  for (let count = 0; count < 4096; count++) if (c.errno(root, "shmget", { key: "IPC_PRIVATE", size: 1, shmflg: 0o600 }) === "ENOSPC") return;
  expect.unreachable("4,096 segments were not too many");
});

test("semaphores", () => {
  const c = new Callers();
  const { root, user } = c;
  const set = c.must(root, "semget", { key: 7, nsems: 2, semflg: "IPC_CREAT|0600" });
  const op = (sem_num: number, sem_op: number, sem_flg: Json = 0): Json => ({ semid: set, sops: [{ sem_num, sem_op, sem_flg }] });
  refuses(c, root, [
    ["semget", { key: 8, nsems: 1, semflg: 0 }, "ENOENT"], ["semget", { key: 7, nsems: 1, semflg: "IPC_CREAT|IPC_EXCL|0600" }, "EEXIST"], ["semget", { key: 7, nsems: 3, semflg: 0 }, "EINVAL"],
    ["semget", { key: 8, nsems: 0, semflg: "IPC_CREAT|0600" }, "EINVAL"], ["semget", { key: 8, nsems: -1, semflg: "IPC_CREAT|0600" }, "EINVAL"], ["semget", { key: 8, nsems: 32_001, semflg: "IPC_CREAT|0600" }, "EINVAL"],
    ["semop", op(2, 1), "EFBIG"], ["semop", op(0, -1, "IPC_NOWAIT"), "EAGAIN"], ["semop", op(0, 32_767), 0 as unknown as string], ["semop", op(0, 1), "ERANGE"],
    ["semop", { semid: 999_999, sops: [{ sem_num: 0, sem_op: 1, sem_flg: 0 }] }, "EINVAL"], ["semop", { semid: -1, sops: [{ sem_num: 0, sem_op: 1, sem_flg: 0 }] }, "EINVAL"],
    ["semop", [set, BAD, 0], "EINVAL"], ["semop", [set, BAD, 501], "E2BIG"], ["semop", [set, BAD, 1], "EFAULT"],
    ["semctl", { semid: set, semnum: 0, cmd: 999 }, "EINVAL"], ["semctl", { semid: set, semnum: 2, cmd: "GETVAL" }, "EINVAL"], ["semctl", { semid: 999_999, semnum: 0, cmd: "GETVAL" }, "EINVAL"],
    ["semctl", { semid: set, semnum: 0, cmd: "SETVAL", arg: 32_768 }, "ERANGE"], ["semctl", { semid: set, semnum: 0, cmd: "SETVAL", arg: -1 }, "ERANGE"], ["semctl", [set, 0, 2, BAD], "EFAULT"], ["semctl", [set, 0, 13, BAD], "EFAULT"],
  ]);
  refuses(c, user, [
    ["semget", { key: 7, nsems: 1, semflg: 0o600 }, "EACCES"], ["semop", op(0, 1), "EACCES"], ["semctl", { semid: set, semnum: 0, cmd: "GETVAL" }, "EACCES"], ["semctl", { semid: set, semnum: 0, cmd: "IPC_RMID" }, "EPERM"],
  ]);
  const waiter = c.make(0, "/root");
  expect(asleep(c, waiter, "semop", op(1, -1), () => { c.m.feed({ type: "signal", pid: waiter, signal: 15, uid: 0 }); })).toBeUndefined();
  const second = c.make(0, "/root");
  expect(asleep(c, second, "semop", op(1, -1), () => { c.must(root, "semctl", { semid: set, semnum: 0, cmd: "IPC_RMID" }); })).toBe("EIDRM");
  // Each set takes kernel memory, which is out before 32,000 of them are made.
  for (let count = 0; count < 32_000; count++) if (c.errno(root, "semget", { key: "IPC_PRIVATE", nsems: 1, semflg: 0o600 }) === "ENOMEM") return;
  expect.unreachable("32,000 sets fit");
});

test("message queues", () => {
  const c = new Callers();
  const { root, user } = c;
  const queue = c.must(root, "msgget", { key: 7, msgflg: "IPC_CREAT|0600" });
  const send = (mtype: number, mtext: Json, msgflg: Json = 0): Json => ({ msqid: queue, msgp: { mtype, mtext }, msgflg });
  c.must(root, "msgsnd", send(1, "eight by"));
  refuses(c, root, [
    ["msgget", { key: 8, msgflg: 0 }, "ENOENT"], ["msgget", { key: 7, msgflg: "IPC_CREAT|IPC_EXCL|0600" }, "EEXIST"],
    ["msgsnd", send(0, "x"), "EINVAL"], ["msgsnd", send(-1, "x"), "EINVAL"], ["msgsnd", send(1, { zero: 8193 }), "EINVAL"], ["msgsnd", [queue, BAD, -1, 0], "EFAULT"],
    ["msgsnd", [queue, BAD, 8, 0], "EFAULT"], ["msgsnd", [999_999, BAD, 8, 0], "EFAULT"], ["msgsnd", { msqid: 999_999, msgp: { mtype: 1, mtext: "x" } }, "EINVAL"],
    ["msgrcv", { msqid: queue, msgsz: 4, msgtyp: 1 }, "E2BIG"], ["msgrcv", { msqid: queue, msgsz: 8, msgtyp: 2, msgflg: "IPC_NOWAIT" }, "ENOMSG"],
    ["msgrcv", [queue, BAD, 8, 1, 0], "EFAULT"], ["msgrcv", { msqid: 999_999, msgsz: 8 }, "EINVAL"], ["msgrcv", [queue, BAD, -1, 0, 0], "EINVAL"],
    ["msgrcv", { msqid: queue, msgsz: 8, msgtyp: 0, msgflg: "MSG_COPY" }, "EINVAL"], ["msgrcv", { msqid: queue, msgsz: 8, msgtyp: 9, msgflg: "MSG_COPY|IPC_NOWAIT" }, "ENOMSG"],
    ["msgctl", { msqid: queue, cmd: 999 }, "EINVAL"], ["msgctl", { msqid: 999_999, cmd: "IPC_STAT" }, "EINVAL"], ["msgctl", [queue, 2, BAD], "EFAULT"], ["msgctl", [queue, 1, BAD], "EFAULT"],
  ]);
  refuses(c, user, [
    ["msgget", { key: 7, msgflg: 0o600 }, "EACCES"], ["msgsnd", send(1, "x"), "EACCES"], ["msgrcv", { msqid: queue, msgsz: 8 }, "EACCES"],
    ["msgctl", { msqid: queue, cmd: "IPC_STAT" }, "EACCES"], ["msgctl", { msqid: queue, cmd: "IPC_RMID" }, "EPERM"],
  ]);
  // The message that could not be copied out is gone, as in Linux.
  expect(c.errno(root, "msgrcv", { msqid: queue, msgsz: 8, msgflg: "IPC_NOWAIT" })).toBe("ENOMSG");
  c.must(root, "msgsnd", send(1, { zero: 8192 }));
  c.must(root, "msgsnd", send(1, { zero: 8192 }));
  refuses(c, root, [["msgsnd", send(1, "x", "IPC_NOWAIT"), "EAGAIN"]]);
  const [sender, receiver] = [c.make(0, "/root"), c.make(0, "/root")];
  expect(asleep(c, sender, "msgsnd", send(1, "x"), () => {
    expect(asleep(c, receiver, "msgrcv", { msqid: queue, msgsz: 8, msgtyp: 5 }, () => { c.must(root, "msgctl", { msqid: queue, cmd: "IPC_RMID" }); })).toBe("EIDRM");
  })).toBe("EIDRM");
  for (let count = 0; count < 40_000; count++) if (c.errno(root, "msgget", { key: "IPC_PRIVATE", msgflg: 0o600 }) === "ENOSPC") return;
  expect.unreachable("40,000 queues were not too many");
});
