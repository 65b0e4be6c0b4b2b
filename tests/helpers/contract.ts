/** Holds answers to openapi.yaml: every response of a test must be one that the contract allows. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parse } from "yaml";

interface Validate {
  (value: unknown): boolean;
  errors?: unknown[] | null;
}
interface Ajv {
  addSchema(schema: unknown, key: string): Ajv;
  compile(schema: unknown): Validate;
}
interface MediaType { schema?: unknown }
interface ResponseObject { $ref?: string; content?: Record<string, MediaType> }
interface Contract {
  paths: Record<string, Record<string, { responses: Record<string, ResponseObject> }>>;
  components: { responses: Record<string, ResponseObject> };
}

/** A validator of JSON Schema 2020-12, which OpenAPI 3.1 speaks: the one that express-openapi-validator stands on. */
const require = createRequire(createRequire(import.meta.url).resolve("express-openapi-validator"));
const Ajv2020 = (require("ajv/dist/2020.js") as { default: new (options: object) => Ajv }).default;
const addFormats = (require("ajv-formats") as { default: (ajv: Ajv) => void }).default;

const contract = parse(readFileSync(new URL("../../openapi.yaml", import.meta.url), "utf8"), { maxAliasCount: -1 }) as Contract;
const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { binary: true, base64: true, hex: true } });
addFormats(ajv);
ajv.addSchema(contract, "contract");
const compiled = new Map<string, Validate>();

/** Templates by their segments; concrete ones win. */
const templates = Object.keys(contract.paths).map((path) => ({ path, segments: path.split("/") }));

function templateOf(path: string): string | undefined {
  if (contract.paths[path] !== undefined) return path;
  const segments = path.split("/");
  const fits = templates.filter((template) => {
    const wildcard = template.path.endsWith("/{path}");
    if (wildcard ? segments.length < template.segments.length - 1 : segments.length !== template.segments.length) return false;
    return template.segments.every((segment, at) => segment === segments[at] || (/^\{.*\}$/.test(segment) && (segments[at] ?? "") !== "")
      || (wildcard && at === template.segments.length - 1));
  });
  const literal = (template: { segments: string[] }) => template.segments.filter((segment) => !segment.startsWith("{")).length;
  return fits.sort((a, b) => literal(b) - literal(a))[0]?.path;
}

const pointer = (parts: string[]) => `contract#/${parts.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/")}`;

/** A schema of the contract, as far as a test looks into it. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
}

const checks = new Map<Schema, Validate>();

/** Whether a value is one that a schema of the contract allows. */
export function fits(schema: Schema, value: unknown): boolean {
  let check = checks.get(schema);
  if (check === undefined) {
    const within = JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"contract#/components/')) as Schema;
    check = ajv.compile(within);
    checks.set(schema, check);
  }
  return check(value);
}

/** What is wrong with an answer, in words; null when the contract allows it. */
export function contractBreach(method: string, url: string, status: number, type: string | undefined, body: unknown): string | null {
  const path = url.split("?")[0]!;
  const template = templateOf(path);
  const media = (type ?? "").split(";")[0]!;
  if (template === undefined || contract.paths[template]![method] === undefined) {
    return status >= 400 && media === "application/problem+json" ? null : `${method} ${path} is not in the contract, and answers ${status}`;
  }
  const { responses } = contract.paths[template]![method]!;
  const key = responses[status] !== undefined ? String(status) : `${Math.floor(status / 100)}XX`;
  const declared = responses[key];
  if (declared === undefined) return `${method} ${template} does not declare ${status}`;
  const at = declared.$ref === undefined ? ["paths", template, method, "responses", key] : declared.$ref.slice(2).split("/");
  const { content } = declared.$ref === undefined ? declared : contract.components.responses[at[2]!]!;
  if (content === undefined) return media === "" ? null : `${method} ${template} ${status} has no body in the contract, and one of ${media}`;
  const found = content[media];
  if (found === undefined) {
    // Views of the kernel are text, whatever else a file may be.
    return `${method} ${template} ${status} does not declare ${media === "" ? "an empty body" : media}`;
  }
  if (!media.endsWith("json")) return null;
  const place = pointer([...at, "content", media, "schema"]);
  const validate = compiled.get(place) ?? ajv.compile({ $ref: place });
  compiled.set(place, validate);
  return validate(body) ? null : `${method} ${template} ${status}: ${JSON.stringify(validate.errors?.slice(0, 5))}\n${JSON.stringify(body).slice(0, 600)}`;
}
