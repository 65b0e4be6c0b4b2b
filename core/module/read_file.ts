/** Reading a whole file for the kernel's own use (kernel_read_file of fs/kernel_read_file.c). */
import { EFBIG, EINVAL, ETXTBSY } from "../abi/errno.ts";
import { isRegular } from "../abi/stat.ts";
import { opsOf, type OpenFile } from "../fs/file.ts";
import { inodeOf } from "../fs/inode.ts";
import { readBytes } from "../fs/page_cache.ts";
import type { Kernel } from "../kernel.ts";

/** Nothing that is read so is larger here. */
const SIZE_MAX = 16 << 20;

/** All bytes of a regular file; -EINVAL for anything else or an empty one, -ETXTBSY while somebody may write it, -EFBIG above 16 MiB. */
export function kernelReadFile(k: Kernel, file: OpenFile): Uint8Array | number {
  const inode = inodeOf(k, file.inode);
  if (!isRegular(inode.mode)) return -EINVAL;
  if (inode.writers > 0) return -ETXTBSY;
  if (inode.size === 0) return -EINVAL;
  if (inode.size > SIZE_MAX) return -EFBIG;
  if (inode.pages !== null) return readBytes(k, inode, 0, inode.size);
  return opsOf(k, file).spliceRead?.(k, file, 0, inode.size) ?? -EINVAL;
}
