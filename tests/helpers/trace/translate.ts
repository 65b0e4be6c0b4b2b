/** From a scenario's step to the call that API.md describes, by man-page argument names. */
import type { Json } from "../../../core/input.ts";
import type { Step, Value } from "./scenario.ts";
import type { Symbols } from "./symbols.ts";

export interface Call {
  call: string;
  args: { [name: string]: Json };
}

/** An integer as API.md takes it: a number while safe, else a decimal string. */
export function apiInteger(value: bigint): Json {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value.toString();
}

type Args = { [name: string]: Value };

/** How a scenario's argument is written, by its name there; the API's name when it differs, and a reader of its value. */
const RENAMED: { [call: string]: { [name: string]: string } } = {
  openat: { path: "pathname", pathptr: "pathname" },
  newfstatat: { path: "pathname", buf: "statbuf" },
  fstat: { buf: "statbuf" },
  accept4: { fd: "sockfd" }, bind: { fd: "sockfd" }, listen: { fd: "sockfd" }, connect: { fd: "sockfd" }, shutdown: { fd: "sockfd" },
  getsockname: { fd: "sockfd" }, getpeername: { fd: "sockfd" }, getsockopt: { fd: "sockfd" }, setsockopt: { fd: "sockfd" },
  recvfrom: { fd: "sockfd", count: "len" }, sendto: { fd: "sockfd", count: "len", addr: "dest_addr" },
  mkdir: { path: "pathname" }, rmdir: { path: "pathname" }, unlink: { path: "pathname" }, unlinkat: { path: "pathname" },
  access: { path: "pathname" }, chmod: { path: "pathname" }, readlink: { path: "pathname" }, mknod: { path: "pathname" },
  pipe2: { buf: "pipefd" },
  mremap: { addr: "old_address" },
  umask: { mode: "mask" },
  fallocate: { length: "len" },
  shmat: { addr: "shmaddr" }, shmdt: { addr: "shmaddr" },
  epoll_wait: { buf: "events" },
  load: { len: "length" },
  timerfd_gettime: {},
  msgsnd: { flags: "msgflg" }, msgrcv: { flags: "msgflg", count: "msgsz", mtype: "msgtyp" },
};

const POINTERS = new Set(["buf", "pathptr", "event", "argp"]);

function bytes(symbols: Symbols, args: Args): Json | undefined {
  if (typeof args.buf === "string") return { addr: apiInteger(symbols.integer(args.buf)) };
  if (typeof args.data_b64 === "string") return { base64: args.data_b64 };
  const data = args.data as { fill: string; len: number } | undefined;
  if (data !== undefined) return { base64: Buffer.alloc(Number(data.len), data.fill).toString("base64") };
  return undefined;
}

/** One argument as JSON: symbols become numbers, names stay names, pointers become `{ addr }`. */
function plain(symbols: Symbols, name: string, value: Value): Json {
  if (POINTERS.has(name)) return { addr: apiInteger(symbols.integer(value)) };
  if (typeof value === "string") {
    const number = symbols.find(value);
    return number === undefined ? value.replaceAll("0o", "0") : apiInteger(number);
  }
  if (typeof value === "bigint") return apiInteger(value);
  if (Array.isArray(value)) return value.map((item) => plain(symbols, "", item));
  return value as Json;
}

function socketAddress(symbols: Symbols, text: string): Json {
  if (text.startsWith("unix:")) return { sun_family: "AF_UNIX", sun_path: text.slice(5) };
  const [, addr, port] = text.split(":");
  return { sin_family: "AF_INET", sin_port: Number(symbols.integer(/^\d+$/.test(port) ? Number(port) : port)), sin_addr: addr };
}

function timespec(ms: Value | undefined, ns: Value | undefined): Json {
  const total = BigInt((ms ?? 0) as number) * 1_000_000n + BigInt((ns ?? 0) as number);
  return { tv_sec: Number(total / 1_000_000_000n), tv_nsec: Number(total % 1_000_000_000n) };
}

