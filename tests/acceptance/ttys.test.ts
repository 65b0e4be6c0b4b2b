/** A shell on a terminal, over HTTP: typing, what is shown, signals, jobs, size. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSession, refusal, type Session } from "./client.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
beforeAll(async () => void (server = await startServer()));
afterAll(() => server.end());

/** A terminal with an interactive shell. */
async function terminal(session: Session, command: object = { argv: ["sh"] }) {
  const reply = await session.ask("POST", "/commands", { json: { ...command, tty: true } });
  expect(reply.status).toBe(201);
  const { tty, pid } = JSON.parse(reply.text) as { tty: number; pid: number };
  return {
    tty, pid,
    type: async (text: string): Promise<void> => {
      expect((await session.ask("POST", `/ttys/${tty}`, { bytes: Buffer.from(text) })).status).toBe(204);
      await session.ask("POST", "/clock/advance", { json: { ms: 20 } });
    },
    screen: async (): Promise<string> => (await session.ask("GET", `/ttys/${tty}`)).text,
  };
}

test("a shell prompts, echoes, edits its line and ends at ^D", async () => {
  const session = await newSession(server.url);
  const { type, screen, tty } = await terminal(session);
  expect(await screen()).toBe("# ");
  await type("echo hi\n");
  expect(await screen()).toBe("# echo hi\r\nhi\r\n# ");
  await type("echo wrng\x7f\x7fong; tty=$(ls /dev/pts); echo $tty\n");
  expect(await screen()).toMatch(/\r\nwrong\r\n0\r\n# $/);
  await type("if true\n");
  await type("then echo two lines; fi\n");
  expect(await screen()).toMatch(/> then echo two lines; fi\r\ntwo lines\r\n# $/);
  await type("\x04");
  expect((await refusal(session.ask("GET", `/ttys/${tty}`))).status).toBe(404);
});

test("^C ends the foreground, ^Z stops it, fg and bg go on with it", async () => {
  const session = await newSession(server.url);
  const { type, screen, pid } = await terminal(session);
  await type("sleep 100\n");
  await type("\x03");
  await type("echo $?\n");
  expect(await screen()).toMatch(/\^C\r\n# echo \$\?\r\n130\r\n# $/);
  await type("cat\n");
  await type("line\n");
  expect(await screen()).toMatch(/cat\r\nline\r\nline\r\n$/);
  await type("\x1a");
  await type("jobs\n");
  expect(await screen()).toMatch(/jobs\r\n\[1\]\+ {2}Stopped +cat\r\n# $/);
  await type("fg\n");
  await type("more\n");
  expect(await screen()).toMatch(/fg\r\ncat\r\nmore\r\nmore\r\n$/);
  await type("\x04");
  expect(await screen()).toMatch(/# $/);
  expect((await session.json<{ comm: string; state: string }>("GET", `/processes/${pid}`))).toMatchObject({ comm: "sh", state: "S" });
});

test("the size is told and changes; another member's terminal is not mine; there are no others", async () => {
  const session = await newSession(server.url);
  const { tty } = await terminal(session, { argv: ["cat"] });
  expect(await session.json("PATCH", `/ttys/${tty}`, { json: { rows: 50, cols: 132 } })).toMatchObject({ rows: 50, cols: 132 });
  expect((await refusal(session.ask("PATCH", `/ttys/${tty}`, { json: { rows: 0, cols: 80 } }))).status).toBe(422);
  expect((await refusal(session.ask("GET", "/ttys/7"))).status).toBe(404);
  expect((await session.json<{ stdout: string }>("POST", "/commands", { json: { script: "ls -l /dev/pts /dev/ptmx | cut -c1-10; cat /dev/tty" } })).stdout).toMatch(/crw--w----/);
});
