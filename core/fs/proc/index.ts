/** The files of /proc that this room and those below it have; others register theirs where they are. */
import "./cpu_files.ts";
import "./dynamic.ts";
import "./irq_files.ts";
import "./kernel_files.ts";
import "./machine_files.ts";
import "./mm_files.ts";
import "./mounts.ts";
import "./ops.ts";
import "./pid_files.ts";
import "./pid_memory.ts";
import "./pid_more.ts";
import "./pid_stat.ts";
import "./pid_status.ts";
import "./procfs.ts";
import "./sysctl_defaults.ts";
import "./sysctl_rows.ts";
