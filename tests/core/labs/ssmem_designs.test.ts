/** ssmem in one process: what both designs keep when rights change, and what the report's detach answers. */
import { expect, test } from "vitest";
import { CoreMachine } from "../../helpers/core.ts";

const PAGE = 4096;

type Answer = { ret?: unknown; errno?: string | null; buf?: { text?: string } };

function machine(ssmem: "fault" | "anon" | "seed"): { m: CoreMachine; pid: number; call: (pid: number, name: string, args: Record<string, number | string>) => Answer } {
  const m = new CoreMachine({ ramMiB: 16, ssmem });
  m.feed({ type: "makeHome", path: "/root", uid: 0 });
  const { pid } = m.feed({ type: "createProcess", comm: "sh", uid: 0, member: "owner", home: "/root" });
  return { m, pid: pid ?? 0, call: (who, name, args) => m.callNow(who, name, args, "report") as Answer };
}

test.each(["fault", "anon"] as const)("a page stays the segment's when its rights are taken and given back (%s)", (ssmem) => {
  const { m, pid, call } = machine(ssmem);
  const one = call(pid, "ssmem_attach", { id: 1, flags: 7, length: PAGE }).ret as string;
  const other = call(pid, "ssmem_attach", { id: 1, flags: 0, length: PAGE }).ret as string;
  call(pid, "store", { addr: one, buf: "before" });
  expect(call(pid, "mprotect", { addr: one, len: PAGE, prot: "PROT_READ" })).toMatchObject({ ret: 0 });
  expect(call(pid, "mprotect", { addr: one, len: PAGE, prot: "PROT_READ|PROT_WRITE" })).toMatchObject({ ret: 0 });
  call(pid, "store", { addr: one, buf: "behind" });
  expect(call(pid, "load", { addr: other, length: 6 }).buf?.text).toBe("behind");
  expect(m.broken()).toEqual([]);
});

test("the report's detach counts down once for each attachment, and then says EFAULT", () => {
  const { pid, call } = machine("seed");
  const addr = call(pid, "ssmem_attach", { id: 1, flags: 7, length: PAGE }).ret as string;
  expect(call(pid, "ssmem_detach", { addr })).toMatchObject({ ret: 0 });
  expect(call(pid, "ssmem_detach", { addr })).toMatchObject({ ret: -1, errno: "EFAULT" });
  expect(call(pid, "ssmem_attach", { id: 1, flags: 0, length: 1 }).ret).toMatch(/^0x/);
  expect(call(pid, "ssmem_detach", { addr })).toMatchObject({ ret: 0 });
});

test("the report's mappings are locked, and have no page before they are touched", () => {
  const { m, pid, call } = machine("seed");
  const addr = call(pid, "ssmem_attach", { id: 1, flags: 7, length: 3 * PAGE }).ret as string;
  const faults = (): number => Number(m.text(`/proc/${pid}/stat`).split(" ")[9]);
  expect(m.text("/proc/ssmem")).toMatch(/^ +1 +3 +0 +1$/m);
  expect(m.text(`/proc/${pid}/status`)).toMatch(/^VmLck:\s+12 kB$/m);
  const before = faults();
  for (const page of [0, 1, 2, 0]) call(pid, "store", { addr: `0x${(BigInt(addr) + BigInt(page * PAGE)).toString(16)}`, buf: "x" });
  expect(faults() - before).toBe(3);
  expect(m.text("/proc/ssmem")).toMatch(/^ +1 +3 +1 +1$/m);
  expect(m.broken()).toEqual([]);
});
