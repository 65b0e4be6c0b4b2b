/** Processes: making one to drive, ps, killing, signals. */
import { z } from "zod";
import { forbidden, invalid } from "../errors.ts";
import { defineRoute } from "../route.ts";
import { Ns, PageQuery, ProcessParams, SessionParams, pageInMemory, pageSchema } from "../schemas.ts";
import { processList, processView, signalNumber } from "../sessions/core.ts";
import { ensureHome, homeIn } from "../sessions/lifecycle.ts";
import { drives, noProcess, requireOwn } from "./process_access.ts";

const tag = "Processes";
const path = "/v1/sessions/{sid}/processes";

const Process = z.object({
  pid: z.number().int(),
  ppid: z.number().int(),
  uid: z.number().int(),
  comm: z.string(),
  state: z.string().meta({ description: "As ps shows it: R, S, D, T, Z, I" }),
  member: z.string().meta({ description: "Who made it; empty for the kernel's own" }),
  kind: z.enum(["driven", "program", "kthread"]),
  threads: z.array(z.number().int()),
  call: z.object({ callId: z.string(), call: z.string(), args: z.string(), wchan: z.string(), sinceNs: Ns }).nullable()
    .meta({ description: "The call under way" }),
  signals: z.record(z.string(), z.number().int()).meta({ description: "Deliveries to counted handlers" }),
}).meta({ id: "Process" });

export const createProcess = defineRoute({
  id: "createProcess", method: "post", path, tag, access: "processes.create", summary: "Make a process that the caller drives",
  description: "It has its own address space, fds 0–2 on /dev/null, umask 022 and the member's home as working directory.",
  params: SessionParams,
  body: z.strictObject({
    comm: z.string().min(1).max(15).regex(/^[^/\0]+$/, "is a name without slashes").default("sh"),
    uid: z.number().int().min(0).max(0xffff_fffe).optional(),
    parent: z.number().int().min(1).max(4_194_304).optional().meta({ description: "init when left out" }),
  }),
  responses: { 201: { description: "It waits for calls", json: Process, headers: { Location: "The process" } } },
  handle({ params, body, caller, request }, { sessions }) {
    if (caller.role === "student" && body.uid !== undefined && body.uid !== caller.uid) {
      throw forbidden(`A student's processes run as its own uid, ${caller.uid}.`);
    }
    const uid = body.uid ?? caller.uid;
    const { parent, comm } = body;
    return sessions.actAtOnce(params.sid, {
      request,
      input(live, session) {
        if (parent !== undefined) requireOwn(live.kernel, caller, parent);
        ensureHome(sessions, session, live, caller);
        const home = homeIn(live.kernel, uid);
        return { type: "createProcess", comm, uid, member: caller.memberId, home, ...(parent === undefined ? {} : { parent }) };
      },
      reply({ output, live }) {
        const pid = output?.pid ?? 0;
        const json = processView(live.kernel, pid);
        if (json === null) throw noProcess(pid);
        return { status: 201 as const, json, headers: { Location: `/v1/sessions/${params.sid}/processes/${pid}` } };
      },
    });
  },
});

export const listProcesses = defineRoute({
  id: "listProcesses", method: "get", path, tag, access: "processes.read", summary: "ps: every process, kernel threads and zombies included",
  params: SessionParams, query: PageQuery,
  responses: { 200: pageSchema(Process, "ProcessPage") },
  handle: ({ params, query }, { sessions }) =>
    sessions.look(params.sid, (kernel) => ({ status: 200 as const, json: pageInMemory(processList(kernel), query) })),
});

export const getProcess = defineRoute({
  id: "getProcess", method: "get", path: `${path}/{pid}`, tag, access: "processes.read", summary: "One process, and the call it is in",
  params: ProcessParams,
  responses: { 200: Process },
  handle: ({ params }, { sessions }) => sessions.look(params.sid, (kernel) => {
    const json = processView(kernel, params.pid);
    if (json === null) throw noProcess(params.pid);
    return { status: 200 as const, json };
  }),
});

export const deleteProcess = defineRoute({
  id: "deleteProcess", method: "delete", path: `${path}/{pid}`, tag, access: "processes.drive",
  summary: "SIGKILL; a process made by POST is then reaped, a child stays a zombie for its parent",
  params: ProcessParams, check: drives,
  responses: { 204: { description: "It is killed" } },
  handle: ({ params, request }, { sessions }) => sessions.actAtOnce(params.sid, {
    request, input: () => ({ type: "killProcess", pid: params.pid }), reply: () => ({ status: 204 as const }),
  }),
});

const Signal = z.union([z.string().max(20), z.number().int().min(0).max(64)]).meta({ examples: ["SIGINT", 2] });

export const postSignal = defineRoute({
  id: "sendSignal", method: "post", path: `${path}/{pid}/signals`, tag: "Signals", access: "signals.send",
  summary: "kill(2) as the caller's uid",
  params: ProcessParams,
  body: z.strictObject({ signal: Signal }),
  responses: { 204: { description: "It is sent" } },
  handle({ params, body, caller, request }, { sessions }) {
    const signal = typeof body.signal === "number" ? body.signal : signalNumber(body.signal);
    if (signal === undefined) throw invalid(`There is no signal ${String(body.signal)}.`, [{ path: "/signal", message: "is no signal" }]);
    return sessions.actAtOnce(params.sid, {
      request, input: () => ({ type: "signal", pid: params.pid, signal, uid: caller.uid }), reply: () => ({ status: 204 as const }),
    });
  },
});

export const processRoutes = [createProcess, listProcesses, getProcess, deleteProcess, postSignal];
