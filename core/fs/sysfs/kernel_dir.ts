/** /sys/kernel: mount points of other file systems, and a few numbers about the kernel. */
import { dir, sysfsTree, text, type SysfsNode } from "./registry.ts";

const MOUNT_POINTS: { [name: string]: number } = { debug: 0o700, tracing: 0o555, security: 0o555 };
const NUMBERS: { [name: string]: string } = { fscaps: "1\n", kexec_loaded: "0\n", kexec_crash_loaded: "0\n", profiling: "0\n", rcu_normal: "0\n", rcu_expedited: "0\n" };
const TRANSPARENT_HUGE_PAGES: { [name: string]: string } = {
  enabled: "always madvise [never]\n", defrag: "always defer defer+madvise [madvise] never\n", shmem_enabled: "always within_size advise [never] deny force\n",
};

function memoryDirectory([name, file, ...more]: readonly string[]): SysfsNode | null {
  if (name === undefined) return dir(["transparent_hugepage"], 1);
  if (name !== "transparent_hugepage" || more.length > 0) return null;
  if (file === undefined) return dir(Object.keys(TRANSPARENT_HUGE_PAGES));
  return Object.hasOwn(TRANSPARENT_HUGE_PAGES, file) ? text(() => TRANSPARENT_HUGE_PAGES[file]) : null;
}

sysfsTree("kernel", (_k, [name, ...more]) => {
  if (name === undefined) return dir([...Object.keys(MOUNT_POINTS), ...Object.keys(NUMBERS), "mm", "uevent_seqnum", "uevent_helper"], Object.keys(MOUNT_POINTS).length + 1);
  if (name === "mm") return memoryDirectory(more);
  if (more.length > 0) return null;
  if (name === "uevent_seqnum") return text((k) => `${k.state.drivers.uevents.sequence}\n`);
  if (name === "uevent_helper") return text(() => "\n", 0o644);
  if (Object.hasOwn(MOUNT_POINTS, name)) return dir([], 0, MOUNT_POINTS[name]);
  return Object.hasOwn(NUMBERS, name) ? text(() => NUMBERS[name]) : null;
});
