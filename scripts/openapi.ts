/** Writes openapi.yaml from the routes; with --check only tells whether it is up to date. */
import { readFileSync, writeFileSync } from "node:fs";
import { openapiYaml } from "../api/openapi.ts";

const file = new URL("../openapi.yaml", import.meta.url);
const made = openapiYaml();

if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== made) {
    console.error("openapi.yaml is not what the routes say: run `npm run openapi` and commit it.");
    process.exitCode = 1;
  }
} else writeFileSync(file, made);
