/** A system call through the whole service beside a bare express echo of the same body; and calls in batches. */
import autocannon from "autocannon";
import { median, node } from "../run.ts";
import { startEcho, startService, type RunningServer } from "../server.ts";
import { times, type Row } from "../table.ts";

const ROUNDS = 3;
const SECONDS = 4;
/** Connections, and the part of the echo's requests that we want to answer. */
const CONNECTIONS: [connections: number, aim: string][] = [[1, "0.3×"], [8, "0.5×"], [32, "0.7×"]];
/** Both servers are compiled hot before anything is counted: ours needs some ten thousand requests for it. */
const WARM_SECONDS = 6;
const BATCH = 1_000;
const CALL = "{}";

interface Load {
  perSecond: number;
  p99: number;
  /** Requests that one commit carried; 0 for a server without a journal. */
  perCommit: number;
}

interface Target {
  server: RunningServer;
  path: string;
  token?: string;
}

async function json<T>(server: RunningServer, method: string, path: string, token?: string, body?: unknown): Promise<T> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** A process in a fresh session. */
async function openTarget(server: RunningServer): Promise<Required<Target>> {
  const { id, token } = await json<{ id: string; token: string }>(server, "POST", "/v1/sessions", undefined, {});
  const { pid } = await json<{ pid: number }>(server, "POST", `/v1/sessions/${id}/processes`, token, {});
  return { server, path: `/v1/sessions/${id}/processes/${pid}/syscalls`, token };
}

async function commits(server: RunningServer): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^syslab_commit_duration_seconds_count (\d+)/m.exec(text)?.[1] ?? 0);
}

async function load({ server, path, token }: Target, body: string, connections: number, seconds = SECONDS): Promise<Load> {
  const before = await commits(server);
  const result = await autocannon({
    url: `${server.url}${path}`, method: "POST", body, connections, duration: seconds,
    headers: { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });
  if (result.errors > 0 || result.non2xx > 0) throw new Error(`${path}: ${result.errors} errors, ${result.non2xx} refusals`);
  const made = (await commits(server)) - before;
  return { perSecond: result.requests.total / seconds, p99: result.latency.p99, perCommit: made === 0 ? 0 : result.requests.total / made };
}

const whole = (number: number): string => Math.round(number).toLocaleString("en");
const medianOf = (loads: Load[], field: keyof Load): number => median(loads.map((one) => one[field]));

async function getpids(ours: Target, echo: Target, connections: number, aim: string): Promise<Row[]> {
  const [mine, its]: [Load[], Load[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    mine.push(await load(ours, CALL, connections));
    its.push(await load(echo, CALL, connections));
  }
  const [a, b] = [medianOf(mine, "perSecond"), medianOf(its, "perSecond")];
  return [
    { what: `getpid, ${connections} connections, requests/s`, ours: whole(a), peer: whole(b), ratio: times(a, b), aim },
    { what: "  slowest of a hundred, ms", ours: String(medianOf(mine, "p99")), peer: String(medianOf(its, "p99")), ratio: "", aim: connections === 32 ? "2×" : "" },
    { what: "  requests in a commit", ours: medianOf(mine, "perCommit").toFixed(1), peer: "", ratio: "", aim: "" },
  ];
}

export async function http(): Promise<Row[]> {
  const service = await startService();
  const express = await startEcho();
  try {
    const processTarget = await openTarget(service);
    const single: Target = { ...processTarget, path: `${processTarget.path}/getpid` };
    const echo: Target = { server: express, path: "/echo" };
    await load(single, CALL, 8, WARM_SECONDS);
    await load(echo, CALL, 8, WARM_SECONDS);
    const rows: Row[] = [];
    for (const [connections, aim] of CONNECTIONS) rows.push(...await getpids(single, echo, connections, aim));
    const batch = JSON.stringify({ calls: Array.from({ length: BATCH }, () => ({ call: "getpid" })) });
    const batches: Load[] = [];
    for (let round = 0; round < ROUNDS; round++) batches.push(await load(processTarget, batch, 1));
    const perSecond = BATCH * medianOf(batches, "perSecond");
    const disk = median(Array.from({ length: ROUNDS }, () => node("peers/commits.ts").perSecond));
    rows.push({ what: `getpid in batches of ${whole(BATCH)}, calls/s`, ours: whole(perSecond), peer: "", ratio: "", aim: "300,000" });
    rows.push({ what: "single commits that the disk keeps, 1/s", ours: "", peer: whole(disk), ratio: "", aim: "" });
    return rows;
  } finally {
    await service.stop();
    await express.stop();
  }
}
