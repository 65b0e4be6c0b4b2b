/** All code that a kernel's state names, gathered once: importing a room registers what it has. */
import { DISPLACED_NUMBERS, SYSCALL_NUMBERS } from "./abi/unistd.ts";
import type { Tables } from "./kernel.ts";
import { assert } from "./lib/assert.ts";
import { hooks } from "./hook_table.ts";
import { debugfsStandIns } from "./fs/debugfs/debugfs.ts";
import { fileOperationsTable } from "./fs/file.ts";
import { vmOperationsTable } from "./mm/vma.ts";
import { stepTables } from "./sched/steps.ts";
import type { Rows, SyscallEntry, SyscallRow } from "./syscalls/row.ts";
import { timerCallbacks } from "./time/timer.ts";
import { timerFunctions } from "./time/timer_list.ts";
import { families } from "./syscalls/table.ts";
import "./irq/index.ts";
import "./drivers/index.ts";
import "./module/index.ts";
import "./labs/index.ts";
import "./programs/index.ts";

function rowsByName(all: Rows[]): Map<string, SyscallRow> {
  const byName = new Map<string, SyscallRow>();
  for (const rows of all) {
    for (const [name, row] of Object.entries(rows)) {
      assert(!byName.has(name), `two rows for ${name}`);
      byName.set(name, { ...row, name, pointers: row.args.some((arg) => arg.pointer) });
    }
  }
  return byName;
}

function rowsByNumber(byName: Map<string, SyscallRow>): (SyscallRow | undefined)[] {
  const byNumber: (SyscallRow | undefined)[] = [];
  for (const row of byName.values()) {
    assert(byNumber[row.x86_64] === undefined, `two rows of number ${row.x86_64}`);
    byNumber[row.x86_64] = row;
  }
  return byNumber;
}

function entryOf(row: SyscallRow | undefined): SyscallEntry | undefined {
  if (row === undefined) return undefined;
  const { run, args } = row;
  return { run, takes: args.map(({ take }) => take), fds: args.map(({ kind }) => kind === "fd") };
}

const syscallNames = rowsByName(families);
const syscalls = rowsByNumber(syscallNames);

/** Names that Linux has and we have not. */
function missing(): Set<string> {
  return new Set([...Object.keys(SYSCALL_NUMBERS), ...Object.keys(DISPLACED_NUMBERS)].filter((name) => !syscallNames.has(name)));
}

// Modules' file operations have been registered: debugfs adds what its files open with.
debugfsStandIns();

export const tables: Tables = {
  steps: stepTables,
  fileOperations: fileOperationsTable,
  vmOperations: vmOperationsTable,
  timerCallbacks,
  timerFunctions,
  syscalls,
  syscallNames,
  syscallEntries: Array.from(syscalls, entryOf),
  syscallNumbers: new Map([...syscallNames].map(([name, { x86_64 }]) => [name, x86_64])),
  unimplemented: missing(),
  hooks,
};

/** Puts a call into all tables that know of calls, beside those of the families: tests have calls of their own. */
export function addSyscall(row: SyscallRow): void {
  tables.syscalls[row.x86_64] = row;
  tables.syscallNames.set(row.name, row);
  tables.syscallEntries[row.x86_64] = entryOf(row);
  tables.syscallNumbers.set(row.name, row.x86_64);
}
