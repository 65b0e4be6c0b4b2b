/** The rows of /proc/sys that are nobody else's: kernel, fs and vm (Documentation/admin-guide/sysctl). */
import { setHungTaskTimeout } from "../../sched/hung_task.ts";
import { EINVAL, EPERM } from "../../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../../abi/capability.ts";
import { NGROUPS_MAX, NR_OPEN, PID_MAX_DEFAULT, PIPE_MAX_SIZE } from "../../abi/limits.ts";
import { UTS_RELEASE, UTS_SYSNAME, UTS_VERSION } from "../../abi/release.ts";
import type { Kernel } from "../../kernel.ts";
import { hex } from "../../lib/format.ts";
import { hashText, hashValue, newHash } from "../../lib/hash.ts";
import { capable } from "../../sched/cred.ts";
import { randomBytes } from "../../sched/random.ts";
import { totalPages } from "../../mm/page_alloc.ts";
import { fileOperations, FILE_MAX } from "../file.ts";
import { newSeqData, seqLseek, seqRead, type SeqData } from "../seq_file.ts";
import { procFile } from "./registry.ts";
import { sysctlInteger, sysctlIntegers, sysctlText } from "./sysctl.ts";

const READ_ONLY = 0o444;
const FLAG = { min: 0, max: 1 };

sysctlText("kernel/ostype", () => UTS_SYSNAME);
sysctlText("kernel/osrelease", () => UTS_RELEASE);
sysctlText("kernel/version", () => UTS_VERSION);
sysctlText("kernel/hostname", (k) => k.state.process.nodename, { set: (k, text) => (k.state.process.nodename = text), size: 65 });
sysctlText("kernel/domainname", (k) => k.state.process.domainname, { set: (k, text) => (k.state.process.domainname = text), size: 65 });
sysctlText("kernel/modprobe", () => "/sbin/modprobe");
sysctlText("kernel/core_pattern", () => "core");

sysctlInteger("kernel/pid_max", { value: PID_MAX_DEFAULT, mode: READ_ONLY });
sysctlInteger("kernel/ns_last_pid", { value: (k) => k.state.sched.nextPid - 1, mode: READ_ONLY });
sysctlInteger("kernel/threads-max", { value: (k) => Math.floor(totalPages(k.state.mm) / 32), mode: READ_ONLY });
sysctlInteger("kernel/ngroups_max", { value: NGROUPS_MAX, mode: READ_ONLY });
sysctlInteger("kernel/cap_last_cap", { value: 40, mode: READ_ONLY });
sysctlInteger("kernel/overflowuid", { value: 65534, min: 0, max: 65535 });
sysctlInteger("kernel/overflowgid", { value: 65534, min: 0, max: 65535 });
sysctlInteger("kernel/randomize_va_space", { value: 0, mode: READ_ONLY });
sysctlInteger("kernel/core_uses_pid", { value: 0 });
sysctlInteger("kernel/panic", { value: 0 });
sysctlInteger("kernel/panic_on_oops", { value: 0, ...FLAG });
sysctlInteger("kernel/panic_on_warn", { value: 0, ...FLAG });
sysctlInteger("kernel/sysrq", { value: 438 });
sysctlInteger("kernel/hung_task_timeout_secs", { value: 120, min: 0, set: setHungTaskTimeout });
sysctlInteger("kernel/hung_task_check_count", { value: 4_194_304, min: 0 });
sysctlInteger("kernel/hung_task_check_interval_secs", { value: 0, min: 0 });
sysctlInteger("kernel/hung_task_all_cpu_backtrace", { value: 0, ...FLAG });
sysctlInteger("kernel/hung_task_panic", { value: 0, ...FLAG });
sysctlInteger("kernel/hung_task_warnings", { value: 10, min: -1 });
sysctlInteger("kernel/perf_event_paranoid", { value: 3 });
sysctlInteger("kernel/unprivileged_userns_clone", { value: 0, mode: READ_ONLY });

/** Console level, default level of a message, lowest and default console level. */
sysctlIntegers("kernel/printk", [7, 4, 1, 7], 0o644);
sysctlInteger("kernel/printk_ratelimit", { value: 5, min: 0 });
sysctlInteger("kernel/printk_ratelimit_burst", { value: 10 });
procFile("sys/kernel/printk_devkmsg", () => "ratelimit\n");
// As mainline; Debian's own default is 1, which hides dmesg from users.
sysctlInteger("kernel/dmesg_restrict", { value: 0, ...FLAG });
sysctlInteger("kernel/kptr_restrict", { value: 0, min: 0, max: 2 });

