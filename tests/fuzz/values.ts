/** One argument of a system call: mostly what could be meant, by the argument's type, and now and then anything. */
import type { ArgumentView } from "../../core/read.ts";
import type { Json } from "../../core/input.ts";
import type { Kernel } from "../../core/kernel.ts";
import type { Task } from "../../core/sched/task.ts";
import type { Chance } from "./chance.ts";
import { descriptors, regions } from "./exists.ts";

export interface Setting {
  c: Chance;
  k: Kernel;
  task: Task;
  /** Devices, kernel files and modules that there are. */
  names: readonly string[];
}

const PATHS = [
  "a", "b", "c", "d", "d/x", "d/y", "l", "p", "s", "/tmp/one", "/tmp/two", "/tmp", "/", ".", "..", "/dev/null", "/dev/zero", "/dev/full",
  "/dev/urandom", "/proc/self/status", "/proc/uptime", "/proc/meminfo", "/proc/1/maps", "/sys/module", "/root", "/etc", "d/../a",
  "/proc/self/fd/0", "/dev/kmsg", "/dev/ptmx", "/dev/tty",
];
const ODD_PATHS = ["", "nowhere/a", "a/b", "x".repeat(255), "x".repeat(256), "y/".repeat(2100), "/proc/99999/maps", "\u00e9"];
const SIGNALS = ["SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "SIGWINCH", "SIGRTMIN", "SIGPIPE", "SIGIO"];
const RARE_SIGNALS = ["SIGKILL", "SIGTERM", "SIGSTOP", "SIGCONT", "SIGTSTP", "SIGSEGV", "SIGINT"];
const SIZES = [0, 1, 3, 7, 8, 12, 16, 64, 100, 512, 4096, 5000, 8192, 65536];
const WILD: Json[] = [-1, -2, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40, "0x7fffffffffffffff", "0x8000000000000000", "0xffffffffffffffff", "-9223372036854775808"];
const BAD_ADDRESSES: Json[] = [0, 1, 0x1000, "0x7ffffffff000", "0x7fffffffffff", "0x800000000000", "0xffff800000000000", "0xffffffffffffffff"];

/** Which file operations an argument wants, by its name; any when absent. */
const WANTED: { [name: string]: RegExp } = {
  sockfd: /sock/, epfd: /epoll/, timerfd: /timerfd/, pidfd: /pidfd/,
};

export function path({ c, names }: Setting): Json {
  if (c.often(15)) return c.pick(names);
  return c.often(92) ? c.pick(PATHS) : c.often(80) ? c.pick(ODD_PATHS) : { addr: c.pick(BAD_ADDRESSES) };
}

export function fd({ c, k, task }: Setting, name = "fd", ops = WANTED[name]): Json {
  if (c.often(6)) return c.pick([-1, 999, 1024, 2 ** 31 - 1, c.below(30)]);
  const all = descriptors(k, task);
  const fitting = ops === undefined ? all.filter((one) => one.fd > 2 || c.often(20)) : all.filter((one) => ops.test(one.ops));
  const list = fitting.length > 0 && c.often(92) ? fitting : all;
  return list.length === 0 ? 0 : c.pick(list).fd;
}

export function address({ c, k, task }: Setting): Json {
  const all = regions(k, task);
  if (all.length === 0 || c.often(10)) return c.pick(BAD_ADDRESSES);
  const { start, length } = c.pick(all);
  const page = 4096 * c.below(Math.max(1, Math.min(length / 4096, 64)));
  return start + page + (c.often(15) ? c.below(4096) : 0);
}

export function bytes({ c }: Setting): Json {
  if (c.often(5)) return { zero: c.pick([0, 4095, 4096, 4097, 65536]) };
  const length = c.pick([0, 1, 2, 4, 8, 8, 13, 64, 300]);
  let hex = "";
  for (let at = 0; at < length; at++) hex += c.below(256).toString(16).padStart(2, "0");
  return { hex };
}

function pid({ c, k }: Setting): Json {
  if (c.often(15)) return 0;
  if (c.often(8)) return c.pick([-1, 1, 2, 99999, 2 ** 31 - 1]);
  return c.pick([...k.state.sched.tasks.keys()]);
}

const INTEGERS: { [name: string]: (setting: Setting) => Json } = {
  pid, tid: pid, tgid: pid, pgid: pid, who: pid, id: pid,
  uid: ({ c }) => c.pick([0, 0, 1000, 1001, -1]),
  timeout: ({ c }) => c.pick([0, 0, 0, 1, 5, 100, -1]),
  shmid: ({ c }) => c.below(8), semid: ({ c }) => c.below(8), msqid: ({ c }) => c.below(8),
  semnum: ({ c }) => c.below(4), nsems: ({ c }) => 1 + c.below(4),
  key: ({ c }) => c.pick([0, 0, 1, 2, 3, 4]),
  signum: (s) => signal(s), sig: (s) => signal(s),
  backlog: ({ c }) => c.pick([0, 1, 5, 128]),
  maxevents: ({ c }) => c.pick([1, 4, 16, 0, -1]),
  nfds: ({ c }) => c.pick([0, 4, 10, 64]),
  seconds: ({ c }) => c.pick([0, 1, 10]),
  wd: ({ c }) => 1 + c.below(4),
  newfd: ({ c }) => c.pick([3, 5, 10, 20, 30]),
};

function integer(s: Setting, name: string): Json {
  const known = INTEGERS[name];
  if (known !== undefined && s.c.often(95)) return known(s);
  return s.c.often(94) ? s.c.pick([0, 0, 1, 1, 2, 3, 4, 8, 100, 4096]) : s.c.pick(WILD);
}

export function signal({ c }: Setting): Json {
  return c.often(92) ? c.pick(SIGNALS) : c.often(85) ? c.pick(RARE_SIGNALS) : c.pick([0, 65, -1, 32]);
}

function names({ c }: Setting, all: readonly string[]): Json {
  if (all.length === 0 || c.often(25)) return 0;
  if (c.often(3)) return c.pick([-1, 2 ** 31 - 1, 0x40000000]);
  return Array.from({ length: c.pick([1, 1, 1, 2, 2, 3]) }, () => c.pick(all)).join("|");
}

export function socketAddress({ c }: Setting): Json {
  if (c.often(50)) return { sin_family: "AF_INET", sin_port: c.pick([0, 8081, 8082, 8083]), sin_addr: c.pick(["127.0.0.1", "0.0.0.0", "127.0.0.1", "10.0.0.1"]) };
  return { sun_family: "AF_UNIX", sun_path: c.pick(["s", "@one", "@two", "d/s", ""]) };
}

/** A structure by its fields, as the catalogue tells them. */
function structure(s: Setting, name: string, fields: Json): Json {
  const { c } = s;
  if (/sockaddr/.test(name)) return socketAddress(s);
  if (/sigset/.test(name)) return Array.from({ length: c.below(3) }, () => c.pick(SIGNALS));
  if (/sigaction/.test(name)) return { sa_handler: c.pick(["SIG_DFL", "SIG_IGN", "count"]), sa_flags: c.pick(["0", "SA_RESTART", "SA_NOCLDWAIT", "SA_RESETHAND", "SA_NODEFER"]), sa_mask: [] };
  if (/fd_set/.test(name)) return Array.from({ length: c.below(3) }, () => fd(s)).filter((one) => typeof one === "number" && one >= 0 && one < 64);
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return c.often(50) ? null : { zero: c.pick([4, 8, 16, 64]) };
  return Object.fromEntries(Object.entries(fields).filter(() => c.often(85)).map(([field, kind]) => [field, fieldValue(s, field, kind)]));
}

function fieldValue(s: Setting, field: string, kind: Json): Json {
  const { c } = s;
  if (typeof kind === "object") return structure(s, field, kind);
  if (kind === "string") return c.pick(["", "a", "name"]);
  if (kind === "bytes") return { zero: 0 };
  if (kind === "integers") return [];
  if (/nsec|usec/.test(field)) return c.pick([0, 0, 1000, 500_000, 999_999, 999_999_999, 1_000_000_000]);
  if (/_sec$|^seconds$/.test(field)) return c.pick([0, 0, 0, 1, 3]);
  if (field === "fd") return fd(s);
  if (/pid/.test(field)) return pid(s);
  return c.often(90) ? c.pick([0, 1, 2, 3, 8, 100]) : c.pick([-1, 2 ** 31, 65535]);
}

function pointer(s: Setting): Json {
  return s.c.often(10) ? null : { addr: address(s) };
}

/** The value of one argument; undefined leaves it out. */
export function argument(s: Setting, arg: ArgumentView): Json | undefined {
  const { c } = s;
  const { kind, name } = arg;
  if (arg.optional && c.often(12)) return undefined;
  switch (kind) {
    case "int": case "uint": return integer(s, name);
    case "long": case "ulong": case "off": return INTEGERS[name] !== undefined || c.often(50) ? integer(s, name) : c.pick([0, 1, 10, 4096, 8192, 100_000]);
    case "size":
      if (arg.sizedBy !== undefined && c.often(90)) return undefined;
      return c.often(96) ? c.pick(SIZES) : c.pick(WILD);
    case "address": return address(s);
    case "fd": return fd(s, name);
    case "dirfd": return c.often(80) ? undefined : fd(s);
    case "flags": return names(s, arg.names ?? []);
    case "choice": return arg.names !== undefined && arg.names.length > 0 && c.often(95) ? c.pick(arg.names) : c.pick([0, 1, 2, -1, 99, 12345]);
    case "mode": return c.pick(["0644", "0755", "0700", "0", "0777", "S_IFIFO|0644", "S_IFREG|0600"]);
    case "signal": return signal(s);
    case "path": return path(s);
    case "bytes": return c.often(94) ? bytes(s) : pointer(s);
    case "struct": case "inout-struct": return c.often(90) ? structure(s, arg.struct?.name ?? name, arg.struct?.fields ?? null) : pointer(s);
    case "array": case "inout-array":
      return c.often(94) ? Array.from({ length: c.below(4) }, () => structure(s, arg.struct?.name ?? name, arg.struct?.fields ?? null)) : pointer(s);
    case "iovec": return c.often(95) ? Array.from({ length: c.below(4) }, () => bytes(s)) : pointer(s);
    case "out-iovec": return c.often(95) ? Array.from({ length: c.below(4) }, () => ({ iov_len: c.pick(SIZES) })) : pointer(s);
    case "strings": return ["a", "b"].slice(c.below(3));
    case "inout-integer": return c.often(60) ? undefined : { i64: c.pick([0, 1, 100, -1]) };
    default: return kind.startsWith("out-") ? (c.often(92) ? undefined : pointer(s)) : special(s, arg);
  }
}

function message(s: Setting): Json {
  return {
    ...(s.c.often(30) ? { msg_name: socketAddress(s) } : {}), msg_iov: Array.from({ length: s.c.below(3) }, () => bytes(s)),
    ...(s.c.often(40) ? { msg_control: [{ level: "SOL_SOCKET", type: "SCM_RIGHTS", fds: [fd(s)] }] } : {}),
  };
}

/** Arguments of a kind of their own: as a structure of their name, or left out. */
function special(s: Setting, arg: ArgumentView): Json | undefined {
  const { c } = s;
  switch (arg.kind) {
    case "value-or-bytes": return c.pick<Json>([0, 1, { out: 8 }, { out: 64 }, { in: { i32: c.below(3) } }, { inout: bytes(s) }, { addr: address(s) }]);
    case "value-or-struct": return c.pick<Json>([0, 1, 10, 1024, 4096, { l_type: c.pick(["F_RDLCK", "F_WRLCK", "F_UNLCK"]), l_whence: "SEEK_SET", l_start: c.below(20), l_len: c.below(20) }]);
    case "fd-set": return structure(s, "fd_set", null);
    case "sigset": return structure(s, "sigset", null);
    case "msghdr": return message(s);
    case "mmsghdr": return Array.from({ length: c.below(3) }, () => ({ msg_hdr: message(s) }));
    case "integers": return Array.from({ length: c.below(3) }, () => c.pick([0, 1000, 100]));
    case "dev_t": return { major: c.pick([1, 1, 10, 240]), minor: c.pick([3, 5, 7, 0]) };
    case "any": return c.pick<Json>([0, 1, 5, [1, 2], [0, 0, 0]]);
  }
  if (arg.struct !== undefined) return structure(s, arg.struct.name, arg.struct.fields);
  if (/sockaddr/.test(arg.kind)) return socketAddress(s);
  if (/sigset/.test(arg.kind)) return structure(s, "sigset", null);
  return s.c.often(70) ? undefined : s.c.pick<Json>([0, 1, { out: 8 }, { in: { i32: 1 } }, bytes(s)]);
}
