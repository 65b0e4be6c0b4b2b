/** The .modinfo section of a module, and what modinfo(8) prints of it. */
import { VERMAGIC } from "../abi/release.ts";
import type { ModuleDefinition, ParamSpec } from "./definition.ts";

/** The order in which compilers leave the usual MODULE_ lines. */
const USUAL_ORDER = ["alias", "version", "description", "author", "license"];

/** The type as MODULE_PARM_DESC's companion line tells it; "" for a callback. */
function parmType({ type, array }: ParamSpec): string {
  if (type === "custom") return "";
  return array === undefined ? type : `array of ${type}`;
}

/** Key and value of every line of .modinfo, in the order of the section. `vermagic` null leaves that line out. */
export function modinfoLines(definition: ModuleDefinition, vermagic: string | null = VERMAGIC): [string, string][] {
  const { name, license, version, description, author = [], alias = [], info = [], depends, srcversion, params } = definition;
  const own: { [key: string]: string[] } = {
    alias, author,
    version: version === undefined ? [] : [version],
    description: description === undefined ? [] : [description],
    license: license === "" ? [] : [license],
  };
  const lines: [string, string][] = [...info];
  for (const key of definition.infoOrder ?? USUAL_ORDER) for (const value of own[key] ?? []) lines.push([key, value]);
  for (const param of params) {
    if (param.description !== undefined) lines.push(["parm", `${param.name}:${param.description}`]);
    const type = parmType(param);
    if (type !== "") lines.push(["parmtype", `${param.name}:${type}`]);
  }
  if (srcversion !== "") lines.push(["srcversion", srcversion]);
  lines.push(["depends", depends.join(",")], ["retpoline", "Y"], ["name", name]);
  if (vermagic !== null) lines.push(["vermagic", vermagic]);
  return lines;
}

interface Parm {
  name: string;
  description: string | null;
  type: string;
}

/** Parameters of .modinfo lines: a description and a type of one name belong together. */
function parmsOf(lines: readonly [string, string][]): Parm[] {
  const parms = new Map<string, Parm>();
  for (const [key, value] of lines) {
    if (key !== "parm" && key !== "parmtype") continue;
    const colon = value.indexOf(":");
    const name = value.slice(0, colon);
    const parm = parms.get(name) ?? { name, description: null, type: "" };
    if (key === "parm") parm.description = value.slice(colon + 1);
    else parm.type = value.slice(colon + 1);
    parms.set(name, parm);
  }
  return [...parms.values()];
}

/** `pint:an int (int)`, `pinv:invbool`, `pcustom:uint 1..100 by callback` */
function parmLine({ name, description, type }: Parm): string {
  if (description === null) return `${name}:${type}`;
  return type === "" ? `${name}:${description}` : `${name}:${description} (${type})`;
}

/** `pinv: (invbool)`: with -p and -F parm a parameter without a description looks so. */
function parmOnly({ name, description, type }: Parm): string {
  return `${name}:${description ?? ""}${type === "" ? "" : ` (${type})`}`;
}

const padded = (key: string, value: string): string => `${`${key}:`.padEnd(16)}${value}\n`;

/** What `modinfo FILE` prints; `filename` is the absolute path. */
export function modinfoText(filename: string, lines: readonly [string, string][]): string {
  let text = padded("filename", filename);
  for (const [key, value] of lines) if (key !== "parm" && key !== "parmtype") text += padded(key, value);
  for (const parm of parmsOf(lines)) text += padded("parm", parmLine(parm));
  return text;
}

/** What `modinfo -F field FILE` prints: one value a line, nothing for an unknown field. */
export function modinfoField(lines: readonly [string, string][], field: string): string {
  if (field === "parm") return parmsOf(lines).map((parm) => `${parmOnly(parm)}\n`).join("");
  return lines.filter(([key]) => key === field).map(([, value]) => `${value}\n`).join("");
}
