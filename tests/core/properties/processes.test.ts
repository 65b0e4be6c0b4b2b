/** Processes do what a model of their family foretells. */
import { test } from "vitest";
import { processes } from "./processes.ts";
import { check } from "./walk.ts";

test("processes: fork, exit, signals, groups, sessions, waiting", () => check(processes, 1, 6000));