/** Calls whose arguments are shaped unlike the man page's. */
const SHAPED: { [call: string]: (symbols: Symbols, args: Args) => Call } = {
  readv: (symbols, args) => vector("readv", symbols, args),
  preadv: (symbols, args) => vector("preadv", symbols, args),
  writev: (symbols, { fd, data_b64 = [], iovcnt }) => ({
    call: "writev",
    args: {
      fd: plain(symbols, "fd", fd), iov: (data_b64 as string[]).map((base64) => ({ base64 })),
      ...(iovcnt === undefined ? {} : { iovcnt: plain(symbols, "", iovcnt) }),
    },
  }),
  recv: (symbols, { fd, count, flags, buf }) => ({
    call: "recvfrom",
    args: {
      sockfd: plain(symbols, "", fd), len: plain(symbols, "", count), flags: plain(symbols, "", flags ?? 0), src_addr: null, addrlen: null,
      ...(buf === undefined ? {} : { buf: plain(symbols, "buf", buf) }),
    },
  }),
  recvfrom: (symbols, { fd, count, flags, want_addr }) => ({
    call: "recvfrom",
    args: {
      sockfd: plain(symbols, "", fd), len: plain(symbols, "", count), flags: plain(symbols, "", flags ?? 0),
      ...(want_addr === undefined ? { src_addr: null, addrlen: null } : {}),
    },
  }),
  send: (symbols, args) => ({
    call: "sendto",
    args: { sockfd: plain(symbols, "", args.fd), buf: bytes(symbols, args) ?? null, flags: plain(symbols, "", args.flags ?? 0) },
  }),
  sendto: (symbols, args) => ({
    call: "sendto",
    args: {
      sockfd: plain(symbols, "", args.fd), buf: bytes(symbols, args) ?? null, flags: plain(symbols, "", args.flags ?? 0),
      dest_addr: socketAddress(symbols, args.addr as string),
    },
  }),
  bind: (symbols, args) => addressed("bind", symbols, args),
  connect: (symbols, args) => addressed("connect", symbols, args),
  u64read: (symbols, { fd }) => ({ call: "read", args: { fd: plain(symbols, "", fd), count: 8 } }),
  u64write: (symbols, { fd, value }) => ({
    call: "write", args: { fd: plain(symbols, "", fd), buf: { u64: apiInteger(symbols.integer(value)) } },
  }),
  signalfd_read: (symbols, { fd }) => ({ call: "read", args: { fd: plain(symbols, "", fd), count: 128 } }),
  inotify_read: (symbols, { fd }) => ({ call: "read", args: { fd: plain(symbols, "", fd), count: 4096 } }),
  ioctl: (symbols, { fd, request, argval, argp }) => ({
    call: "ioctl",
    args: {
      fd: plain(symbols, "", fd), request: plain(symbols, "", request),
      arg: argp !== undefined ? apiInteger(symbols.integer(argp)) : argval !== undefined ? { inout: { i32: apiInteger(symbols.integer(argval)) } } : { out: 8 },
    },
  }),
  fcntl: (symbols, { fd, cmd, arg, lock }) => ({
    call: "fcntl",
    args: {
      fd: plain(symbols, "", fd), cmd: plain(symbols, "", cmd),
      arg: lock !== undefined ? plain(symbols, "", lock) : plain(symbols, "", arg ?? 0),
    },
  }),
  poll: (symbols, { fds, timeout, nfds }) => ({
    call: "poll",
    args: {
      fds: ((fds ?? []) as [Value, Value][]).map(([fd, events]) => ({ fd: plain(symbols, "", fd), events: plain(symbols, "", events) })),
      timeout: plain(symbols, "", timeout ?? 0), ...(nfds === undefined ? {} : { nfds: plain(symbols, "", nfds) }),
    },
  }),
  select: (symbols, { nfds, readfds, writefds, exceptfds, timeout_ms }) => ({
    call: "select",
    args: {
      nfds: plain(symbols, "", nfds),
      ...(readfds === undefined ? {} : { readfds: plain(symbols, "", readfds) }),
      ...(writefds === undefined ? {} : { writefds: plain(symbols, "", writefds) }),
      ...(exceptfds === undefined ? {} : { exceptfds: plain(symbols, "", exceptfds) }),
      ...(timeout_ms === undefined ? {} : {
        timeout: { tv_sec: Math.floor(Number(timeout_ms) / 1000), tv_usec: (Number(timeout_ms) % 1000) * 1000 },
      }),
    },
  }),
  epoll_ctl: (symbols, { epfd, op, fd, events, data, event }) => ({
    call: "epoll_ctl",
    args: {
      epfd: plain(symbols, "", epfd), op: plain(symbols, "", op), fd: plain(symbols, "", fd),
      ...(event !== undefined ? { event: null }
        : { event: { events: plain(symbols, "", events ?? 0), data: plain(symbols, "", data ?? 0) } }),
    },
  }),
  sigaction: (symbols, { sig, handler, flags, mask }) => ({
    call: "rt_sigaction",
    args: {
      signum: plain(symbols, "", sig),
      act: { sa_handler: handler as string, sa_flags: plain(symbols, "", flags ?? 0), ...(mask === undefined ? {} : { sa_mask: plain(symbols, "", mask) }) },
    },
  }),
  rt_sigprocmask: (symbols, { how, mask }) => ({ call: "rt_sigprocmask", args: { how: plain(symbols, "", how), set: plain(symbols, "", mask) } }),
  prlimit64: (symbols, { pid, resource, cur, max }) => ({
    call: "prlimit64",
    args: {
      pid: plain(symbols, "", pid ?? 0), resource: plain(symbols, "", resource),
      ...(cur === undefined ? {} : { new_limit: { rlim_cur: plain(symbols, "", cur), rlim_max: plain(symbols, "", max) } }),
    },
  }),
  timerfd_settime: (symbols, { fd, flags, value_ms, value_ns, interval_ms }) => ({
    call: "timerfd_settime",
    args: {
      fd: plain(symbols, "", fd), flags: plain(symbols, "", flags ?? 0),
      new_value: { it_value: rawTimespec(value_ms, value_ns), it_interval: timespec(interval_ms, 0) }, old_value: null,
    },
  }),
  sendfile: (symbols, { out_fd, in_fd, offset, count }) => ({
    call: "sendfile",
    args: {
      out_fd: plain(symbols, "", out_fd), in_fd: plain(symbols, "", in_fd), count: plain(symbols, "", count),
      ...(offset === undefined ? {} : { offset: { i64: apiInteger(symbols.integer(offset)) } }),
    },
  }),
  getcwd: (symbols, { size }) => ({ call: "getcwd", args: { size: plain(symbols, "", size ?? 4096) } }),
  readlink: (symbols, { path, bufsiz }) => ({ call: "readlink", args: { pathname: path as string, bufsiz: plain(symbols, "", bufsiz ?? 4096) } }),
  getdents64: (symbols, { fd, count }) => ({ call: "getdents64", args: { fd: plain(symbols, "", fd), count: plain(symbols, "", count ?? 32768) } }),
  setsockopt: (symbols, { fd, level, optname, optval, optlen }) => ({
    call: "setsockopt",
    args: {
      sockfd: plain(symbols, "", fd), level: plain(symbols, "", level), optname: plain(symbols, "", optname),
      optval: { i32: apiInteger(symbols.integer(optval ?? 0)) }, ...(optlen === undefined ? {} : { optlen: plain(symbols, "", optlen) }),
    },
  }),
  wait4: (symbols, { pid, options }) => ({ call: "wait4", args: { pid: plain(symbols, "", pid), options: plain(symbols, "", options ?? 0) } }),
  exit: (symbols, { status }) => ({ call: "exit_group", args: { status: plain(symbols, "", status) } }),
  msgsnd: (symbols, args) => ({
    call: "msgsnd",
    args: {
      msqid: plain(symbols, "", args.msqid), msgp: { mtype: plain(symbols, "", args.mtype), mtext: { base64: args.data_b64 as string } },
      msgflg: plain(symbols, "", args.flags ?? 0),
    },
  }),
  msgrcv: (symbols, { msqid, count, mtype, flags }) => ({
    call: "msgrcv",
    args: { msqid: plain(symbols, "", msqid), msgsz: plain(symbols, "", count), msgtyp: plain(symbols, "", mtype ?? 0), msgflg: plain(symbols, "", flags ?? 0) },
  }),
  semop: (symbols, { semid, sops }) => ({
    call: "semop",
    args: {
      semid: plain(symbols, "", semid),
      sops: (sops as [Value, Value, Value][]).map(([num, op, flag]) => ({
        sem_num: plain(symbols, "", num), sem_op: plain(symbols, "", op), sem_flg: plain(symbols, "", flag),
      })),
    },
  }),
};

