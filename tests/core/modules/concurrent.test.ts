/** Loads and removals that take a while, and others that come in between. */
import { expect, test } from "vitest";
import { restore, snapshot } from "../../../core/index.ts";
import { moduleDefinitions } from "../../../core/module/definition.ts";
import { moduleImage } from "../../../core/module/image.ts";
import { Lab, type Outcome } from "./lab.ts";
import "../../../core/labs/testmodules/sleepy.ts";

async function two(): Promise<{ lab: Lab; other: number }> {
  const lab = await Lab.boot();
  const other = await lab.machine.createProcess(0);
  return { lab, other };
}

const insert = (lab: Lab, name: string, pid: number): Outcome => lab.insert(moduleImage(moduleDefinitions.get(name) as never, "corrected"), "", pid);

/** What a call that slept came to. */
function result(lab: Lab, { answer }: Outcome): unknown {
  if (!("callId" in answer)) throw new Error("the call did not sleep");
  const now = lab.machine.stand(String(answer.callId));
  return now.state === "returned" && "ret" in now ? (now.errno ?? now.ret) : now.state;
}

test("a module is coming while its init sleeps, and is used by whoever loads it", async () => {
  const { lab, other } = await two();
  const first = lab.insmod("sleepy");
  expect(first.ret).toBe("sleeping");
  expect(lab.text("/sys/module/sleepy/initstate")).toBe("coming\n");
  expect(lab.text("/proc/modules")).toBe("sleepy 28672 1 - Loading 0xffffffffc033e000 (OE+)\n");
  expect(lab.rmmod("sleepy", "O_NONBLOCK", other)).toMatchObject({ errno: "EBUSY" });
  lab.machine.advance(200);
  expect(result(lab, first)).toBe(0);
  expect(lab.text("/proc/modules")).toBe("sleepy 16384 0 - Live 0xffffffffc033e000 (OE)\n");
});

test("a second load of the same module waits, and finds it there", async () => {
  const { lab, other } = await two();
  const first = lab.insmod("sleepy");
  const second = insert(lab, "sleepy", other);
  expect(second.ret).toBe("sleeping");
  lab.machine.advance(200);
  expect([result(lab, first), result(lab, second)]).toEqual([0, "EEXIST"]);
});

test("a second load does not try again when the first one fails", async () => {
  const { lab, other } = await two();
  const first = lab.insmod("sleepfail");
  const second = insert(lab, "sleepfail", other);
  lab.machine.advance(200);
  expect([result(lab, first), result(lab, second)]).toEqual(["EIO", "EBUSY"]);
  expect(lab.text("/proc/modules")).toBe("");
  expect(lab.machine.broken()).toEqual([]);
});

test("a user of a symbol waits for its owner's init, and fails with it", async () => {
  const { lab, other } = await two();
  const owner = lab.insmod("sleepy");
  const user = insert(lab, "sleepuser", other);
  expect(user.ret).toBe("sleeping");
  lab.machine.advance(200);
  expect([result(lab, owner), result(lab, user)]).toEqual([0, 0]);
  expect(lab.text("/sys/module/sleepy/refcnt")).toBe("1\n");

  const failing = lab.insmod("sleepfail");
  const without = insert(lab, "failuser", other);
  lab.machine.advance(200);
  expect([result(lab, failing), result(lab, without)]).toEqual(["EIO", "ENOENT"]);
  expect(lab.dmesg().at(-1)).toEqual(["warn", "failuser: Unknown symbol sleepfail_symbol (err -2)"]);
  expect(lab.machine.broken()).toEqual([]);
});

test("a module is going while its exit sleeps", async () => {
  const { lab, other } = await two();
  const loaded = lab.insmod("sleepy");
  lab.machine.advance(200);
  expect(result(lab, loaded)).toBe(0);
  const removal = lab.rmmod("sleepy");
  expect(removal.ret).toBe("sleeping");
  expect(lab.text("/proc/modules")).toBe("sleepy 16384 -1 - Unloading 0xffffffffc033e000 (OE-)\n");
  expect(lab.rmmod("sleepy", "O_NONBLOCK", other)).toMatchObject({ errno: "EBUSY" });
  expect(insert(lab, "sleepy", other)).toMatchObject({ errno: "EBUSY" });
  lab.machine.advance(200);
  expect(result(lab, removal)).toBe(0);
  expect(lab.text("/proc/modules")).toBe("");
});

test("a signal ends the wait for another load, and leaves nothing behind", async () => {
  const { lab, other } = await two();
  lab.insmod("sleepy");
  const user = insert(lab, "sleepuser", other);
  if (!("callId" in user.answer)) throw new Error("the load did not sleep");
  lab.machine.feed({ type: "interruptCall", callId: String(user.answer.callId) });
  expect(result(lab, user)).toBe("EINTR");
  expect(lab.text("/proc/modules")).toMatch(/^sleepy .*\n$/);
  lab.machine.advance(200);
  expect(lab.text("/sys/module/sleepy/refcnt")).toBe("0\n");
  expect(lab.machine.broken()).toEqual([]);
});

test("a load that sleeps goes on after a snapshot as it would have without", async () => {
  const { lab } = await two();
  const first = lab.insmod("sleepy");
  lab.machine.kernel = restore(snapshot(lab.machine.kernel));
  lab.machine.advance(200);
  expect(result(lab, first)).toBe(0);
  expect(lab.text("/sys/module/sleepy/initstate")).toBe("live\n");
});
