/** struct flock, the argument of fcntl's record locks. */
import { layout } from "./layout.ts";

export const flockLayout = layout(32, {
  l_type: [0, "i16"],
  l_whence: [2, "i16"],
  l_start: [8, "i64"],
  l_len: [16, "i64"],
  l_pid: [24, "i32"],
});

/** struct f_owner_ex of F_SETOWN_EX and F_GETOWN_EX. */
export const fOwnerExLayout = layout(8, { type: [0, "i32"], pid: [4, "i32"] });

/** struct open_how of openat2(2). */
export const openHowLayout = layout(24, { flags: [0, "u64"], mode: [8, "u64"], resolve: [16, "u64"] });
