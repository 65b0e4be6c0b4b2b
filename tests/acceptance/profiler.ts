/** What a caller of the page-fault profiler needs: its list, its samples, and the lab's programs as commands. */
import { expect } from "vitest";
import { newSession, type Process, type Session } from "./client.ts";

export const PAGE = 4096;
const SAMPLE = 32;
const UNUSED = 2n ** 64n - 1n;

export const machine = (more: Record<string, unknown> = {}): Record<string, unknown> => ({ clock: "virtual", hz: 1000, ...more });
export const status = (session: Session, command: string) => session.put("/proc/mp3/status", Buffer.from(command));
export const listed = async (session: Session): Promise<string> => (await session.cat("/proc/mp3/status")).toString();
export const advance = (session: Session, ms: number) => session.json("POST", "/clock/advance", { json: { ms } });

/** The device's number, as a user finds it. */
export async function major(session: Session): Promise<number> {
  const found = /^ *(\d+) mp3$/im.exec((await session.cat("/proc/devices")).toString());
  return Number(found![1]);
}

/** A node for the device, opened. */
export async function openNode(session: Session, process: Process): Promise<number> {
  await process.must("mknod", { pathname: "/tmp/node", mode: "S_IFCHR|0666", dev: { major: await major(session), minor: 0 } });
  return await process.must("openat", { pathname: "/tmp/node", flags: "O_RDWR|O_SYNC" });
}

export type Sample = [jiffies: bigint, minor: bigint, major: bigint, utilisation: bigint];

/** What a monitor finds in its mapping: samples up to the first unused time. */
export async function samples(process: Process, addr: string, most = 200): Promise<Sample[]> {
  const { buf } = await process.call("load", { addr, length: most * SAMPLE });
  const bytes = Buffer.from(buf!.base64, "base64");
  const found: Sample[] = [];
  for (let at = 0; at < bytes.length && bytes.readBigUInt64LE(at) !== UNUSED; at += SAMPLE) {
    found.push([0, 8, 16, 24].map((field) => bytes.readBigUInt64LE(at + field)) as Sample);
  }
  return found;
}

export const sum = (all: Sample[], field: number): number => all.reduce((total, one) => total + Number(one[field]), 0);

export interface Ended {
  exit: number;
  stdout: string;
  stderr: string;
}

/** Starts a script, moves the clock on, and answers how it ended. */
export async function run(session: Session, script: string, ms: number): Promise<Ended> {
  const reply = await session.ask("POST", "/commands", { json: { script }, wait: 0 });
  expect(reply.status, reply.text).toBe(202);
  await advance(session, ms);
  const { callId } = JSON.parse(reply.text) as { callId: string };
  return await session.json<Ended>("GET", `/calls/${callId}`, { wait: 30 });
}

export async function monitored(session: Session, program = "monitor"): Promise<number[][]> {
  const { stdout } = await session.json<Ended>("POST", "/commands", { json: { script: `cd /tmp && ${program}` } });
  const rows = stdout.trimEnd().split("\n");
  expect(rows.pop()).toBe(`read ${rows.length} profiled data`);
  return rows.map((row) => row.split(" ").map(Number));
}

export const total = (rows: number[][], field: number): number => rows.reduce((sum, row) => sum + row[field]!, 0);
/** Pages of so many that `stores` stores at random touch. */
export const distinct = (pages: number, stores: number): number => pages * (1 - (1 - 1 / pages) ** stores);

/** The value that comes most often. */
export function mode(values: number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

/** A session with the module and a node of its device. */
export async function newLab(url: string, more: Record<string, unknown>): Promise<Session> {
  const session = await newSession(url, machine(more));
  await session.insmod("mp3");
  await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && mknod node c $(grep mp3 /proc/devices | cut -d' ' -f1) 0" } });
  return session;
}
