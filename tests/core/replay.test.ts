/** The same inputs give the same bytes and answers: replayed, restored in between, forked, cut into slices. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { moduleCatalogue, snapshot, view } from "../../core/index.ts";
import type { Json } from "../../core/input.ts";
import type { Kernel } from "../../core/kernel.ts";
import { nextU32, seedRng } from "../../core/lib/rng.ts";
import { CoreMachine } from "../helpers/core.ts";
import { bootAgain, copy, expectSame, replay } from "../helpers/replay.ts";
import { play } from "../helpers/trace/player.ts";
import { parseScenarios } from "../helpers/trace/scenario.ts";

const FOLDER = join(import.meta.dirname, "../traces");
const scenarios = readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl")).sort()
  .flatMap((name) => parseScenarios(readFileSync(join(FOLDER, name), "utf8")));

/** A kernel on which the whole scenario was played, as far as it goes. */
async function played(scenario: (typeof scenarios)[number], budget?: number): Promise<CoreMachine> {
  const machine = new CoreMachine({ ramMiB: 16, swapMiB: 8 });
  machine.budget = budget;
  await play(machine, scenario);
  return machine;
}

/** All modules inserted, every device and file of theirs opened, read, written and asked, time gone by, and all removed. */
async function labSession(budget?: number): Promise<CoreMachine> {
  const m = new CoreMachine({ ramMiB: 32, swapMiB: 8 });
  m.budget = budget;
  const pid = await m.createProcess();
  const before = new Set(nodes(m.kernel));
  const program = (name: string, args: Json): void =>
    void m.feed({ type: "program", callId: `p${m.calls++}`, program: name, args, uid: 0, member: "owner", home: "/root" });
  const modules = moduleCatalogue().map(({ name }) => name);
  // Twice: what depends on another goes in the second time, and what another depends on goes out.
  for (const name of [...modules, ...modules]) program("insmod", { name });
  for (const path of nodes(m.kernel).filter((one) => !before.has(one))) {
    const fd = (m.callNow(pid, "openat", { pathname: path, flags: "O_RDWR|O_NONBLOCK" }) as { ret?: Json }).ret;
    if (typeof fd !== "number" || fd < 0) continue;
    m.feed({
      type: "batch", pid, callId: `b${m.calls++}`, onError: "continue",
      calls: [
        { call: "read", args: { fd, count: 100 } }, { call: "write", args: { fd, buf: "12" } }, { call: "lseek", args: { fd, offset: 5, whence: 0 } },
        { call: "ioctl", args: { fd, request: 1, arg: { inout: { zero: 64 } } } }, { call: "poll", args: { fds: [{ fd, events: "POLLIN|POLLOUT" }], timeout: 5 } },
        { call: "mmap", args: { length: 8192, prot: "PROT_READ", flags: "MAP_SHARED", fd } }, { call: "getpid" },
      ],
    });
    for (const callId of m.kernel.state.calls.sleeping.keys()) m.feed({ type: "interruptCall", callId });
    m.advance(20);
    if (path.length % 2 === 0) m.callNow(pid, "close", { fd });
  }
  m.advance(1_000);
  m.feed({ type: "killProcess", pid });
  for (const name of [...modules, ...modules]) program("rmmod", { name });
  m.advance(100);
  return m;
}

/** Devices and files of /proc. */
function nodes(k: Kernel): string[] {
  return ["/dev", "/proc"].flatMap((folder) => {
    const seen = view(k, { uid: 0 }, folder);
    return "entries" in seen ? seen.entries.filter(({ name }) => !/^\d+$/.test(name)).map(({ name }) => `${folder}/${name}`) : [];
  });
}

describe("a session with every module", () => {
  test("is the same replayed, restored at random inputs, forked and sliced; and sound", async () => {
    const rng = seedRng(3);
    const whole = await labSession();
    expect(whole.journal.length).toBeGreaterThan(20);
    expectSame(replay(bootAgain(whole), whole.journal), whole.kernel);
    for (const budget of [1, 100, 1_000_000]) {
      const sliced = await labSession(budget);
      expectSame(sliced.kernel, whole.kernel);
      const [often, fork] = [budget === 1 ? 200 : 4, Math.floor(sliced.journal.length / 2)];
      expectSame(replay(bootAgain(sliced), sliced.journal, (k, at) => (at === fork || nextU32(rng) % often === 0 ? copy(k) : k)), whole.kernel);
    }
    expect(whole.broken()).toEqual([]);
    const before = snapshot(whole.kernel);
    lookAtAll(whole.kernel, "/", 0);
    expect(Buffer.from(snapshot(whole.kernel)).equals(before)).toBe(true);
  });
});

describe("every recorded scenario", () => {
  test("gives the same outputs and bytes when its inputs are fed again", async () => {
    for (const scenario of scenarios) {
      const machine = await played(scenario);
      expectSame(replay(bootAgain(machine), machine.journal), machine.kernel);
    }
  });

  test("goes on as before when the kernel is replaced by its snapshot at any input", async () => {
    const rng = seedRng(20240101);
    for (const scenario of scenarios) {
      const machine = await played(scenario, 1 + (nextU32(rng) % 40));
      const again = replay(bootAgain(machine), machine.journal, (k) => (nextU32(rng) % 16 === 0 ? copy(k) : k));
      expectSame(again, machine.kernel);
    }
  });

  test("is answered alike by a fork, and the original does not notice", async () => {
    const rng = seedRng(7);
    for (const scenario of scenarios) {
      const machine = await played(scenario);
      const at = nextU32(rng) % machine.journal.length;
      const original = replay(bootAgain(machine), machine.journal.slice(0, at));
      const fork = copy(original);
      const rest = machine.journal.slice(at);
      const forked = replay(fork, rest);
      expectSame(replay(original, rest), machine.kernel);
      expectSame(forked, machine.kernel);
    }
  });

  test("leaves the same bytes behind in slices of 1, of 100 and of a million steps", async () => {
    for (const scenario of scenarios) {
      const whole = await played(scenario);
      for (const budget of [1, 100, 1_000_000]) expectSame((await played(scenario, budget)).kernel, whole.kernel);
    }
  });

  test("leaves a kernel that looking at does not change", async () => {
    for (const scenario of scenarios.filter(({ name }) => ["epoll-nested", "fork-shared-map", "tcp-basic"].includes(name))) {
      const { kernel } = await played(scenario);
      const before = snapshot(kernel);
      const seen = lookAtAll(kernel, "/", 0);
      expect(seen).toBeGreaterThan(100);
      expect(Buffer.from(snapshot(kernel)).equals(before)).toBe(true);
    }
  });
});

/** Views a tree of the kernel's files, and answers how many they were. */
function lookAtAll(k: Kernel, path: string, depth: number): number {
  const seen = view(k, { uid: 0 }, path);
  if (!("entries" in seen) || depth > 6) return 1;
  return seen.entries.reduce((count: number, { name }) => count + lookAtAll(k, path === "/" ? `/${name}` : `${path}/${name}`, depth + 1), 1);
}
