/** A benchmark's parameters: what is given is checked against its kind, what is left out gets its default. */
import type { FieldError } from "../errors.ts";
import type { Json } from "../sessions/core.ts";
import type { BenchmarkKind, BenchmarkParam } from "./core.ts";

export function readParams(kind: BenchmarkKind, given: { [name: string]: Json }): { params: { [name: string]: Json }; errors: FieldError[] } {
  const params: { [name: string]: Json } = {};
  const errors: FieldError[] = [];
  for (const spec of kind.params) {
    const value = given[spec.name] ?? spec.default;
    const wrong = wrongWith(spec, value);
    if (wrong !== null) errors.push({ path: `/params/${spec.name}`, message: wrong });
    params[spec.name] = value;
  }
  for (const name of Object.keys(given)) {
    if (!kind.params.some((spec) => spec.name === name)) errors.push({ path: `/params/${name.slice(0, 80)}`, message: `is no parameter of ${kind.kind}` });
  }
  return { params, errors };
}

function wrongWith(spec: BenchmarkParam, value: Json): string | null {
  if (spec.type === "integers") {
    if (!Array.isArray(value) || value.length === 0 || value.length > 1_000) return "takes a list of 1 to 1000 integers";
    for (const item of value) {
      const wrong = wrongNumber(spec, item, true);
      if (wrong !== null) return wrong;
    }
    return null;
  }
  if (spec.choices !== undefined && !spec.choices.includes(value)) return `is one of ${spec.choices.map(String).join(", ")}`;
  switch (spec.type) {
    case "integer": return wrongNumber(spec, value, true);
    case "number": return wrongNumber(spec, value, false);
    case "string": return typeof value === "string" && value.length <= 1_000 ? null : "takes a string";
    case "boolean": return typeof value === "boolean" ? null : "takes true or false";
  }
}

function wrongNumber({ min = -Number.MAX_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: BenchmarkParam, value: Json, whole: boolean): string | null {
  if (typeof value !== "number" || (whole && !Number.isInteger(value))) return whole ? "takes an integer" : "takes a number";
  return value >= min && value <= max ? null : `is from ${min} to ${max}`;
}
