/** Random use of devices, modules and the kernel's own files: nothing throws, and all that must hold does. */
import { expect, test } from "vitest";
import { restore, snapshot, view } from "../../../core/index.ts";
import { Lab } from "../modules/lab.ts";
import "../../../core/labs/testmodules/simple.ts";
import "../../../core/labs/testmodules/ptypes.ts";
import "../../../core/labs/testmodules/devices.ts";
import "../../../core/labs/testmodules/sleepy.ts";

const MODULES = ["nolic", "base_exp", "user_a", "user_b", "dupexp", "prop", "noexit", "ipos", "ieinval", "ptypes", "nohand", "full", "faultdev", "regerr",
  "sleepy", "sleepuser", "sleepfail", "failuser"];
const WRITTEN = ["", "1", "0\n", "junk", "-1\n", "99999999999999999999", "1,2,3,4,5,6", "y\n", "<3>text", "\0", "x".repeat(300), " 5 6 "];
const FLAGS = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDWR|O_NONBLOCK", "O_RDONLY|O_DIRECTORY", "O_PATH", "O_WRONLY|O_TRUNC|O_APPEND", "O_RDWR|O_CREAT|O_EXCL"];

/** A small generator, the same on every machine. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Paths of the kernel's file systems as they are now. */
function paths(lab: Lab): string[] {
  const found: string[] = [];
  const walk = (path: string, depth: number): void => {
    found.push(path);
    const seen = view(lab.machine.kernel, { uid: 0 }, path, { link: true });
    if (depth === 0 || !("kind" in seen) || seen.kind !== "directory") return;
    for (const { name } of seen.entries) walk(`${path}/${name}`, depth - 1);
  };
  for (const root of ["/proc", "/sys", "/dev", "/lib/modules"]) walk(root, 4);
  return found;
}

for (const seed of [1, 2, 3]) {
  test(`seed ${seed}`, async () => {
    const pick = chance(seed);
    const one = <T>(list: readonly T[]): T => list[pick(list.length)];
    const lab = await Lab.boot();
    const pids = [lab.pid, await lab.machine.createProcess(0), await lab.machine.createProcess(1000)];
    let known = paths(lab);
    const busy = (pid: number): boolean => lab.machine.kernel.state.sched.tasks.get(pid)?.state !== "parked";
    for (let round = 0; round < 900; round++) {
      const at = pick(pids.length);
      if (lab.machine.kernel.state.sched.tasks.get(pids[at])?.state === "zombie" || !lab.machine.kernel.state.sched.tasks.has(pids[at])) {
        pids[at] = await lab.machine.createProcess(at === 2 ? 1000 : 0);
      }
      const pid = pids[at];
      if (busy(pid)) {
        if (pick(3) === 0) lab.machine.feed({ type: "signal", pid, signal: 9, uid: 0 });
        else lab.machine.advance(50);
        continue;
      }
      const fd = pick(12);
      switch (pick(12)) {
        case 0: lab.insmod(one(MODULES), one(["", "pint=5", "pint=x", "parr=1,2 pbool"])); break;
        case 1: lab.rmmod(one(MODULES), one(["O_NONBLOCK", "O_NONBLOCK", "O_NONBLOCK|O_TRUNC"]), pid); break;
        case 2: case 3: case 4: lab.call("openat", { pathname: one(known), flags: one(FLAGS), mode: "0600" }, pid); break;
        case 5: lab.call("read", { fd, count: one([0, 1, 7, 100, 5000]) }, pid); break;
        case 6: lab.call("write", { fd, buf: one(WRITTEN) }, pid); break;
        case 7: lab.call("lseek", { fd, offset: one([0, 1, -1, 4096, 2 ** 40]), whence: pick(4) }, pid); break;
        case 8: lab.call("getdents64", { fd, count: one([10, 100, 4000]) }, pid); break;
        case 9: lab.call("mmap", { length: one([4096, 8192, 100]), prot: "PROT_READ|PROT_WRITE", flags: one(["MAP_SHARED", "MAP_PRIVATE"]), fd }, pid); break;
        case 10: lab.call("close", { fd }, pid); break;
        case 11:
          lab.call("ioctl", { fd, request: one([0x6600, 0x80046601, 0x5421, 0x80045200, 1]), arg: { out: 8 } }, pid);
          if (pick(8) === 0) lab.machine.kernel = restore(snapshot(lab.machine.kernel));
          if (pick(4) === 0) known = paths(lab);
      }
      if (busy(lab.pid)) lab.machine.advance(300);
      if (busy(lab.pid)) lab.machine.feed({ type: "killProcess", pid: lab.pid });
      if (!lab.machine.kernel.state.sched.tasks.has(lab.pid)) pids[0] = lab.pid = await lab.machine.createProcess(0);
      if (round % 25 === 0) expect(lab.machine.broken()).toEqual([]);
    }
    expect(lab.machine.broken()).toEqual([]);
  });
}
