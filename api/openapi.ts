/** The contract as OpenAPI 3.1, made from the route objects; every known system call is a path of its own. */
import { stringify } from "yaml";
import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject, type ZodOpenApiResponseObject } from "zod-openapi";
import { RIGHTS, type Right } from "./auth.ts";
import { isRawBody, type ResponseSpec, type Route } from "./route.ts";
import { routes as allRoutes } from "./routes/index.ts";
import { Call } from "./routes/syscalls.ts";
import { Bytes, Problem } from "./schemas.ts";
import { CORE_VERSION } from "./sessions/core.ts";
import { syscallComponents, syscallPaths } from "./openapi_syscalls.ts";

const problem = (description: string, id?: string): ZodOpenApiResponseObject => ({
  description, content: { "application/problem+json": { schema: Problem } }, ...(id === undefined ? {} : { id }),
});
const REFUSED = problem("The request is refused: unauthenticated (401), forbidden (403), not found (404), conflicting (409), too large (413, 414), "
  + "of an unsupported type (415), misdirected (421), invalid (400, 422), or over a limit (429)", "Refused");
const FAILED = problem("The service failed (500), has it not (501), cannot keep it now (503), or is full (507)", "Failed");

const IdempotencyKey = z.string().min(1).max(255).optional().meta({
  description: "The same key and body give the same answer again and act once, for 24 hours", param: { id: "IdempotencyKey", in: "header", name: "Idempotency-Key" },
});
const Prefer = z.string().optional().meta({
  description: "`wait=<seconds>`: how long the request may be held, 0 to 240", examples: ["wait=5"], param: { id: "Prefer", in: "header", name: "Prefer" },
});
const LastEventId = z.string().optional().meta({
  description: "The id of the last event that was seen", param: { id: "LastEventId", in: "header", name: "Last-Event-ID" },
});

const TAGS: Record<string, string> = {
  "Service": "What the server says of itself",
  "Sessions": "Each holds one emulated kernel",
  "Members": "Who may use a session, and as which uid",
  "Clock": "Kernel time",
  "Snapshots": "Named states of a session's whole kernel",
  "Processes": "Processes that callers drive, and all the others",
  "Signals": "kill(2)",
  "System calls": "One call, many in one trip, and calls that sleep",
  "Memory": "A process's memory from outside",
  "Modules": "Loadable kernel modules",
  "Files": "Files and views of the kernel",
  "Kernel log": "dmesg, the trace of calls, events",
  "Commands": "Of a later release",
  "Benchmarks": "Measurements on fresh kernels",
};

function specOf(response: z.ZodType | ResponseSpec): ResponseSpec {
  return response instanceof z.ZodType ? { description: "Done", json: response } : response;
}

function responseOf(spec: ResponseSpec): ZodOpenApiResponseObject {
  const { description, json, text, bytes, events, headers } = spec;
  const content: ZodOpenApiResponseObject["content"] = {
    ...(json === undefined ? {} : { "application/json": { schema: json } }),
    ...(text === undefined ? {} : { [text]: { schema: { type: "string" } } }),
    ...(bytes === undefined ? {} : { "application/octet-stream": { schema: { type: "string", format: "binary" } } }),
    ...(events === undefined ? {} : { "text/event-stream": { schema: { type: "string" } } }),
  };
  return {
    description,
    ...(Object.keys(content).length === 0 ? {} : { content }),
    ...(headers === undefined ? {} : {
      headers: Object.fromEntries(Object.entries(headers).map(([name, told]) => [name, { description: told, schema: { type: "string" } }])),
    }),
  };
}

function securityOf(route: Route): Pick<ZodOpenApiOperationObject, "security"> {
  if (route.access === "none") return { security: [] };
  return route.access === "admin" || route.access === "teacher" ? { security: [{}, { bearer: [] }] } : { security: [{ bearer: [] }] };
}

function accessSentence(route: Route): string {
  switch (route.access) {
    case "none": return "";
    case "admin": return "Needs the administrator's token where the server has one.";
    case "teacher": return "Needs the administrator's token, or any owner's or assistant's; none on an open loopback server.";
    default: return `Roles: ${RIGHTS[route.access as Right].join(", ")}.`;
  }
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const responses: ZodOpenApiOperationObject["responses"] = {};
  let streams = false;
  for (const [status, response] of Object.entries(route.responses)) {
    const spec = specOf(response as z.ZodType | ResponseSpec);
    streams ||= spec.events === true;
    responses[status as "200"] = Number(status) >= 400 ? problem(spec.description) : responseOf(spec);
  }
  for (const [status, when] of Object.entries(route.problems ?? {})) responses[status as "409"] = problem(when);
  const headers = [
    ...(route.method === "post" ? [IdempotencyKey] : []), ...(route.holds === undefined ? [] : [Prefer]), ...(streams ? [LastEventId] : []),
  ];
  return {
    operationId: route.id, tags: [route.tag], summary: route.summary,
    description: [route.description, accessSentence(route)].filter((text) => text !== undefined && text !== "").join("\n\n"),
    ...securityOf(route),
    ...(route.params === undefined && route.query === undefined ? {} : {
      requestParams: { ...(route.params === undefined ? {} : { path: route.params }), ...(route.query === undefined ? {} : { query: route.query }) },
    }),
    ...(headers.length === 0 ? {} : { parameters: headers }),
    ...requestBodyOf(route),
    responses: { ...responses, "4XX": REFUSED, "5XX": FAILED },
  };
}

function requestBodyOf(route: Route): Pick<ZodOpenApiOperationObject, "requestBody"> {
  if (route.body === undefined) return {};
  if (isRawBody(route.body)) {
    return {
      requestBody: { description: route.body.description, content: { "application/octet-stream": { schema: { type: "string", format: "binary" } } } },
    };
  }
  // An empty body is an empty object: it is needed only where that does not do.
  const required = !route.body.safeParse({}).success;
  return { requestBody: { required, content: { "application/json": { schema: route.body } } } };
}

/** The whole document, as plain data. */
export function openapiDocument(routes: Route[] = allRoutes): Record<string, unknown> {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    const path = route.path.replace(/\*$/, "");
    paths[path] = { ...paths[path], [route.method]: operationOf(route) };
  }
  const tags = [...new Set(routes.map((route) => route.tag))].map((name) => ({ name, description: TAGS[name] ?? name }));
  const document = createDocument({
    openapi: "3.1.0",
    info: {
      title: "syslab", version: CORE_VERSION, license: { name: "MIT", identifier: "MIT" },
      description: "Small emulated Linux kernels for operating-system labs. A failed system call is not a failed request: it answers 200 with `ret: -1` and its errno.",
    },
    servers: [{ url: "/" }],
    tags,
    components: {
      schemas: { Call, Bytes },
      securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "A member's token, or the administrator's" } },
    },
    paths,
  }) as unknown as { paths: Record<string, unknown>; components: { schemas: Record<string, unknown> } };
  Object.assign(document.components.schemas, syscallComponents());
  Object.assign(document.paths, syscallPaths());
  return document as unknown as Record<string, unknown>;
}

export function openapiYaml(document = openapiDocument()): string {
  const heading = "# Generated from the route objects by `npm run openapi`; change those.\n";
  return heading + stringify(document, { lineWidth: 120, aliasDuplicateObjects: false });
}

/** The document's texts, made when they are first asked for. */
export function describeApi(): { readonly yaml: string; readonly json: string } {
  let yaml: string | undefined;
  let json: string | undefined;
  return {
    get yaml() { return (yaml ??= openapiYaml()); },
    get json() { return (json ??= JSON.stringify(openapiDocument())); },
  };
}
