/** Files of /proc about rooms that stand below this one and register nothing themselves. */
import { procFile } from "../fs/proc/registry.ts";
import type { Kernel } from "../kernel.ts";
import { formatLoad } from "../lib/fixed.ts";
import { activeTasks, loadsNow } from "../sched/loadavg.ts";

/** Three averages, runnable tasks of all, and the newest pid. */
function loadavg(k: Kernel): string {
  const { tasks, nextPid } = k.state.sched;
  const averages = loadsNow(k).loads.map(formatLoad).join(" ");
  return `${averages} ${Math.max(1, activeTasks(k).running)}/${tasks.size} ${nextPid - 1}\n`;
}
procFile("loadavg", loadavg);
