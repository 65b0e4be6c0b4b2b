/** The lines of a recorded file beside these tests. */
import { readFileSync } from "node:fs";

export function recorded(name: string): string[] {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8").trimEnd().split("\n");
}
