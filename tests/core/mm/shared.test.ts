/** Shared memory and memory that is short, at the edges: advice about a read-only segment, a fork whose parent is killed. */
import { expect, test } from "vitest";
import type { Json } from "../../../core/input.ts";
import { CoreMachine } from "../../helpers/core.ts";

const PAGE = 4096;

type Answer = { ret?: unknown; errno?: string | null; state?: string };

function machine(ramMiB: number): { m: CoreMachine; make: () => number; call: (pid: number, name: string, args: { [name: string]: Json }) => Answer } {
  const m = new CoreMachine({ ramMiB, swapMiB: 0 });
  m.feed({ type: "makeHome", path: "/root", uid: 0 });
  const make = (): number => m.feed({ type: "createProcess", comm: "sh", uid: 0, member: "owner", home: "/root" }).pid ?? 0;
  return { m, make, call: (pid, name, args) => m.callNow(pid, name, args, "report") as Answer };
}

test("a segment that is attached read-only is shared all the same: it takes no MADV_WIPEONFORK", () => {
  const { make, call } = machine(16);
  const pid = make();
  const { ret: shmid } = call(pid, "shmget", { key: "IPC_PRIVATE", size: PAGE, shmflg: 0o600 });
  const { ret: addr } = call(pid, "shmat", { shmid: shmid as number, shmflg: "SHM_RDONLY" });
  expect(call(pid, "madvise", { addr: addr as string, length: PAGE, advice: "MADV_WIPEONFORK" })).toMatchObject({ errno: "EINVAL" });
});

test("a parent that is killed for want of memory as it forks leaves no child", () => {
  const { m, make, call } = machine(8);
  const pid = make();
  const processes = m.kernel.state.sched.groups.size;
  const apart = 512 * PAGE;
  const { ret } = call(pid, "mmap", { length: 400 * apart, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE" });
  // A page in each 2 MiB: the child needs as many page tables again as there are pages.
  for (let at = 0; at < 400; at++) call(pid, "store", { addr: `0x${(BigInt(ret as string) + BigInt(at * apart)).toString(16)}`, buf: "x" });
  expect(call(pid, "fork", {})).toMatchObject({ state: "ended", signaled: "SIGKILL" });
  expect(m.kernel.state.sched.groups.size).toBe(processes - 1);
  expect(m.kernel.state.mm.spaces.size).toBe(1);
  expect(m.broken()).toEqual([]);
});

test("what may be written or executed, but not read, is not another's to read", () => {
  const { make, call } = machine(16);
  const [pid, other] = [make(), make()];
  const { ret: addr } = call(pid, "mmap", { length: PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  call(pid, "store", { addr: addr as string, buf: "x" });
  const both = (prot: string): unknown[] => {
    expect(call(pid, "mprotect", { addr: addr as string, len: PAGE, prot })).toMatchObject({ ret: 0 });
    const remote = { pid, remote_iov: [{ iov_base: { addr: addr as string }, iov_len: 1 }] };
    return [call(other, "process_vm_readv", { ...remote, local_iov: [{ iov_len: 1 }] }), call(other, "process_vm_writev", { ...remote, local_iov: ["y"] })]
      .map(({ ret, errno }) => errno ?? ret);
  };
  expect(["PROT_NONE", "PROT_READ", "PROT_WRITE", "PROT_READ|PROT_WRITE", "PROT_EXEC", "PROT_READ|PROT_EXEC"].map(both)).toEqual([
    ["EFAULT", "EFAULT"], [1, "EFAULT"], ["EFAULT", 1], [1, 1], ["EFAULT", "EFAULT"], [1, "EFAULT"],
  ]);
});
