/** What the server says of itself: health, metrics, its contract, its limits, the system calls it knows. */
import { z } from "zod";
import { unavailable } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute } from "../route.ts";
import { PageQuery, pageInMemory, pageSchema } from "../schemas.ts";
import { syscallCatalogue } from "../sessions/core.ts";

const tag = "Service";
const Ok = z.object({ status: z.string() });

export const getHealth = defineRoute({
  id: "getHealth", method: "get", path: "/healthz", tag, summary: "The process answers", access: "none",
  responses: { 200: Ok },
  handle: () => ({ status: 200, json: { status: "ok" } }),
});

export const getReady = defineRoute({
  id: "getReady", method: "get", path: "/readyz", tag, summary: "The database takes writes", access: "none",
  responses: { 200: Ok },
  problems: { 503: "It does not" },
  async handle(_context, { store }) {
    try {
      await store.probe();
    } catch (error) {
      throw unavailable(`The database takes no writes: ${(error as Error).message}`);
    }
    return { status: 200, json: { status: "ok" } };
  },
});

export const getMetrics = defineRoute({
  id: "getMetrics", method: "get", path: "/metrics", tag, summary: "Prometheus metrics", access: "none",
  responses: { 200: { description: "Prometheus text", text: "text/plain" } },
  handle: async (_context, { metrics }) => ({ status: 200, text: await metrics.registry.metrics() }),
});

export const getOpenapiYaml = defineRoute({
  id: "getOpenapiYaml", method: "get", path: "/openapi.yaml", tag, summary: "This contract as YAML", access: "none",
  responses: { 200: { description: "OpenAPI 3.1", text: "application/yaml" } },
  handle: (_context, { openapi }) => ({ status: 200, text: openapi.yaml, contentType: "application/yaml" }),
});

export const getOpenapiJson = defineRoute({
  id: "getOpenapiJson", method: "get", path: "/openapi.json", tag, summary: "This contract as JSON", access: "none",
  responses: { 200: { description: "OpenAPI 3.1", json: z.looseObject({}) } },
  handle: (_context, { openapi }) => ({ status: 200, serialized: openapi.json }),
});

export const getLimits = defineRoute({
  id: "getLimits", method: "get", path: "/v1/limits", tag, summary: "Every limit of the service", access: "none",
  responses: { 200: z.looseObject({}).meta({ id: "Limits" }) },
  handle: () => ({ status: 200, json: LIMITS }),
});

const Argument = z.object({
  name: z.string(), kind: z.string(), optional: z.boolean(), names: z.array(z.string()).optional(),
  struct: z.object({ name: z.string(), fields: z.unknown() }).optional(), sizedBy: z.string().optional(), output: z.string().optional(),
});
const Syscall = z.object({
  name: z.string(), number: z.number().int(), args: z.array(Argument), returns: z.enum(["integer", "address"]), partial: z.string().optional(),
}).meta({ id: "Syscall" });

export const getSyscalls = defineRoute({
  id: "listSyscalls", method: "get", path: "/v1/syscalls", tag, access: "none",
  summary: "The system calls: numbers, names, arguments, what is partial",
  description: "All of them, or a page where `limit` or `cursor` is given.",
  query: PageQuery,
  responses: { 200: pageSchema(Syscall, "SyscallPage") },
  handle({ query }) {
    const items = syscallCatalogue();
    return { status: 200, json: query.limit === undefined && query.cursor === undefined ? { items, nextCursor: null } : pageInMemory(items, query) };
  },
});

export const serviceRoutes = [getHealth, getReady, getMetrics, getOpenapiYaml, getOpenapiJson, getLimits, getSyscalls];
