/** Files do what a model of names, inodes, bytes and descriptors foretells. */
import { test } from "vitest";
import { files } from "./files.ts";
import { check } from "./walk.ts";

test("files, directories, links and descriptors", () => check(files, 1, 3000));
