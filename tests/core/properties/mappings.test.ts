/** Memory does what a model of pages foretells. */
import { test } from "vitest";
import { mappings } from "./mappings.ts";
import { check } from "./walk.ts";

test("mappings: content, protection, faults and maps, over forks", () => check(mappings, 1, 3000));
