/** /proc/PID/mounts and mountinfo: what hangs where, as the process sees it (proc(5)). */
import { MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME } from "../../abi/mount.ts";
import { MAJOR, MINOR } from "../../abi/dev_t.ts";
import type { Kernel } from "../../kernel.ts";
import type { Task } from "../../sched/task.ts";
import { pathText } from "../d_path.ts";
import type { WalkContext } from "../fs_type.ts";
import { treeRoot } from "../fs_struct.ts";
import type { PathRef } from "../inode.ts";
import { sbOf, type Mount } from "../mount.ts";
import { mangle } from "../seq_file.ts";
import { procPidFile } from "./registry.ts";

const ESCAPED = " \t\n\\#";

function mountOptions({ flags }: Mount): string {
  let text = (flags & MS_RDONLY) !== 0 ? "ro" : "rw";
  if ((flags & MS_NOSUID) !== 0) text += ",nosuid";
  if ((flags & MS_NODEV) !== 0) text += ",nodev";
  if ((flags & MS_NOEXEC) !== 0) text += ",noexec";
  if ((flags & MS_NOATIME) !== 0) text += ",noatime";
  return (flags & MS_RELATIME) !== 0 ? `${text},relatime` : text;
}

/** The mounts that the task's root reaches, in the order in which they were made, each with its path. */
function visibleMounts(k: Kernel, task: Task): { mount: Mount; path: string }[] {
  const root = k.state.fs.fsStructs.get(task.fs)?.root ?? treeRoot(k);
  const found: { mount: Mount; path: string }[] = [];
  for (const mount of k.state.fs.mounts.values()) {
    if (mount.detached || mount.id === k.state.fs.anonMount) continue;
    const at: PathRef = { mnt: mount.id, dentry: mount.root };
    const { path, reachable } = pathText(k, at, root);
    if (reachable) found.push({ mount, path });
  }
  return found;
}

const withOptions = (first: string, options: string): string => (options === "" ? first : `${first},${options}`);

function mountsText(k: Kernel, task: Task): string {
  return visibleMounts(k, task).map(({ mount, path }) => {
    const sb = sbOf(k, mount.id);
    return `${mangle(mount.source, ESCAPED)} ${mangle(path, ESCAPED)} ${sb.type} ${withOptions(mountOptions(mount), sb.options)} 0 0\n`;
  }).join("");
}
procPidFile("mounts", mountsText);

function mountinfoText(k: Kernel, task: Task, ctx: WalkContext): string {
  return visibleMounts(k, task).map(({ mount, path }) => {
    const sb = sbOf(k, mount.id);
    const shown = typeof mount.root === "string" ? `/${mount.root}` : mount.root === sb.root ? "/" : pathText(k, { mnt: mount.id, dentry: mount.root }, ctx.root).path;
    return `${mount.id} ${mount.parent} ${MAJOR(sb.dev)}:${MINOR(sb.dev)} ${mangle(shown, ESCAPED)} ${mangle(path, ESCAPED)} ${mountOptions(mount)}`
      + ` - ${sb.type} ${mangle(mount.source, ESCAPED)} ${withOptions((mount.flags & MS_RDONLY) !== 0 ? "ro" : "rw", sb.options)}\n`;
  }).join("");
}
procPidFile("mountinfo", mountinfoText);

procPidFile("mountstats", (k, task) => visibleMounts(k, task).map(({ mount, path }) =>
  `device ${mangle(mount.source, ESCAPED)} mounted on ${mangle(path, ESCAPED)} with fstype ${sbOf(k, mount.id).type}\n`).join(""), 0o400);
