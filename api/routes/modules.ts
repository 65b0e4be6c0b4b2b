/** Modules: what can be inserted, insmod, lsmod, rmmod, parameters. */
import { z } from "zod";
import type { Caller } from "../auth.ts";
import { Problem, errnoProblem, notFound } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute, type RequestInfo } from "../route.ts";
import { Insmod, ModuleName, PageQuery, ParamValue, SLEEPING, SessionParams, Variant, pageInMemory, pageSchema } from "../schemas.ts";
import type { Services } from "../services.ts";
import { errnoMessage, lsmod, modinfo, moduleCatalogue, moduleList, moduleView, type CallAnswer, type Json } from "../sessions/core.ts";
import { runProgram } from "../sessions/programs.ts";

const tag = "Modules";
const path = "/v1/sessions/{sid}/modules";
const ModuleParams = SessionParams.extend({ name: ModuleName });

const CatalogueEntry = z.object({
  name: z.string(), license: z.string(), version: z.string(), description: z.string(), authors: z.array(z.string()), depends: z.array(z.string()),
  params: z.array(z.object({ name: z.string(), type: z.string(), description: z.string(), perm: z.string(), default: z.unknown() })),
  exports: z.array(z.string()),
  variants: z.array(z.object({ variant: Variant, defects: z.array(z.string()) })),
}).meta({ id: "ModuleDefinition" });

const Module = z.object({
  name: z.string(),
  variant: Variant,
  defects: z.array(z.string()).meta({ description: "The active defects of this build" }),
  state: z.enum(["coming", "live", "going"]),
  size: z.number().int(),
  refcount: z.number().int(),
  usedBy: z.array(z.string()),
  params: z.record(z.string(), z.unknown()),
}).meta({ id: "Module" });

type ProgramEnd = Extract<CallAnswer, { state: "program" }>;

/** A module tool's failure, with what it printed, or of what it is where it printed nothing. Only a missing module is 404, a missing symbol is not. */
export function moduleProblem({ ret, value, stderr }: ProgramEnd, said?: string): Problem {
  const symbols = typeof value === "object" && value !== null && !Array.isArray(value) && value["symbols"] === true;
  return errnoProblem(-ret, stderr.trim() === "" ? (said && `${said}: ${errnoMessage(-ret)}`) : stderr.trim(), {
    EAGAIN: [409, "busy"], ...(symbols ? { ENOENT: [422, "invalid"] as const } : {}),
  });
}

/** Runs a module tool as the caller; `done` makes the answer of one that succeeded. */
function tool<R extends { status: number }>(
  { sessions }: Services, sid: string, caller: Caller, request: RequestInfo, program: string, args: Json, name: string,
  done: (module: z.output<typeof Module> | null) => R,
) {
  return runProgram(sessions, sid, caller, request, program, args, (end, live) => {
    if (end.ret < 0) throw moduleProblem(end, program === "setParameters" ? `/sys/module/${name}/parameters` : undefined);
    return done(moduleView(live.kernel, name));
  });
}

export const listCatalogue = defineRoute({
  id: "listModuleDefinitions", method: "get", path: "/v1/modules", tag, access: "none", summary: "The modules that can be inserted",
  query: PageQuery,
  responses: { 200: pageSchema(CatalogueEntry, "ModuleDefinitionPage") },
  handle: ({ query }) => ({ status: 200, json: pageInMemory(moduleCatalogue(), query) }),
});

export const getDefinition = defineRoute({
  id: "getModuleDefinition", method: "get", path: "/v1/modules/{name}", tag, access: "none",
  summary: "What modinfo tells of a module; as text/plain modinfo's own words",
  params: z.object({ name: ModuleName }),
  query: z.object({ variant: Variant.default("corrected") }),
  responses: { 200: { description: "The module", json: CatalogueEntry, text: "text/plain" } },
  handle({ params, query, request }) {
    const name = params.name.replaceAll("-", "_");
    const text = modinfo(name, query.variant);
    const entry = moduleCatalogue().find((module) => module.name === name);
    if (entry === undefined || text === null) throw notFound(`modinfo: ERROR: Module ${params.name} not found.`);
    if (request.prefers(["application/json", "text/plain"]) === "text/plain") return { status: 200, text };
    return { status: 200, json: entry };
  },
});

export const postModule = defineRoute({
  id: "insmod", method: "post", path, tag, access: "modules.change", holds: LIMITS.wait.default, summary: "insmod",
  params: SessionParams,
  body: Insmod,
  responses: { 201: { description: "It is loaded", json: Module, headers: { Location: "The module" } }, 202: SLEEPING },
  handle({ params, body, caller, request }, services) {
    const { name, variant = "corrected", params: values } = body;
    const args: Json = { name, variant, ...(values === undefined ? {} : { params: values }) };
    return tool(services, params.sid, caller, request, "insmod", args, name, (module) => {
      if (module === null) throw notFound(`Module ${name} was removed at once.`);
      return { status: 201 as const, json: module, headers: { Location: `/v1/sessions/${params.sid}/modules/${module.name}` } };
    });
  },
});

export const listModules = defineRoute({
  id: "lsmod", method: "get", path, tag, access: "modules.read", summary: "The loaded modules, the newest first; as text/plain as lsmod prints",
  params: SessionParams, query: PageQuery,
  responses: { 200: { description: "The modules", json: pageSchema(Module, "ModulePage"), text: "text/plain" } },
  handle: ({ params, query, request }, { sessions }) => sessions.look(params.sid, (kernel) =>
    request.prefers(["application/json", "text/plain"]) === "text/plain"
      ? { status: 200 as const, text: lsmod(kernel) }
      : { status: 200 as const, json: pageInMemory(moduleList(kernel), query) }),
});

export const getModule = defineRoute({
  id: "getModule", method: "get", path: `${path}/{name}`, tag, access: "modules.read", summary: "One loaded module, its variant and active defects",
  params: ModuleParams,
  responses: { 200: Module },
  handle: ({ params }, { sessions }) => sessions.look(params.sid, (kernel) => {
    const json = moduleView(kernel, params.name);
    if (json === null) throw notFound(`Module ${params.name} is not loaded.`);
    return { status: 200 as const, json };
  }),
});

export const deleteModule = defineRoute({
  id: "rmmod", method: "delete", path: `${path}/{name}`, tag, access: "modules.change", holds: LIMITS.wait.default, summary: "rmmod",
  params: ModuleParams,
  responses: { 204: { description: "It is removed" }, 202: SLEEPING },
  problems: { 409: "It is in use" },
  handle: ({ params, caller, request }, services) =>
    tool(services, params.sid, caller, request, "rmmod", { name: params.name }, params.name, () => ({ status: 204 as const })),
});

export const patchParameters = defineRoute({
  id: "setModuleParameters", method: "patch", path: `${path}/{name}/parameters`, tag, access: "modules.change", holds: LIMITS.wait.default,
  summary: "Write a loaded module's parameters, as into /sys/module",
  params: ModuleParams,
  body: z.record(z.string().min(1).max(64), ParamValue).meta({ id: "ModuleParameters" }),
  responses: { 200: Module, 202: SLEEPING },
  handle: ({ params, body, caller, request }, services) =>
    tool(services, params.sid, caller, request, "setParameters", { module: params.name.replaceAll("-", "_"), parameters: body }, params.name, (module) => {
      if (module === null) throw notFound(`Module ${params.name} is not loaded.`);
      return { status: 200 as const, json: module };
    }),
});

export const moduleRoutes = [listCatalogue, getDefinition, postModule, listModules, getModule, deleteModule, patchParameters];
