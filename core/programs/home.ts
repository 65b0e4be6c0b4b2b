/** Home directories, made by the service before a member's first process. */
import { S_IFDIR } from "../abi/stat.ts";
import type { Kernel } from "../kernel.ts";
import { makeDirectories } from "../fs/boot.ts";

/** Makes `path` and what leads to it; the last part belongs to `uid`, mode 0755 (0700 for root). */
export function makeHome(k: Kernel, path: string, uid: number): void {
  makeDirectories(k, path, S_IFDIR | (uid === 0 ? 0o700 : 0o755), uid);
}
