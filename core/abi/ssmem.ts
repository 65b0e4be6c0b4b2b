/** The numbers of ssmem_attach (320) and ssmem_detach (321), system calls of this kernel only. */
import type { FlagTable } from "./flags.ts";

export const SSMEM_FLAG_CREATE = 0x1;
export const SSMEM_FLAG_WRITE = 0x2;
export const SSMEM_FLAG_EXEC = 0x4;

export const ssmemFlags: FlagTable = { prefix: "SSMEM_FLAG_", flags: { SSMEM_FLAG_CREATE, SSMEM_FLAG_WRITE, SSMEM_FLAG_EXEC } };
