/** Commands and terminals: of a later release; their paths are told so. */
import { notImplemented } from "../errors.ts";
import { defineRoute } from "../route.ts";
import { Count, SessionParams } from "../schemas.ts";

const tag = "Commands";
const LATER = "Commands and terminals come with a later release; processes, system calls, modules and files do what they would.";
const TtyParams = SessionParams.extend({ n: Count(4_095) });
const responses = { 501: { description: "Not in this release" } };
const later = () => {
  throw notImplemented(LATER);
};

export const commandRoutes = [
  defineRoute({
    id: "runCommand", method: "post", path: "/v1/sessions/{sid}/commands", tag, access: "commands", summary: "Run a small tool (later)",
    params: SessionParams, responses, handle: later,
  }),
  ...(["get", "post", "patch"] as const).map((method) => defineRoute({
    id: `${method}Tty`, method, path: "/v1/sessions/{sid}/ttys/{n}", tag, access: method === "get" ? "events.read" : "commands",
    summary: "A terminal (later)", params: TtyParams, responses, handle: later,
  })),
];
