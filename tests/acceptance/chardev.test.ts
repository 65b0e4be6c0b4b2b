/** /dev/null, /dev/zero and /dev/full answer every call as a recorded Linux did. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Session } from "./client.ts";
import { ROWS, type Observed, type Probe } from "./prober.ts";
import { startServer, type Server } from "./server.ts";

interface Recorded extends Observed {
  dev: string;
  call: string;
}

const recorded = (file: string): Recorded[] =>
  readFileSync(join(import.meta.dirname, "data", file), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Recorded);

let server: Server;
let session: Session;
beforeAll(async () => {
  // Two modules of our own: a device without any handler, and one with all.
  server = await startServer({ preload: ["core/labs/testmodules/devices.ts"] });
  session = await newSession(server.url);
});
afterAll(() => server.end());

/** The probe read 2 GiB into a buffer of its program's; what lay behind it was another each time. */
const PAGES_BEFORE_HOLE: Record<string, number> = { "/dev/zero": 2, "/dev/full": 4 };

/** Plays every recorded row of a device in a new process; `same` leaves out of a note what another machine may have otherwise. */
async function play(path: string, rows: Recorded[], same: (note: string) => string = (note) => note): Promise<void> {
  const process = await session.process({ comm: "probe" });
  const probe: Probe = {
    process, path, rw: -1, ro: -1, wo: -1, nb: -1, opath: -1, file: -1, pipe: [-1, -1], maps: {}, pagesBeforeHole: PAGES_BEFORE_HOLE[path] ?? 1,
  };
  const shown = ({ ret, errno, note }: Observed): Observed => (note === undefined ? { ret, errno } : { ret, errno, note: same(note) });
  const expected: Record<string, Observed> = {};
  const observed: Record<string, Observed> = {};
  for (const recordedRow of rows) {
    const row = ROWS[recordedRow.call];
    if (row === undefined) throw new Error(`no such row: ${recordedRow.call}`);
    expected[recordedRow.call] = shown(recordedRow);
    observed[recordedRow.call] = shown(await row(probe));
    if (recordedRow.call === "open(O_PATH)") await openHelpers(probe);
  }
  expect(observed).toEqual(expected);
  expect(rows.length).toBeGreaterThan(100);
}

for (const path of ["/dev/null", "/dev/zero", "/dev/full"]) {
  test(`${path} answers as recorded`, () => play(path, recorded("cdev-mem.jsonl").filter(({ dev }) => dev === path)));
}

/** Majors and dynamic minors are one machine's. */
const anyMinor = (note: string): string => note.replace(/rdev=\d+:\d+/, "rdev=…");

test("a device without any handler answers as recorded", async () => {
  await session.insmod("nohand");
  await play("/dev/nohand0", recorded("cdev-nohand.jsonl"), anyMinor);
});

test("a device with all handlers answers as recorded", async () => {
  await session.insmod("full");
  const writer = await session.process();
  await writer.must("write", { fd: await writer.must("openat", { pathname: "/dev/fulldev", flags: "O_WRONLY" }), buf: "hello" });
  await writer.must("close", { fd: 3 });
  // One row read a page in which the recorded module counted its ticks; ours has no clock of its own.
  await play("/dev/fulldev", recorded("cdev-full.jsonl").filter(({ call }) => call !== "load m2[4096]"), anyMinor);
});

test("simrupt answers as recorded, the large numbers of its read included", async () => {
  await session.insmod("simrupt", "upstream");
  await play("/dev/simrupt", recorded("cdev-simrupt.jsonl"), anyMinor);
});

/** A file and a pipe for the rows that move bytes between two descriptors: opened after the rows that name descriptors by number. */
async function openHelpers(probe: Probe): Promise<void> {
  probe.file = await probe.process.must("openat", { pathname: "/tmp/probe", flags: "O_RDWR|O_CREAT|O_TRUNC", mode: "0600" });
  probe.pipe = (await probe.process.call("pipe2", { flags: "O_NONBLOCK" })).pipefd!;
}

test("opening what is no device, and nodes that no driver answers for, fails as recorded", async () => {
  const process = await session.process({ comm: "probe" });
  await process.must("mknod", { pathname: "/dev/nodrv", mode: "S_IFCHR|0666", dev: { major: 60, minor: 0 } });
  await process.must("mknod", { pathname: "/dev/nodrvb", mode: "S_IFBLK|0666", dev: { major: 60, minor: 0 } });
  await process.must("mknod", { pathname: "/dev/badminor", mode: "S_IFCHR|0666", dev: { major: 1, minor: 200 } });
  await process.must("mknod", { pathname: "/tmp/fifo", mode: "S_IFIFO|0666" });
  for (const { dev, call, ret, errno } of recorded("cdev-open.jsonl")) {
    const flags = /^open\((.*)\)$/.exec(call)![1];
    const answer = await process.call("openat", { pathname: dev, flags });
    expect({ dev, flags, ret: answer.ret, errno: answer.errno }).toEqual({ dev, flags, ret, errno });
    if (answer.errno === null) await process.must("close", { fd: answer.ret });
  }
});
