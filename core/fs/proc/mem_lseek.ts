/** lseek(2) of files whose offsets are addresses or page frames: any is a position, also one above 2^63 (mem_lseek). */
import { EINVAL } from "../../abi/errno.ts";
import { SEEK_CUR, SEEK_SET } from "../../abi/fcntl.ts";
import type { FileOperations } from "../file.ts";

export const memLseek: FileOperations["llseek"] = (_k, _task, file, offset, whence) => {
  if (whence !== SEEK_SET && whence !== SEEK_CUR) return -EINVAL;
  const to = BigInt(offset) + (whence === SEEK_SET ? 0n : BigInt(file.pos));
  file.pos = to >= 0n && to <= 0x1f_ffff_ffff_ffffn ? Number(to) : to;
  return file.pos;
};
