/** Flags of finit_module(2) and delete_module(2). */
import type { FlagTable } from "./flags.ts";
import { O_NONBLOCK, O_TRUNC } from "./fcntl.ts";

export const MODULE_INIT_IGNORE_MODVERSIONS = 0x1;
export const MODULE_INIT_IGNORE_VERMAGIC = 0x2;
export const MODULE_INIT_COMPRESSED_FILE = 0x4;

export const moduleInitFlags: FlagTable = {
  prefix: "MODULE_INIT_",
  flags: { MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC, MODULE_INIT_COMPRESSED_FILE },
};
/** delete_module: O_NONBLOCK answers at once, O_TRUNC forces. */
export const deleteModuleFlags: FlagTable = { prefix: "O_", flags: { O_NONBLOCK, O_TRUNC } };
