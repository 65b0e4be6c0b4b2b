/** bench and its threads against kecho and against user-echo-server: every echo right, nobody left asleep, the same bytes again. */
import { describe, expect, test } from "vitest";
import { Shell } from "./shell.ts";

/** Comms of the tasks that are there, with how many of each. */
function population({ machine }: Shell): Map<string, number> {
  const comms = [...machine.kernel.state.sched.tasks.values()].map(({ comm }) => comm);
  return new Map([...new Set(comms)].map((comm) => [comm, comms.filter((one) => one === comm).length]));
}

/** The file that bench has written: its means, µs. */
function times(sh: Shell): number[] {
  const lines = sh.machine.text("/root/bench.txt").split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line, index) => {
    expect(line).toMatch(new RegExp(`^${index} \\d+$`));
    return Number(line.split(" ")[1]);
  });
}

/** What a run leaves behind: nothing that waits, no thread, no stack. */
function expectQuiet(sh: Shell): void {
  const { state } = sh.machine.kernel;
  expect(population(sh).has("bench")).toBe(false);
  expect(state.process.futexWaiters).toEqual([]);
  expect(sh.machine.broken()).toEqual([]);
}

describe.each([["kecho", "bench"], ["kecho", "bench.seed"], ["user-echo-server", "bench"], ["user-echo-server.seed", "bench.seed"]])("%s under %s", (server, bench) => {
  test("every thread's time is told, whatever order they come in", () => {
    const sh = new Shell();
    if (server === "kecho") sh.text("insmod kecho.ko");
    else sh.start({ argv: [server] });
    expect(sh.run({ argv: [bench, "40", "3"] })).toMatchObject({ exit: 0, stdout: "", stderr: "" });
    expect(times(sh).filter((us) => us > 0)).toHaveLength(40);
    expectQuiet(sh);
    // Nothing was sent that nobody took.
    const { sockets } = sh.machine.kernel.state.net;
    expect([...sockets.values()].filter(({ tcp }) => (tcp?.send.length ?? 0) + (tcp?.receive.length ?? 0) > 0)).toEqual([]);
  });
});

test("the careful server's lines go where its output goes as they end; the report's wait for 4096 bytes", () => {
  for (const [server, first] of [["user-echo-server", "Main listener (fd=3) was created.\n"], ["user-echo-server.seed", ""]]) {
    const sh = new Shell();
    sh.start({ script: `${server} > /tmp/log` });
    sh.machine.advance(10);
    const log = sh.machine.text("/tmp/log");
    expect(log.startsWith(first), log).toBe(true);
    expect(log === "").toBe(first === "");
  }
});

/** A listener of a process that accepts nobody: clients get their connection, and no answer. */
async function deafServer(sh: Shell, backlog = 128): Promise<void> {
  const pid = await sh.machine.createProcess();
  const { ret: sockfd } = sh.machine.callNow(pid, "socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 }) as { ret: number };
  sh.machine.callNow(pid, "bind", { sockfd, addr: { sin_family: "AF_INET", sin_port: 12345, sin_addr: "0.0.0.0" } });
  expect(sh.machine.callNow(pid, "listen", { sockfd, backlog })).toMatchObject({ ret: 0 });
}

test("threads of one process share memory and descriptors, each on a stack of its own; a signal ends them all", async () => {
  const sh = new Shell();
  await deafServer(sh);
  const callId = sh.start({ argv: ["bench", "30", "1"] });
  sh.machine.advance(100);
  const { tasks } = sh.machine.kernel.state.sched;
  const threads = [...tasks.values()].filter(({ comm }) => comm === "bench");
  expect(threads).toHaveLength(31);
  const [first] = threads;
  for (const { tgid, mm, files, fs } of threads) expect([tgid, mm, files, fs]).toEqual([first.tgid, first.mm, first.files, first.fs]);
  const states = threads.slice(1).map(({ sleep }) => sleep?.wchan);
  expect(states).toEqual(Array.from({ length: 30 }, () => "sk_wait_data"));
  expect(first.sleep?.wchan).toBe("futex_wait_queue");
  expect(sh.machine.text(`/proc/${first.tgid}/status`)).toMatch(/^Threads:\t31$/m);
  const stacks = sh.machine.text(`/proc/${first.tgid}/maps`).split("\n").filter((line) => / 00:00 0 *$/.test(line)).map((line) => {
    const [, from, to, prot] = /^(\w+)-(\w+) (\S+)/.exec(line)!;
    return `${prot} ${Number.parseInt(to, 16) - Number.parseInt(from, 16)}`;
  });
  expect(stacks.filter((one) => one === "---p 4096")).toHaveLength(30);
  expect(stacks.filter((one) => one === `rw-p ${8 << 20}`)).toHaveLength(30);
  sh.machine.feed({ type: "signal", pid: first.tgid, signal: 15, uid: 0 });
  sh.machine.advance(100);
  expect(sh.stand(callId)).toMatchObject({ state: "program", exit: 143 });
  expectQuiet(sh);
});

test("nobody listens: the first thread that cannot connect ends the program", () => {
  const sh = new Shell();
  const { exit, stdout, stderr } = sh.run({ argv: ["bench", "20", "2"] });
  expect([exit, stdout, stderr.split("\n")[0]]).toEqual([255, "", "connect: Connection refused"]);
  expect(sh.machine.text("/root/bench.txt")).toBe("");
  expectQuiet(sh);
});

test("no more descriptors, no more threads, no place for the result", async () => {
  const sh = new Shell();
  await deafServer(sh);
  expect(sh.sh("ulimit -n 20; bench 40 1")).toMatchObject({ exit: 255, stderr: expect.stringMatching(/^socket: Too many open files\n/) as string });
  // RLIMIT_NPROC counts threads of a user without privileges.
  sh.machine.feed({ type: "makeHome", path: "/home/student", uid: 1000 });
  expect(sh.run({ argv: ["bench", "400", "1"] }, { uid: 1000, home: "/home/student" })).toMatchObject({ exit: 255, stdout: "thread creation failed\n" });
  expect(sh.sh("cd /proc; bench 1 1")).toMatchObject({ exit: 255, stderr: expect.stringMatching(/^fopen: /) as string });
  expect(sh.sh("bench 0")).toMatchObject({ exit: 255, stdout: expect.stringMatching(/^Usage: bench /) as string });
  expectQuiet(sh);
});
