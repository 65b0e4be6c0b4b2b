/** The registry of file operations; it stands below all files that register theirs as they are loaded. */
import { assert } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";
import type { FileOperations, OpenFile } from "./file.ts";

/** Operations by name; tables.ts hands it to every kernel. */
export const fileOperationsTable = new Map<string, FileOperations>();

/** Registers operations under the name that open files know them by. */
export function fileOperations(name: string, operations: FileOperations): FileOperations {
  assert(!fileOperationsTable.has(name), `two file operations named ${name}`);
  fileOperationsTable.set(name, operations);
  return operations;
}

/** What else must happen when a file is released, before its own release: epoll, locks and watches register here. */
export const releaseWatchers: ((k: Kernel, task: Task, file: OpenFile) => void)[] = [];
