/** debugfs files that show and set one variable: debugfs_create_u32, _x32, _bool, _atomic_t, _str, _blob (fs/debugfs/file.c). */
import { EACCES, EINVAL } from "../../abi/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { kstrtobool, kstrtoll, kstrtoull } from "../../lib/kstrto.ts";
import { copyFromUserPartial } from "../../mm/usercopy.ts";
import { fileOperations, type FileOperations } from "../file.ts";
import { simpleAttribute, simpleReadFromBuffer } from "../libfs.ts";
import { bytesName } from "../names.ts";
import { seqBytes } from "../seq_file.ts";
import { debugfsCreateFile, debugfsOperations } from "./debugfs.ts";

export type NumberKind = "u8" | "u16" | "u32" | "u64" | "x8" | "x16" | "x32" | "x64" | "size_t" | "ulong" | "atomic_t";

/** Where a variable lives: its module, and how it is read and set. */
export interface DebugfsVariable<T> {
  /** The module that an open file keeps in use, "" for none. */
  owner: string;
  get(k: Kernel): T;
  set?(k: Kernel, value: T): void;
}

const BITS: { [kind in NumberKind]: number } = { u8: 8, u16: 16, u32: 32, u64: 64, x8: 8, x16: 16, x32: 32, x64: 64, size_t: 64, ulong: 64, atomic_t: 32 };

/** The three forms that a file may have by its mode: a mode without write bits makes writing EACCES even for root. */
function register(name: string, owner: string, forms: { rw: FileOperations; ro: FileOperations; wo: FileOperations }): void {
  for (const [form, operations] of Object.entries(forms)) {
    fileOperations(`debugfs.${form}:${name}`, owner === "" ? operations : { ...operations, owner });
    debugfsOperations(`debugfs.${form}:${name}`);
  }
}

const formOf = (mode: number): string => ((mode & 0o222) === 0 ? "ro" : (mode & 0o444) === 0 ? "wo" : "rw");

/** Registers a number under a name, for debugfsCreateNumber. Reads and writes cut it to its type. */
export function debugfsNumber(name: string, kind: NumberKind, { owner, get, set }: DebugfsVariable<number | bigint>): void {
  const bits = BITS[kind];
  const signed = kind === "atomic_t";
  const hex = kind.startsWith("x");
  const format = (value: number | bigint): string => {
    const cut = signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value));
    return hex ? `0x${cut.toString(16).padStart(bits / 4, "0")}\n` : `${cut}\n`;
  };
  const store = (k: Kernel, value: bigint): number => {
    const cut = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
    set?.(k, bits <= 32 ? Number(cut) : cut);
    return 0;
  };
  const parse = (text: string): ReturnType<typeof kstrtoull> => (signed ? kstrtoll(text, 0) : kstrtoull(text, 0));
  register(name, owner, {
    rw: simpleAttribute({ get, ...(set === undefined ? {} : { set: store }), format, parse }),
    ro: simpleAttribute({ get, format, parse }),
    wo: simpleAttribute({ set: store, format, parse }),
  });
}

/** A boolean: shown as Y or N. As Linux: what is none is taken without a word, and changes nothing. */
export function debugfsBool(name: string, { owner, get, set }: DebugfsVariable<boolean>): void {
  const show = (k: Kernel): string => (get(k) ? "Y\n" : "N\n");
  const read: FileOperations = {
    read: (k, task, _file, buf, count, at) => simpleReadFromBuffer(k, task, buf, count, at, seqBytes(show(k))),
    view: show,
  };
  const write: FileOperations = {
    write: (k, task, _file, buf, count) => {
      const parsed = kstrtobool(bytesName(copyFromUserPartial(k, task, buf, Math.min(count, 3))));
      if ("value" in parsed) set?.(k, parsed.value);
      return count;
    },
  };
  register(name, owner, { rw: { ...read, ...write }, ro: { ...read, write: () => -EACCES }, wo: { ...write, read: () => -EACCES } });
}

/** A text that nobody writes; a newline is added. */
export function debugfsText(name: string, { owner, get }: DebugfsVariable<string>): void {
  const show = (k: Kernel): string => `${get(k)}\n`;
  const operations: FileOperations = {
    read: (k, task, _file, buf, count, at) => simpleReadFromBuffer(k, task, buf, count, at, seqBytes(show(k))),
    write: () => -EINVAL,
    view: show,
  };
  register(name, owner, { rw: operations, ro: operations, wo: operations });
}

/** Bytes that nobody writes. */
export function debugfsBlob(name: string, { owner, get }: DebugfsVariable<Uint8Array>): void {
  const operations: FileOperations = {
    read: (k, task, _file, buf, count, at) => simpleReadFromBuffer(k, task, buf, count, at, get(k)),
    view: (k) => bytesName(get(k)),
  };
  register(name, owner, { rw: operations, ro: operations, wo: operations });
}

/** Makes the file PATH of the variable registered as `name`: 0 or an errno, as debugfsCreateFile. */
export function debugfsCreateValue(k: Kernel, path: string, mode: number, name: string): number {
  return debugfsCreateFile(k, path, mode, `debugfs.${formOf(mode)}:${name}`);
}
