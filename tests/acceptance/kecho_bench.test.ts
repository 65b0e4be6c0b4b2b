/** bench by command lines against both servers: a thousand threads, bench.txt, what it leaves in TIME_WAIT, and dropping that. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Answer, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

const THREADS = 1_000;

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

interface Done extends Answer {
  exit: number;
  stdout: string;
  stderr: string;
}

/** A command to its end; the virtual clock is moved as long as it sleeps. */
async function run(session: Session, script: string): Promise<Done> {
  let answer = await session.json<Answer>("POST", "/commands", { json: { script }, wait: 1 });
  for (let moved = 0; answer.state === "sleeping" && moved < 120; moved++) {
    await session.ask("POST", "/clock/advance", { json: { ms: 1_000 } });
    answer = await session.callState(answer.callId);
  }
  return answer as Done;
}

async function means(session: Session): Promise<number[]> {
  const lines = (await session.cat("/root/bench.txt")).toString().split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line, index) => {
    expect(line).toMatch(new RegExp(`^${index} \\d+$`));
    return Number(line.split(" ")[1]);
  });
}

const mean = (values: number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;
const deciles = (values: number[]): number[] => Array.from({ length: 10 }, (_one, at) => mean(values.slice((at * values.length) / 10, ((at + 1) * values.length) / 10)));

interface Setup {
  machine: Record<string, unknown>;
  /** The server of the user's prints on a terminal, as in the report. */
  tty: boolean;
  bench: string;
}

/** bench against each of the servers, on a machine of its own. */
async function compared({ machine, tty, bench }: Setup): Promise<{ kecho: number[]; user: number[] }> {
  const times: number[][] = [];
  for (const echoServer of ["kecho", "user-echo-server"]) {
    const session = await newSession(server.url, { clock: "virtual", ...machine });
    if (echoServer === "kecho") await session.insmod("kecho");
    else await session.ask("POST", "/commands", { json: { argv: [echoServer], ...(tty ? { tty } : {}) }, wait: 0 });
    const { exit, stdout, stderr } = await run(session, bench);
    expect([exit, stdout, stderr]).toEqual([0, "", ""]);
    times.push(await means(session));
    expect(times.at(-1)).toHaveLength(THREADS);
  }
  const [kecho, user] = times;
  return { kecho, user };
}

test("a thousand threads against each server: none gets a wrong echo, and kecho is the quicker in every decile", async () => {
  const { kecho, user } = await compared({ machine: {}, tty: false, bench: "bench" });
  deciles(kecho).forEach((ours, at) => expect(ours, `decile ${at}`).toBeLessThanOrEqual(deciles(user)[at]));
});

test("on four CPUs, with the user's server on a terminal: some ten times as quick", async () => {
  const { kecho, user } = await compared({ machine: { cpus: 4 }, tty: true, bench: `bench ${THREADS} 3` });
  deciles(kecho).forEach((ours, at) => expect(ours, `decile ${at}`).toBeLessThanOrEqual(deciles(user)[at]));
  expect(mean(user) / mean(kecho)).toBeGreaterThan(5);
  expect(mean(user) / mean(kecho)).toBeLessThan(20);
});

test("few threads: hardly a difference, and the report's programs do what its own do", async () => {
  const session = await newSession(server.url, { clock: "virtual" });
  await session.ask("POST", "/commands", { json: { argv: ["user-echo-server.seed"] }, wait: 0 });
  expect(await run(session, "bench.seed 10 2")).toMatchObject({ exit: 0, stdout: "", stderr: "" });
  expect(await means(session)).toHaveLength(10);
});

test("what bench left in TIME_WAIT vanishes when its addresses are written, a line of the log for each", async () => {
  const session = await newSession(server.url, { clock: "virtual" });
  await session.insmod("kecho");
  await session.insmod("drop_tcp_socket");
  expect(await run(session, "bench 100 1")).toMatchObject({ exit: 0 });
  /** Pairs of the wait table, in hexadecimal as the file shows them. */
  const waits = async (): Promise<[string, string][]> =>
    [...(await session.cat("/proc/net/tcp")).toString().matchAll(/^ *\d+: (\S+) (\S+) 06 /gm)].map(([, from, at]) => [from, at]);
  const shown = (hex: string): string => {
    const [address, port] = hex.split(":");
    return `${[3, 2, 1, 0].map((byte) => Number.parseInt(address.slice(2 * byte, 2 * byte + 2), 16)).join(".")}:${Number.parseInt(port, 16)}`;
  };
  const pairs = (await waits()).map(([from, at]) => `${shown(from)} ${shown(at)}`);
  expect(pairs).toHaveLength(100);
  expect(pairs.every((pair) => /^127\.0\.0\.1:\d+ 127\.0\.0\.1:12345$/.test(pair))).toBe(true);

  // Nothing comes behind the last word: it does not count, and neither does a pair that is none.
  await run(session, `echo -n "${pairs[0]}" > /proc/net/drop_tcp_sock`);
  await run(session, "echo -n 'a:b c:d' > /proc/net/drop_tcp_sock");
  expect(await waits()).toHaveLength(100);
  const before = (await session.dmesg()).length;
  await session.put("/proc/net/drop_tcp_sock", Buffer.from(`${pairs.join("\n")}\n`));
  expect(await waits()).toEqual([]);
  const lines = (await session.dmesg()).slice(before);
  expect(lines.map((line) => /^Drop socket:[0-9a-f]{16} \((\S+) -> (\S+)\) state 6$/.exec(line)?.slice(1).join(" "))).toEqual(pairs);
  expect((await run(session, "cat /proc/net/drop_tcp_sock")).stderr).toMatch(/Input\/output error$/m);
});
