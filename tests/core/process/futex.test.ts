/** Futexes that know their owner: handed over, left behind by the dead, and waited for in a circle. Words as Linux 6.1 wrote them. */
import { beforeEach, expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

type Answer = { [field: string]: Json };

const THREAD = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM";
const WAITERS = 0x8000_0000;
const OWNER_DIED = 0x4000_0000;

let m: CoreMachine;
let pid: number;
let at: bigint;

beforeEach(async () => {
  m = new CoreMachine({ ramMiB: 16, swapMiB: 0 });
  pid = await m.createProcess();
  at = BigInt(String(call(pid, "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" }).ret));
});

function call(by: number, name: string, args: Json = {}): Answer {
  return m.callNow(by, name, args) as unknown as Answer;
}

const thread = (): number => Number(call(pid, "clone", { flags: THREAD }).ret);
const futex = (by: number, op: string, word = 0): Answer => call(by, "futex", { uaddr: `0x${(at + BigInt(4 * word)).toString(16)}`, futex_op: `FUTEX_${op}_PRIVATE` });

function word(of = 0): number {
  const { base64 } = call(pid, "load", { addr: `0x${(at + BigInt(4 * of)).toString(16)}`, length: 4 }).buf as Answer;
  return Buffer.from(String(base64), "base64").readUInt32LE();
}

test("the word is handed over in order, marked as waited for", () => {
  const [owner, first, second] = [thread(), thread(), thread()];
  futex(owner, "LOCK_PI");
  const waits = [futex(first, "LOCK_PI"), futex(second, "LOCK_PI")];
  expect(word()).toBe(WAITERS + owner);
  expect(futex(owner, "UNLOCK_PI").ret).toBe(0);
  expect(waits.map(({ callId }) => m.stand(String(callId)).state)).toEqual(["returned", "sleeping"]);
  expect(word()).toBe(WAITERS + first);
  expect(futex(first, "UNLOCK_PI").ret).toBe(0);
  expect(word()).toBe(WAITERS + second);
  expect(futex(second, "UNLOCK_PI").ret).toBe(0);
  expect(word()).toBe(0);
});

test("an owner that dies leaves it to the first who waits, and says so", () => {
  const [owner, first, second] = [thread(), thread(), thread()];
  futex(owner, "LOCK_PI");
  const waits = [futex(first, "LOCK_PI"), futex(second, "LOCK_PI")];
  call(owner, "exit", { status: 0 });
  expect(m.stand(String(waits[0].callId))).toMatchObject({ state: "returned", ret: 0 });
  expect(m.stand(String(waits[1].callId)).state).toBe("sleeping");
  expect(word()).toBe(WAITERS + OWNER_DIED + first);
  expect(futex(first, "UNLOCK_PI").ret).toBe(0);
  expect(word()).toBe(WAITERS + second);
  expect(m.broken()).toEqual([]);
});

test("a circle of owners is refused to the one who would close it", () => {
  const owners = [thread(), thread(), thread()];
  owners.forEach((tid, at) => futex(tid, "LOCK_PI", at));
  futex(owners[0], "LOCK_PI", 1);
  futex(owners[1], "LOCK_PI", 2);
  expect(futex(owners[2], "LOCK_PI", 0).errno).toBe("EDEADLK");
  expect([0, 1, 2].map(word)).toEqual(owners.map((tid) => WAITERS + tid));
  expect(futex(owners[2], "UNLOCK_PI", 2).ret).toBe(0);
  expect(m.broken()).toEqual([]);
});
