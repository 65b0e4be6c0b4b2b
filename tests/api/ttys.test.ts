/** A terminal as an event stream: what is printed, its end, and that a number given again is another terminal. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Follower } from "../helpers/events.ts";
import { TestService, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let followers: Follower[] = [];
beforeEach(async () => {
  service = await TestService.start();
  session = await service.session();
});
afterEach(async () => {
  for (const follower of followers) follower.close();
  followers = [];
  await service.stop();
});

async function terminal(as: TestSession, script: string): Promise<number> {
  const { status, body } = await as.ask("post", "/commands", { json: { script, tty: true } });
  expect(status).toBe(201);
  return body.tty as number;
}

async function follow(tty: number, as: TestSession, headers: Record<string, string> = {}): Promise<Follower> {
  const follower = new Follower(`${service.url}${as.path}/ttys/${tty}`, as.token, headers);
  followers.push(follower);
  await follower.begun();
  return follower;
}

const type = (as: TestSession, tty: number, text: string) => as.ask("post", `/ttys/${tty}`, { raw: text, type: "application/octet-stream" });

function printed({ events }: Follower): string {
  return Buffer.concat(events.filter(({ event }) => event === "output").map(({ data }) => Buffer.from(data.base64 as string, "base64"))).toString();
}

test("a stream has what is on the screen, then what comes, and ends with the last program", async () => {
  const tty = await terminal(session, "echo first; read x; printf '\\377'; read x; echo last");
  const stream = await follow(tty, session);
  await stream.until((events) => events.length >= 1);
  expect(stream.events[0]).toMatchObject({ event: "output", data: { text: "first\r\n", base64: Buffer.from("first\r\n").toString("base64") } });
  await type(session, tty, "a\n");
  await stream.until((events) => events.some(({ data }) => typeof data.base64 === "string" && data.text === undefined));
  await type(session, tty, "b\n");
  await stream.until(() => false);
  expect(stream.ended).toBe(true);
  expect(Buffer.from(printed(stream), "utf8").toString()).toMatch(/^first\r\na\r\n\ufffdb\r\nlast\r\n$/);
  expect(stream.events.at(-1)).toMatchObject({ event: "ended", data: {} });
  expect(new Set(stream.events.map(({ id }) => id)).size).toBeGreaterThan(2);
  expect((await follow(tty, session)).status).toBe(404);
});

test("Last-Event-ID goes on where a stream broke", async () => {
  const tty = await terminal(session, "cat");
  const first = await follow(tty, session);
  await type(session, tty, "one\n");
  await first.until(() => printed(first).includes("one\r\none"));
  first.close();
  await type(session, tty, "two\n");
  const resumed = await follow(tty, session, { "Last-Event-ID": first.events.at(-1)!.id });
  await resumed.until((events) => events.length >= 1);
  expect(printed(resumed)).toBe("two\r\ntwo\r\n");
});

test("who followed a terminal sees nothing of the one that gets its number, and does not type on it", async () => {
  const [one, other] = [await session.member("student"), await session.member("student")];
  const tty = await terminal(one, "read x; echo mine");
  const stream = await follow(tty, one);
  await type(one, tty, "\n");
  expect(await terminal(other, "echo secret; cat")).toBe(tty);
  await stream.until(() => false);
  expect(printed(stream)).not.toContain("secret");
  expect((await type(one, tty, "x\n")).status).toBe(403);
  expect((await one.ask("patch", `/ttys/${tty}`, { json: { rows: 9, cols: 9 } })).status).toBe(403);
  const again = await follow(tty, other, { "Last-Event-ID": stream.events.at(-1)!.id });
  await again.until((events) => events.length >= 2);
  expect(again.events[0]!.event).toBe("gap");
  expect(printed(again)).toBe("secret\r\n");
});

test("a terminal is its member's as long as anything is on it, whoever began it", async () => {
  const student = await session.member("student");
  const tty = await terminal(student, "sleep 500 & true");
  await session.ask("post", "/clock/advance", { json: { ms: 1_000 } });
  expect((await student.ask("get", `/ttys/${tty}`)).status).toBe(200);
});

test("typing that nobody reads takes no more than a line's room", async () => {
  const tty = await terminal(session, "stty 2>/dev/null; sleep 1000");
  for (const text of ["\n".repeat(60_000), "\x04".repeat(60_000), "x".repeat(60_000)]) expect((await type(session, tty, text)).status).toBe(204);
  const { live } = await service.service.services.sessions.find(session.id);
  const pty = live!.kernel.state.drivers.ptys.get(tty)!;
  expect(pty.input.length + pty.edited.length).toBeLessThanOrEqual(4_096);
  expect(pty.lines.length).toBeLessThanOrEqual(4_097);
});

test("a master that writes and does not read is not echoed without end", async () => {
  const { body } = await session.ask("post", "/commands", { json: { script: "exec 3<>/dev/ptmx; i=0; while [ $i -lt 40 ]; do printf '%01000d' 0 >&3; i=$((i+1)); done; echo done" } });
  expect(body).toMatchObject({ stdout: "done\n" });
  const tty = "exec 3<>/dev/ptmx; i=0; while [ $i -lt 40 ]; do printf '%01000d' 0 >&3; i=$((i+1)); done; sleep 1000";
  await session.ask("post", "/commands", { json: { script: tty }, headers: { Prefer: "wait=0" } });
  const { live } = await service.service.services.sessions.find(session.id);
  const [pty] = [...live!.kernel.state.drivers.ptys.values()];
  expect(pty!.output.length).toBeGreaterThan(1_000);
  expect(pty!.output.length).toBeLessThan(3 * 4_096);
});
