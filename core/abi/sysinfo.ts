/** struct sysinfo of sysinfo(2), and struct tms of times(2). */
import { layout } from "./layout.ts";

export const sysinfoLayout = layout(112, {
  uptime: [0, "i64"],
  loads: [8, { array: "u64", count: 3 }],
  totalram: [32, "u64"],
  freeram: [40, "u64"],
  sharedram: [48, "u64"],
  bufferram: [56, "u64"],
  totalswap: [64, "u64"],
  freeswap: [72, "u64"],
  procs: [80, "u16"],
  totalhigh: [88, "u64"],
  freehigh: [96, "u64"],
  mem_unit: [104, "u32"],
});

/** Loads in sysinfo have this many fraction bits. */
export const SI_LOAD_SHIFT = 16;

/** In USER_HZ ticks. */
export const tmsLayout = layout(32, { tms_utime: [0, "i64"], tms_stime: [8, "i64"], tms_cutime: [16, "i64"], tms_cstime: [24, "i64"] });
