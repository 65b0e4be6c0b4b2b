/** Sizes and limits that the kernel was built with, and the numbers of resource limits. */
import type { ChoiceTable } from "./flags.ts";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
/** The end of user addresses: 47 bits, less one guard page. */
export const TASK_SIZE = 0x7ffffffff000;
/** Reads and writes are cut to this many bytes: INT_MAX rounded down to a page. */
export const MAX_RW_COUNT = 0x7ffff000;
/** -4095…-1 are errnos. */
export const MAX_ERRNO = 4095;

export const INT_MAX = 0x7fffffff;
export const INT_MIN = -0x80000000;
export const UINT_MAX = 0xffffffff;
export const LONG_MAX = 0x7fffffffffffffffn;
export const LONG_MIN = -0x8000000000000000n;
export const ULONG_MAX = 0xffffffffffffffffn;

export const NAME_MAX = 255;
/** With the terminating NUL. */
export const PATH_MAX = 4096;
export const MAXSYMLINKS = 40;
export const PIPE_BUF = 4096;
export const PIPE_DEF_BUFFERS = 16;
/** /proc/sys/fs/pipe-max-size */
export const PIPE_MAX_SIZE = 1048576;
/** IOV_MAX: vectors in one readv or writev. */
export const IOV_MAX = 1024;
export const NGROUPS_MAX = 65536;
export const XATTR_NAME_MAX = 255;
export const XATTR_SIZE_MAX = 65536;
export const TASK_COMM_LEN = 16;
/** /proc/sys/vm/max_map_count */
export const MAX_MAP_COUNT = 65530;
/** /proc/sys/kernel/pid_max */
export const PID_MAX_DEFAULT = 32768;
/** /proc/sys/fs/nr_open */
export const NR_OPEN = 1048576;
/** Longest argument or environment string of execve. */
export const MAX_ARG_STRLEN = 131072;
/** Ticks a second in times(2) and /proc. */
export const USER_HZ = 100;

export const RLIMIT_CPU = 0;
export const RLIMIT_FSIZE = 1;
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_CORE = 4;
export const RLIMIT_RSS = 5;
export const RLIMIT_NPROC = 6;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
export const RLIMIT_LOCKS = 10;
export const RLIMIT_SIGPENDING = 11;
export const RLIMIT_MSGQUEUE = 12;
export const RLIMIT_NICE = 13;
export const RLIMIT_RTPRIO = 14;
export const RLIMIT_RTTIME = 15;
export const RLIM_NLIMITS = 16;
export const RLIM_INFINITY = 0xffffffffffffffffn;

export const rlimitNames: ChoiceTable = {
  prefix: "RLIMIT_",
  values: {
    RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK,
    RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME,
  },
};
