/** The pages that are made from the code say what the code says. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { syscallsPage } from "../scripts/syscalls_doc.ts";

test("docs/syscalls.md is what the table says", () => {
  expect(readFileSync(resolve(import.meta.dirname, "..", "docs", "syscalls.md"), "utf8")).toBe(syscallsPage());
});
