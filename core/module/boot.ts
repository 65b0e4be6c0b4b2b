/** Modules at boot: their files hang at /lib/modules/RELEASE; what is told of their leaks stands in debugfs. */
import { MS_RDONLY, MS_RELATIME } from "../abi/mount.ts";
import { MODULES_DIRECTORY } from "../abi/release.ts";
import { S_IFDIR } from "../abi/stat.ts";
import { makeDirectories } from "../fs/boot.ts";
import { debugfsCreateFile } from "../fs/debugfs/debugfs.ts";
import { attachMount, newSuperBlock } from "../fs/mount.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";

/** Mounts the read-only image of all modules; the tree is there. */
export function bootModules(k: Kernel): void {
  debugfsCreateFile(k, "kmemleak", 0o644, "kmemleak");
  const at = makeDirectories(k, MODULES_DIRECTORY, S_IFDIR | 0o755, 0);
  assert(typeof at === "object", `${MODULES_DIRECTORY} cannot be made`);
  attachMount(k, newSuperBlock(k, "squashfs"), at, { flags: MS_RDONLY | MS_RELATIME, source: "modules" });
}
