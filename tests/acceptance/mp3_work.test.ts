/** The page-fault lab's programs over HTTP: work beside work, and what the monitor prints of it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession } from "./client.ts";
import { distinct, machine, mode, monitored, newLab, run, total, type Ended } from "./profiler.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

test("work and monitor, as the lab runs them", async () => {
  const session = await newSession(server.url, machine());
  await session.insmod("mp3");
  const made = await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && mknod node c $(grep mp3 /proc/devices | cut -d' ' -f1) 0" } });
  expect(made).toMatchObject({ exit: 0, stderr: "" });

  const [megabytes, accesses] = [20, 1000];
  const { exit, stdout } = await run(session, `work ${megabytes} R ${accesses}`, 21_000);
  expect(exit).toBe(0);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(`A work prcess starts (configuration: ${megabytes} 0 ${accesses})`);
  expect(lines.slice(1, 21)).toEqual(Array.from({ length: 20 }, (_one, at) => expect.stringMatching(new RegExp(`^\\[\\d+\\] ${at} iteration$`)) as string));

  const monitored = await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && monitor" } });
  const rows = monitored.stdout.trimEnd().split("\n");
  expect(rows.pop()).toBe(`read ${rows.length} profiled data`);
  expect(rows.length).toBeGreaterThanOrEqual(385);
  expect(rows.length).toBeLessThanOrEqual(400);
  const columns = rows.map((row) => row.split(" ").map(Number));
  const steps = columns.slice(1).map(([at], index) => at! - columns[index]![0]!);
  expect(Math.min(...steps)).toBe(51);
  // Distinct pages of so many stores at random: P(1-(1-1/P)^n).
  const pages = megabytes * 256;
  const distinct = pages * (1 - (1 - 1 / pages) ** (20 * accesses));
  const minor = columns.reduce((total, [, faults]) => total + faults!, 0);
  expect(Math.abs(minor - distinct) / distinct).toBeLessThan(0.02);
  expect(columns.every(([, , majorFaults]) => majorFaults === 0)).toBe(true);

  // What was read is gone.
  expect(await session.json<Ended>("POST", "/commands", { json: { script: "cd /tmp && monitor" } })).toMatchObject({ stdout: "read 0 profiled data\n" });
});

test("the programs refuse what they cannot do", async () => {
  const session = await newSession(server.url, machine());
  const refused: [script: string, stdout: string, exit: number][] = [
    ["work 0 R 5", "memsize shall be between 1 and 1024\n", 255],
    ["work 8 R 0", "naccess shall be >=1\n", 255],
    ["monitor", "file open error. node\n", 255],
    ["ssmpipe 1 1", "ssmpipe must take 4 parameters!\n", 1],
  ];
  for (const [script, stdout, exit] of refused) {
    expect(await session.json<Ended>("POST", "/commands", { json: { script } }), script).toMatchObject({ exit, stdout });
  }
});

/** The samples that the handout's monitor prints, a row each. */

test("work 200 R 10000 alone: a sample each 51 jiffies, and every page that was touched is one minor fault", async () => {
  const session = await newLab(server.url, { ramMiB: 256, swapMiB: 0 });
  const { stdout } = await run(session, "work 200 R 10000", 22_000);
  expect(stdout.split("\n")).toHaveLength(22);
  const rows = await monitored(session);
  expect(rows.length).toBeGreaterThanOrEqual(385);
  expect(rows.length).toBeLessThanOrEqual(400);
  const steps = rows.slice(1).map(([at], index) => at! - rows[index]![0]!);
  expect(Math.min(...steps)).toBeGreaterThanOrEqual(50);
  expect(mode(steps)).toBe(51);
  expect(Math.abs(total(rows, 1) / distinct(51_200, 200_000) - 1)).toBeLessThan(0.02);
  expect(Math.abs(total(rows, 1) / 50_170 - 1)).toBeLessThan(0.02);
  expect(total(rows, 2)).toBe(0);

  // Bursts once a second, each with fewer pages that are new than the one before: by e^(-10000/51200).
  const bursts: number[] = [];
  for (const [index, [, faults]] of rows.entries()) {
    if (faults === 0) continue;
    if (index > 0 && rows[index - 1]![1]! > 0) bursts[bursts.length - 1]! += faults!;
    else bursts.push(faults!);
  }
  expect(bursts).toHaveLength(20);
  const decay = (bursts[15]! / bursts[0]!) ** (1 / 15);
  expect(Math.abs(decay / Math.exp(-10_000 / 51_200) - 1)).toBeLessThan(0.02);
});

