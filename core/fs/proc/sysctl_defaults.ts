/** Rows of /proc/sys that are kept and told, and that nothing here looks at: values as a fresh machine has them. */
import { sysctlInteger, sysctlIntegers, sysctlText } from "./sysctl.ts";
import { procDir } from "./registry.ts";

/** By directory: a number each. Written ones stay as written. */
const NUMBERS: { [directory: string]: { [name: string]: number } } = {
  abi: { vsyscall32: 1 },
  debug: { "exception-trace": 1, "kprobes-optimization": 1 },
  kernel: {
    acpi_video_flags: 0, auto_msgmni: 0, bootloader_type: 0, bootloader_version: 0, bpf_stats_enabled: 0, core_pipe_limit: 0, "ctrl-alt-del": 0, ftrace_dump_on_oops: 0,
    ftrace_enabled: 1, hardlockup_all_cpu_backtrace: 0, hardlockup_panic: 0, io_delay_type: 0, kexec_load_disabled: 0, max_lock_depth: 1024,
    max_rcu_stall_to_panic: 0, msg_next_id: -1, nmi_watchdog: 0, numa_balancing: 0, numa_balancing_promote_rate_limit_MBps: 65536,
    oops_all_cpu_backtrace: 0, oops_limit: 10_000, panic_on_io_nmi: 0, panic_on_rcu_stall: 0, panic_on_unrecovered_nmi: 0, panic_print: 0,
    perf_cpu_time_max_percent: 25, perf_event_max_contexts_per_stack: 8, perf_event_max_sample_rate: 100_000, perf_event_max_stack: 127,
    perf_event_mlock_kb: 516, "print-fatal-signals": 0, printk_delay: 0, "real-root-dev": 0, sched_autogroup_enabled: 1,
    sched_cfs_bandwidth_slice_us: 5000, sched_child_runs_first: 0, sched_deadline_period_max_us: 4_194_304, sched_deadline_period_min_us: 100,
    sched_energy_aware: 1, sched_rr_timeslice_ms: 100, sched_rt_period_us: 1_000_000, sched_rt_runtime_us: 950_000, sched_schedstats: 0,
    sem_next_id: -1, shm_next_id: -1, shm_rmid_forced: 0, soft_watchdog: 1, softlockup_all_cpu_backtrace: 0, softlockup_panic: 0,
    split_lock_mitigate: 1, stack_tracer_enabled: 0, sysctl_writes_strict: 1, task_delayacct: 0, timer_migration: 1, traceoff_on_warning: 0,
    tracepoint_printk: 0, unknown_nmi_panic: 0, unprivileged_bpf_disabled: 2, warn_limit: 0, watchdog: 1, watchdog_thresh: 10,
  },
  user: {
    max_cgroup_namespaces: 3760, max_inotify_instances: 128, max_inotify_watches: 65_536, max_ipc_namespaces: 3760, max_mnt_namespaces: 3760,
    max_net_namespaces: 3760, max_pid_namespaces: 3760, max_time_namespaces: 3760, max_user_namespaces: 3760, max_uts_namespaces: 3760,
  },
};
for (const [directory, rows] of Object.entries(NUMBERS)) for (const [name, value] of Object.entries(rows)) sysctlInteger(`${directory}/${name}`, { value });

sysctlInteger("crypto/fips_enabled", { value: 0, mode: 0o444 });
sysctlText("kernel/arch", () => "x86_64");
sysctlText("kernel/poweroff_cmd", () => "/sbin/poweroff");
sysctlText("kernel/watchdog_cpumask", () => "0");
sysctlText("kernel/seccomp/actions_avail", () => "kill_process kill_thread trap errno user_notif trace log allow");
sysctlIntegers("kernel/cad_pid", [1]);
sysctlIntegers("kernel/acct", [4, 2, 30]);
for (const name of ["dev", "kernel/keys", "kernel/pty", "kernel/usermodehelper", "kernel/yama", "kernel/firmware_config"]) procDir(`sys/${name}`);