/** Writing adds bits and never takes one away. */
sysctlInteger("kernel/tainted", {
  value: (k) => k.state.modules.taint,
  min: 0,
  set: (k, value, writer) => {
    if (!capable(writer, CAP_SYS_ADMIN)) return -EPERM;
    k.state.modules.taint |= value & 0x7ffff;
    return 0;
  },
});
// As Linux: 1 is all that may be written, and nothing takes it back.
sysctlInteger("kernel/modules_disabled", {
  value: (k) => (k.state.modules.disabled ? 1 : 0), min: 1, max: 1,
  set: (k) => {
    k.state.modules.disabled = true;
    return 0;
  },
});

sysctlText("kernel/shmmax", () => "18446744073692774399");
sysctlText("kernel/shmall", () => "18446744073692774399");
sysctlInteger("kernel/shmmni", { value: 4096, mode: READ_ONLY });
sysctlIntegers("kernel/sem", [32000, 1024000000, 500, 32000]);
sysctlInteger("kernel/msgmax", { value: 8192, mode: READ_ONLY });
sysctlInteger("kernel/msgmnb", { value: 16384, mode: READ_ONLY });
sysctlInteger("kernel/msgmni", { value: 32000, mode: READ_ONLY });

/** 128 bits as a version 4 UUID. */
function uuid(bytes: Uint8Array): string {
  const set = bytes.slice(0, 16);
  set[6] = (set[6] & 0x0f) | 0x40;
  set[8] = (set[8] & 0x3f) | 0x80;
  const digits = Array.from(set, (byte) => hex(byte, 2)).join("");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join("-");
}

/** The same for one kernel as long as it lives, another one for another seed or time of creation. */
function bootId(k: Kernel): string {
  const bytes = new Uint8Array(16);
  for (let at = 0; at < 16; at += 4) {
    const word = hashValue(hashText(newHash(k.state.machine.seed), `${at} ${k.state.time.realtimeOffsetNs}`));
    for (let i = 0; i < 4; i++) bytes[at + i] = Math.floor(word / 2 ** (8 * i)) & 0xff;
  }
  return uuid(bytes);
}
procFile("sys/kernel/random/boot_id", (k) => `${bootId(k)}\n`);
// Each reader gets a new one: a view, which changes nothing, cannot tell it.
procFile("sys/kernel/random/uuid", () => -EINVAL, { ops: "proc.uuid" });
fileOperations("proc.uuid", {
  open: (_k, _task, file) => {
    file.data = newSeqData();
    return 0;
  },
  read: (k, task, file, buf, count, at) => seqRead(k, task, file.data as SeqData, buf, count, at, () => `${uuid(randomBytes(k, 16))}\n`),
  llseek: seqLseek,
});
sysctlInteger("kernel/random/entropy_avail", { value: 256, mode: READ_ONLY });
sysctlInteger("kernel/random/poolsize", { value: 256, mode: READ_ONLY });

sysctlInteger("fs/file-max", { value: FILE_MAX, mode: READ_ONLY });
procFile("sys/fs/file-nr", (k) => `${k.state.fs.files.size}\t0\t${FILE_MAX}\n`);
sysctlInteger("fs/nr_open", { value: NR_OPEN, mode: READ_ONLY });
sysctlIntegers("fs/inode-nr", (k) => [k.state.fs.inodes.size, 0]);
sysctlInteger("fs/pipe-max-size", { value: PIPE_MAX_SIZE, mode: READ_ONLY });
sysctlInteger("fs/pipe-user-pages-soft", { value: 16384, mode: READ_ONLY });
sysctlInteger("fs/pipe-user-pages-hard", { value: 0, mode: READ_ONLY });
sysctlInteger("fs/mount-max", { value: 100_000, mode: READ_ONLY });
sysctlInteger("fs/protected_symlinks", { value: 1, mode: READ_ONLY });
sysctlInteger("fs/protected_hardlinks", { value: 1, mode: READ_ONLY });
sysctlInteger("fs/suid_dumpable", { value: 0, mode: READ_ONLY });
sysctlInteger("fs/lease-break-time", { value: 45 });
sysctlInteger("fs/inotify/max_queued_events", { value: 16384, mode: READ_ONLY });
sysctlInteger("fs/inotify/max_user_instances", { value: 128, mode: READ_ONLY });
sysctlInteger("fs/inotify/max_user_watches", { value: 65536, mode: READ_ONLY });
sysctlInteger("fs/epoll/max_user_watches", { value: (k) => Math.floor(totalPages(k.state.mm) * 4096 / 25 / 160), mode: READ_ONLY });
