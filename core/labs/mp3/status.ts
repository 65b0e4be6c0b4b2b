/** /proc/mp3/status: "R PID" registers a task, "U PID" takes it off the list, reading shows the list. */
import { EEXIST, EINVAL, ESRCH } from "../../abi/errno.ts";
import { fileOperations } from "../../fs/file.ts";
import { singleOpen } from "../../fs/seq_file.ts";
import { cancelDelayedWork } from "../../irq/queue_work.ts";
import { cancelDelayedWorkSync } from "../../irq/flush.ts";
import type { Kernel } from "../../kernel.ts";
import { bytesName } from "../../fs/names.ts";
import { copyFromUser } from "../../mm/usercopy.ts";
import { printk } from "../../sched/printk.ts";
import { enter, steps, type SyscallResult } from "../../sched/steps.ts";
import { ALERT, build, lab, NAME } from "./lab.ts";
import { armSampling, endSampling, liveTask, registered, startSampling } from "./sampling.ts";

/** Bytes of a command that are looked at. */
const COMMAND_MAX = 64;

interface Command {
  letter: string;
  pid: number;
}

/**
 * The first character and the number behind it, as sscanf("%c %lu") reads them; null when there is none. A careful reader
 * lets nothing follow but white space and the end of a C string.
 */
function parse(text: string, strict: boolean): Command | null {
  const found = (strict ? /^([RU])\s*(\d+)[\s\0]*$/ : /^([^])\s*(\d+)/).exec(text);
  return found === null ? null : { letter: found[1], pid: Number(found[2]) };
}

/** 0, -ESRCH for a task that does not exist, -EEXIST for one that is on the list. */
function register(k: Kernel, pid: number): number {
  const data = lab(k);
  const task = k.state.sched.tasks.get(pid);
  if (data.tasks.some((one) => one.tid === pid)) return -EEXIST;
  const entry = task === undefined ? { tid: pid, startNs: -1, minFlt: 0, majFlt: 0, cpuNs: 0 } : registered(k, task);
  if (build(k).strict && liveTask(k, entry) === null) return -ESRCH;
  printk(k, ALERT, `Register Task:${pid}`);
  data.tasks.push(entry);
  if (data.tasks.length === 1) startSampling(k);
  return 0;
}

/** How many are left, or -ESRCH for one that is not on the list. */
function deregister(k: Kernel, pid: number): number {
  const data = lab(k);
  const at = data.tasks.findIndex((one) => one.tid === pid);
  if (at < 0) return -ESRCH;
  printk(k, ALERT, `Deregister Task:${pid}`);
  data.tasks.splice(at, 1);
  if (data.tasks.length === 0) endSampling(k);
  return data.tasks.length;
}

/** Takes the work back before the write answers, so that no sample comes after it. */
const stopSampling = steps<{ count: number }>("mp3.stop_sampling", {
  cancel: (k) => enter(cancelDelayedWorkSync, { work: lab(k).work }),
  end: (k, _task, { locals }) => {
    // Whoever was registered while this waited found the work being cancelled.
    if (lab(k).tasks.length > 0) armSampling(k, lab(k));
    return locals.count;
  },
});

function obey(k: Kernel, text: string, count: number): SyscallResult {
  const { strict } = build(k);
  const command = count > COMMAND_MAX && strict ? null : parse(text, strict);
  if (command === null || (command.letter !== "R" && command.letter !== "U")) {
    if (strict) return -EINVAL;
    printk(k, ALERT, "Malformed registration string");
    return count;
  }
  const result = command.letter === "R" ? register(k, command.pid) : deregister(k, command.pid);
  if (result < 0) return strict ? result : count;
  if (command.letter === "R" || result > 0) return count;
  if (strict) return enter(stopSampling, { count });
  cancelDelayedWork(k, lab(k).work);
  return count;
}

fileOperations("mp3.status", {
  owner: NAME,
  ...singleOpen((k) => lab(k).tasks.map(({ tid }) => `${tid}\n`).join("")),
  write: (k, task, _file, buf, count) => {
    const bytes = copyFromUser(k, task, buf, Math.min(count, COMMAND_MAX));
    return typeof bytes === "number" ? bytes : obey(k, bytesName(bytes), count);
  },
});
