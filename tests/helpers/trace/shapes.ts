/** Calls whose recorded arguments are shaped unlike the man page's. */
import type { Json } from "../../../core/input.ts";
import type { Value } from "./scenario.ts";
import type { Symbols } from "./symbols.ts";
import { apiInteger, bytes, fileTime, flock, plain, rawTimespec, socketAddress, timespec, type Args } from "./values.ts";

export interface Call {
  call: string;
  args: { [name: string]: Json };
}

/** By the recorded name. */
export const SHAPED: { [call: string]: (symbols: Symbols, args: Args) => Call } = {
  readv: (symbols, args) => vector("readv", symbols, args),
  preadv: (symbols, args) => vector("preadv", symbols, args),
  preadv2: (symbols, args) => vector("preadv2", symbols, args),
  writev: (symbols, args) => outVector("writev", symbols, args),
  pwritev: (symbols, args) => outVector("pwritev", symbols, args),
  pwritev2: (symbols, args) => outVector("pwritev2", symbols, args),
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
      arg: lock !== undefined ? flock(symbols, lock) : plain(symbols, "", arg ?? 0),
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
  timerfd_gettime: (symbols, { fd }) => ({ call: "timerfd_gettime", args: { fd: plain(symbols, "", fd) } }),
  epoll_wait: (symbols, args) => waitEvents("epoll_wait", symbols, args),
  epoll_pwait: (symbols, args) => waitEvents("epoll_pwait", symbols, args),
  ppoll,
  signalfd4: (symbols, { fd = -1, mask, flags = 0 }) => ({
    call: "signalfd4", args: { fd: plain(symbols, "", fd), mask: plain(symbols, "", mask), flags: plain(symbols, "", flags) },
  }),
  rt_sigtimedwait: (symbols, { mask, set = mask, timeout_ms }) => ({
    call: "rt_sigtimedwait",
    args: { set: plain(symbols, "", set), ...(timeout_ms === undefined ? {} : { timeout: timespec(timeout_ms, 0) }) },
  }),
  utimensat: (symbols, { path, times, ...rest }) => ({
    call: "utimensat",
    args: {
      ...optional(symbols, rest), pathname: path === undefined ? null : plain(symbols, "", path),
      ...(times === undefined || times === null ? {} : { times: (times as Value[]).map(fileTime) }),
    },
  }),
  nanosleep: (_symbols, { ms, ns }) => ({ call: "nanosleep", args: { req: timespec(ms, ns) } }),
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

function vector(call: string, symbols: Symbols, { lens = [], ...rest }: Args): Call {
  return { call, args: { iov: (lens as number[]).map((len) => ({ iov_len: len })), ...optional(symbols, rest) } };
}

function outVector(call: string, symbols: Symbols, { data_b64 = [], ...rest }: Args): Call {
  return { call, args: { iov: (data_b64 as string[]).map((base64) => ({ base64 })), ...optional(symbols, rest) } };
}

/** Without maxevents, the recorder had room for 64. */
function waitEvents(call: string, symbols: Symbols, { buf, maxevents = 64, mask, sigmask = mask, ...rest }: Args): Call {
  return {
    call,
    args: {
      ...optional(symbols, rest), maxevents: plain(symbols, "", maxevents),
      ...(buf === undefined ? {} : { events: plain(symbols, "buf", buf) }),
      ...(sigmask === undefined ? {} : { sigmask: plain(symbols, "", sigmask) }),
    },
  };
}

/** The arguments that are given, under their own names. */
function optional(symbols: Symbols, given: Args): { [name: string]: Json } {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, plain(symbols, name, value)]));
}

function ppoll(symbols: Symbols, { fds, timeout_ms, mask, sigmask = mask, ...rest }: Args): Call {
  return {
    call: "ppoll",
    args: {
      ...optional(symbols, rest),
      fds: ((fds ?? []) as [Value, Value][]).map(([fd, events]) => ({ fd: plain(symbols, "", fd), events: plain(symbols, "", events) })),
      ...(timeout_ms === undefined ? {} : { tmo_p: timespec(timeout_ms, 0) }),
      ...(sigmask === undefined ? {} : { sigmask: plain(symbols, "", sigmask) }),
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