/** Nanoseconds are passed as they are, so that a value out of range reaches the kernel. */
function rawTimespec(ms: Value | undefined, ns: Value | undefined): Json {
  if (ns === undefined) return timespec(ms, 0);
  return { tv_sec: Math.floor(Number(ms ?? 0) / 1000), tv_nsec: Number(ns) };
}

function vector(call: string, symbols: Symbols, { fd, lens = [], iovcnt, offset }: Args): Call {
  return {
    call,
    args: {
      fd: plain(symbols, "", fd), iov: (lens as number[]).map((len) => ({ iov_len: len })),
      ...(iovcnt === undefined ? {} : { iovcnt: plain(symbols, "", iovcnt) }),
      ...(offset === undefined ? {} : { offset: plain(symbols, "", offset) }),
    },
  };
}

function addressed(call: string, symbols: Symbols, { fd, addr, addrlen }: Args): Call {
  return {
    call,
    args: {
      sockfd: plain(symbols, "", fd), addr: socketAddress(symbols, addr as string),
      ...(addrlen === undefined ? {} : { addrlen: plain(symbols, "", addrlen) }),
    },
  };
}

/** The call that a step makes; pseudo calls (`$maps` …) are the player's own. */
export function translate(symbols: Symbols, { call, args }: Step): Call {
  if (Object.hasOwn(SHAPED, call)) return SHAPED[call](symbols, args);
  const renamed = RENAMED[call] ?? {};
  const made: { [name: string]: Json } = {};
  const given = bytes(symbols, args);
  if (given !== undefined && !("pathptr" in args) && !("buf" in renamed)) made.buf = given;
  for (const [name, value] of Object.entries(args)) {
    if (name === "data_b64" || name === "data" || (name === "buf" && made.buf !== undefined)) continue;
    made[renamed[name] ?? name] = plain(symbols, name, value);
  }
  return { call, args: made };
}
