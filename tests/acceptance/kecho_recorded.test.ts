/** kecho's recorded sessions by the same command lines: statuses, messages, and the log's lines with their levels. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.end());

interface Recorded {
  command: string;
  rc: number;
  stdout: string;
  stderr: string;
  /** Lines as `dmesg -x` prints them, without time stamps. */
  dmesg: string[];
}

/** `[  117.363277] `, of another moment on every machine. */
const unstamped = (text: string): string => text.replace(/\[ *\d+\.\d{6}\] /g, "");

/** A recording: the command, its status, its output before or after that, and what the log got. */
function recorded(name: string): Recorded {
  const text = readFileSync(join(import.meta.dirname, "data/kecho", `kecho-${name}.txt`), "utf8");
  const [head] = text.split("\n[rc]", 1);
  const command = head.split("\n", 1)[0];
  const section = (title: string): string => new RegExp(`^\\[${title}\\] ?(?:\n|(?=\\d))([^]*?)(?=^\\[(?:rc|stdout|stderr|syscalls|dmesg)\\]|(?![^]))`, "m").exec(text)?.[1] ?? "";
  return {
    command: command.slice(2),
    rc: Number(section("rc")),
    stdout: text.includes("\n[stdout]") ? section("stdout") : head.slice(command.length + 1) + "\n",
    stderr: section("stderr"),
    dmesg: unstamped(section("dmesg")).split("\n").filter((line) => line !== ""),
  };
}

interface Done {
  exit: number;
  stdout: string;
  stderr: string;
}

const run = (session: Session, script: string): Promise<Done> => session.json("POST", "/commands", { json: { script } });

async function log(session: Session): Promise<string[]> {
  const { stdout } = await run(session, "dmesg -x");
  return unstamped(stdout).split("\n").filter((line) => line !== "");
}

/** Gives the recorded command, and compares all that it did. */
async function same(session: Session, name: string): Promise<void> {
  const { command, rc, stdout, stderr, dmesg } = recorded(name);
  const before = (await log(session)).length;
  const done = await run(session, command.replace("insmod kecho.ko", "insmod /lib/modules/$(uname -r)/upstream/kecho.ko"));
  const words = done.stderr.replace(/\/lib\/modules\/\S+\/upstream\//, "");
  expect({ ...done, stderr: words, dmesg: (await log(session)).slice(before) }, name).toMatchObject({ exit: rc, stdout, stderr, dmesg });
}

test("inserted, inserted again, removed, inserted elsewhere, on a port out of range, on one that is taken", async () => {
  const session = await newSession(server.url);
  // The recorded kernel was tainted already.
  await session.insmod("simrupt");
  await same(session, "ins");
  await same(session, "ins-twice");
  await same(session, "rm");
  await same(session, "ins-port");
  await same(session, "rm2");
  await same(session, "port80k");
  const holder = await session.process();
  const sockfd = await holder.must("socket", { domain: "AF_INET", type: "SOCK_STREAM", protocol: 0 });
  await holder.must("bind", { sockfd, addr: { sin_family: "AF_INET", sin_port: 12345, sin_addr: "0.0.0.0" } });
  await holder.must("listen", { sockfd, backlog: 1 });
  await same(session, "addrinuse");
});

test("on another port it answers there and nowhere else", async () => {
  const session = await newSession(server.url, { clock: "real" });
  await run(session, recorded("ins-port").command.replace("kecho.ko", "/lib/modules/$(uname -r)/upstream/kecho.ko"));
  const { command, rc, stdout } = recorded("port");
  // The recording has both streams in one.
  const done = await run(session, `(${command}) 2>&1`);
  expect(done).toMatchObject({ exit: rc, stdout });
});

test("two words with a pause between them, and what the log, the module and its parameters say of it", async () => {
  const session = await newSession(server.url, { clock: "real" });
  await run(session, "insmod /lib/modules/$(uname -r)/upstream/kecho.ko");
  const { command, stdout } = recorded("session");
  // This dmesg is util-linux's under another name; the machine's other connections and processes are its own.
  const done = await run(session, command.replace("dmesg.ul", "dmesg").replace("/sbin/lsmod", "lsmod"));
  const its = unstamped(done.stdout).split("\n");
  const recording = unstamped(stdout).split("\n");
  const upTo = (lines: string[], mark: RegExp): string[] => lines.slice(0, lines.findIndex((line) => mark.test(line)));
  expect(upTo(its, /local_address/)).toEqual(upTo(recording, /local_address/));
  // The listener, and one connection that waits: of kecho's port and the client's.
  const rows = (lines: string[]): string[] => lines.flatMap((line) => /^ *\d+: (\S+ \S+ \S+) 0{8}:0{8} 0[03]:/.exec(line)?.[1] ?? [])
    .map((row) => row.replace(/0100007F:(?!3039)[0-9A-F]{4}/g, "0100007F:PORT"));
  expect(rows(its)).toEqual(expect.arrayContaining(rows(recording).slice(0, 2)));
  const from = (lines: string[]): string[] => lines.slice(lines.findIndex((line) => line.startsWith("Module "))).filter((line) => !/^ *\d+ |^kecho \d/.test(line));
  expect(from(its)).toEqual(from(recording));
  const lines = (all: string[], mark: RegExp): string[] => all.filter((line) => mark.test(line)).map((line) => line.replace(/\d+/, "N").replace(/0x\w+/, "AT").trim());
  expect(lines(its, /\[kecho\]$/)).toEqual(lines(recording, /\[kecho\]$/));
  expect(lines(its, /^kecho \d/).map((line) => line.replace(/ \(\w+\)$/, ""))).toEqual(lines(recording, /^kecho \d/).map((line) => line.replace(/ \(\w+\)$/, "")));
});
