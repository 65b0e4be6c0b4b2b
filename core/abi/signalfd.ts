/** Flags of signalfd4(2) and the structure that a read gives. */
import type { FlagTable } from "./flags.ts";
import { layout } from "./layout.ts";

export const SFD_NONBLOCK = 0o4000;
export const SFD_CLOEXEC = 0o2000000;

export const signalfdFlags: FlagTable = { prefix: "SFD_", flags: { SFD_CLOEXEC, SFD_NONBLOCK } };

export const signalfdSiginfoLayout = layout(128, {
  ssi_signo: [0, "u32"],
  ssi_errno: [4, "i32"],
  ssi_code: [8, "i32"],
  ssi_pid: [12, "u32"],
  ssi_uid: [16, "u32"],
  ssi_fd: [20, "i32"],
  ssi_tid: [24, "u32"],
  ssi_band: [28, "u32"],
  ssi_overrun: [32, "u32"],
  ssi_trapno: [36, "u32"],
  ssi_status: [40, "i32"],
  ssi_int: [44, "i32"],
  ssi_ptr: [48, "u64"],
  ssi_utime: [56, "u64"],
  ssi_stime: [64, "u64"],
  ssi_addr: [72, "u64"],
  ssi_addr_lsb: [80, "u16"],
  ssi_syscall: [84, "i32"],
  ssi_call_addr: [88, "u64"],
  ssi_arch: [96, "u32"],
});
