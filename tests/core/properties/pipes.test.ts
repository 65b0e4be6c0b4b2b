/** Pipes do what a model of slots and ends foretells. */
import { test } from "vitest";
import { pipes } from "./pipes.ts";
import { check } from "./walk.ts";

test("pipes: bytes, ends, room, packets, and sleeping", () => check(pipes, 1, 3000));
