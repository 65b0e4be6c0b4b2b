/** Threads of the kernel that sleep without frames, with nothing to do: the function each waits in, and how that counts. */
import type { Kernel } from "../kernel.ts";
import type { Task } from "../sched/task.ts";

/** By the name without its CPU: what stands in /proc/PID/wchan. */
const WAITS: ReadonlyMap<string, string> = new Map([
  ["kthreadd", "kthreadd"], ["fput", "rescuer_thread"], ["rcu_gp", "rescuer_thread"], ["mm_percpu_wq", "rescuer_thread"],
  ["rcu_preempt", "rcu_gp_kthread"], ["cpuhp", "smpboot_thread_fn"], ["migration", "smpboot_thread_fn"], ["ksoftirqd", "smpboot_thread_fn"],
  ["kdevtmpfs", "devtmpfs_work_loop"], ["kauditd", "kauditd_thread"], ["khungtaskd", "watchdog"], ["oom_reaper", "oom_reaper"],
  ["writeback", "rescuer_thread"], ["kcompactd0", "kcompactd"], ["kswapd0", "kswapd"],
]);

/** Threads that sleep so in TASK_IDLE, which is neither S nor counted as load: those of work queues, and RCU's. */
const IDLE = ["rescuer_thread", "worker_thread", "rcu_gp_kthread"];

/** The function that an idle thread of the kernel waits in; null for any other task. */
export function idleWait(k: Kernel, task: Task): string | null {
  if (task.kind !== "kthread" || task.state !== "sleeping" || task.frames.length > 0) return null;
  if (task.worker) return k.state.irq.wq.workers.get(task.tid)?.rescues === 0 ? "worker_thread" : "rescuer_thread";
  return WAITS.get(task.comm.split("/")[0]) ?? "kthread";
}

/** Whether a task sleeps in TASK_IDLE (I in ps). */
export function isTaskIdle(k: Kernel, task: Task): boolean {
  return IDLE.includes(idleWait(k, task) ?? "");
}