test("two works: random beside random faults 1.35 times as often as random beside local, and takes as long where memory is enough", async () => {
  const runs: { minor: number; major: number; span: number }[] = [];
  for (const second of ["R", "L"]) {
    const session = await newLab(server.url, { ramMiB: 256, swapMiB: 0 });
    const { exit } = await run(session, `work 100 R 4883 & work 100 ${second} 977; wait`, 24_000);
    expect(exit).toBe(0);
    const rows = await monitored(session);
    runs.push({ minor: total(rows, 1), major: total(rows, 2), span: rows.at(-1)![0]! - rows[0]![0]! });
  }
  const [random, local] = runs as [typeof runs[0], typeof runs[0]];
  expect(Math.abs(random.minor / (distinct(25_600, 97_660) + distinct(25_600, 19_540)) - 1)).toBeLessThan(0.01);
  // Of ten accesses of a local program two touch anything.
  expect(Math.abs(local.minor / (distinct(25_600, 97_660) + distinct(25_600, 3_908)) - 1)).toBeLessThan(0.01);
  expect(Math.abs(random.minor / local.minor - 1.35)).toBeLessThan(0.03);
  expect([random.major, local.major]).toEqual([0, 0]);
  expect(random.span).toBeGreaterThanOrEqual(19_000);
  expect(Math.abs(random.span / local.span - 1)).toBeLessThan(0.02);
});

test("one, five and eleven works of 8 MiB on 64: utilisation rises, and pages come from the disk only where all do not fit", async () => {
  const runs: { minor: number; major: number; utilisation: number; span: number; before: number }[] = [];
  for (const works of [1, 5, 11]) {
    const session = await newLab(server.url, { ramMiB: 64, swapMiB: 64 });
    const { exit } = await run(session, `${"work 8 R 400 & ".repeat(works)}wait`, 26_000);
    expect(exit).toBe(0);
    const rows = await monitored(session);
    const onset = rows.findIndex(([, , major]) => major! > 0);
    runs.push({
      minor: total(rows, 1), major: total(rows, 2), utilisation: total(rows, 3) / rows.length, span: rows.at(-1)![0]! - rows[0]![0]!,
      before: total(onset < 0 ? rows : rows.slice(0, onset), 1),
    });
  }
  const [one, five, eleven] = runs as [typeof runs[0], typeof runs[0], typeof runs[0]];
  expect(five.utilisation).toBeGreaterThan(one.utilisation);
  expect(eleven.utilisation).toBeGreaterThan(five.utilisation);
  expect([one.major, five.major]).toEqual([0, 0]);
  // 88 MiB do not fit: the first page comes back only once memory is full, and from then on there are many.
  expect(eleven.before).toBeGreaterThan(13_000);
  expect(eleven.before).toBeLessThan(64 * 256);
  expect(eleven.major).toBeGreaterThan(5000);
  for (const [works, { minor }] of [[1, one], [5, five], [11, eleven]] as const) {
    expect(Math.abs(minor / (works * distinct(2048, 8000)) - 1)).toBeLessThan(0.02);
  }
  expect(one.span).toBeGreaterThanOrEqual(19_000);
  expect(eleven.span).toBeGreaterThan(one.span);
  expect(eleven.minor + eleven.major).toBeGreaterThan(five.minor);
});

test("random access to more than there is takes several times the faults and the time of local access", async () => {
  const runs: { faults: number; ms: number }[] = [];
  for (const locality of ["R", "L"]) {
    const session = await newLab(server.url, { ramMiB: 32, swapMiB: 64 });
    expect((await run(session, `work 48 ${locality} 4000`, 40_000)).exit).toBe(0);
    const rows = await monitored(session);
    // Twenty times it slept a second; the rest is what it did.
    runs.push({ faults: total(rows, 1) + total(rows, 2), ms: rows.at(-1)![0]! - rows[0]![0]! - 19_900 });
  }
  const [random, local] = runs as [typeof runs[0], typeof runs[0]];
  expect(random.faults / local.faults).toBeGreaterThan(3);
  expect(random.ms / Math.max(1, local.ms)).toBeGreaterThan(3);
});
