/** Commands: a tool or a script as processes of the kernel, with what they print; and terminals. */
import { z } from "zod";
import { errnoProblem, forbidden } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute } from "../route.ts";
import { SLEEPING, SessionParams } from "../schemas.ts";
import type { Json } from "../sessions/core.ts";
import { ensureHome, homeIn } from "../sessions/lifecycle.ts";
import { ttyRoutes } from "./ttys.ts";

const tag = "Commands";

const BytesIn = z.union([
  z.string(), z.strictObject({ base64: z.base64() }), z.strictObject({ hex: z.hex() }),
]).meta({ id: "CommandInput", description: "A string is its UTF-8 bytes" });

const { commands } = LIMITS;
const fits = (text: string): boolean => Buffer.byteLength(text) <= commands.textBytes;

const Command = z.strictObject({
  argv: z.array(z.string().regex(/^[^\0]*$/, "has no NUL")).min(1).max(commands.words).optional()
    .meta({ description: "A program of /bin or /sbin, found along PATH, and its arguments" }),
  script: z.string().regex(/^[^\0]*$/, "has no NUL").optional().meta({ description: "What `sh -c` runs" }),
  uid: z.number().int().min(0).max(0xffff_fffe).optional(),
  stdin: BytesIn.optional().meta({ description: "/dev/null when left out" }),
  tty: z.boolean().optional().meta({ description: "On a terminal of its own: answers at once, 201" }),
}).refine(({ argv, script }) => (argv === undefined) !== (script === undefined), "takes argv or script")
  .refine(({ argv = [], script = "" }) => fits(script) && fits(argv.join(" ")), `has at most ${commands.textBytes} bytes`)
  .meta({ id: "Command", examples: [{ argv: ["insmod", "simrupt.ko"] }, { script: "dmesg | tail -3; cat /proc/modules" }] });

const Finished = z.object({
  exit: z.number().int().meta({ description: "127: not found, 126: not to be executed, 128 + n: ended by signal n" }),
  stdout: z.string().meta({ description: "The bytes as UTF-8; what is none is U+FFFD" }),
  stderr: z.string(),
  stdoutBytes: z.string().optional().meta({ description: "base64, where stdout is not UTF-8" }),
  stderrBytes: z.string().optional(),
}).meta({ id: "FinishedCommand" });

const Started = z.object({ pid: z.number().int(), tty: z.number().int() }).meta({ id: "CommandOnTerminal" });

function base64Of(input: z.output<typeof BytesIn>): string {
  if (typeof input === "string") return Buffer.from(input).toString("base64");
  return "base64" in input ? input.base64 : Buffer.from(input.hex, "hex").toString("base64");
}

const DEFAULT_SIZE = { rows: 24, columns: 80 };
const SIGNALS: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 };

export const runCommand = defineRoute({
  id: "runCommand", method: "post", path: "/v1/sessions/{sid}/commands", tag, access: "commands", holds: LIMITS.wait.default,
  summary: "Run a small tool or a script",
  description: "It runs as processes of the kernel, by real system calls, as the member's uid. Each stream is kept up to a limit; then its pipe is closed, "
    + "and who goes on writing gets SIGPIPE. DELETE of its call kills its processes.",
  params: SessionParams,
  body: Command,
  responses: {
    200: { description: "It has ended", json: Finished },
    201: { description: "It runs on a terminal", json: Started, headers: { Location: "The terminal" } },
    202: SLEEPING,
  },
  handle({ params, body, caller, request }, { sessions }) {
    if (caller.role === "student" && body.uid !== undefined && body.uid !== caller.uid) {
      throw forbidden(`A student's commands run as its own uid, ${caller.uid}.`);
    }
    const uid = body.uid ?? caller.uid;
    const { argv, script, stdin } = body;
    if (body.tty === true) return sessions.actAtOnce(params.sid, {
      request,
      input(live, session) {
        ensureHome(sessions, session, live, caller);
        const command: Json = argv === undefined ? { script: script ?? "" } : { argv };
        return { type: "openTty", command, uid, member: caller.memberId, home: homeIn(live.kernel, uid), ...DEFAULT_SIZE };
      },
      reply({ output }) {
        const { pid = 0, tty = 0 } = output ?? {};
        return { status: 201 as const, json: { pid, tty }, headers: { Location: `/v1/sessions/${params.sid}/ttys/${tty}` } };
      },
    });
    return sessions.act(params.sid, {
      request,
      input(live, session) {
        ensureHome(sessions, session, live, caller);
        const home = homeIn(live.kernel, uid);
        return {
          type: "program", callId: sessions.newCallId(), program: "command", uid, member: caller.memberId, home,
          args: { uid, home, ...(argv === undefined ? { script: script ?? "" } : { argv }), ...(stdin === undefined ? {} : { stdin: base64Of(stdin) }) },
        };
      },
      reply({ answer }) {
        if (answer?.state === "ended") return { status: 200 as const, json: { exit: answer.exited ?? 128 + (SIGNALS[answer.signaled ?? ""] ?? 0), stdout: "", stderr: "" } };
        if (answer?.state !== "program") throw errnoProblem(4, "The command was killed before it was done.");
        // It could not even be started: no pipes, no process.
        if (answer.ret < 0) throw errnoProblem(-answer.ret);
        const { exit = 0, stdout, stderr, stdoutBytes, stderrBytes } = answer;
        return {
          status: 200 as const,
          json: { exit, stdout, stderr, ...(stdoutBytes === undefined ? {} : { stdoutBytes }), ...(stderrBytes === undefined ? {} : { stderrBytes }) },
        };
      },
    });
  },
});

export const commandRoutes = [runCommand, ...ttyRoutes];
