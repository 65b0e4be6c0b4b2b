/** Whose code file operations are, and whether it is still there. */
import type { Kernel } from "../kernel.ts";
import type { FileOperations } from "./file.ts";

/** The module that the operations belong to; "" for the kernel itself. */
export function codeModule(ops: FileOperations | undefined): string {
  return ops?.owner ?? ops?.code ?? "";
}

/** Whether the operations may be called: the kernel's always, a module's while it is loaded. */
export function codeIsThere(k: Kernel, ops: FileOperations | undefined): boolean {
  const module = codeModule(ops);
  return module === "" || k.state.modules.loaded.has(module);
}
