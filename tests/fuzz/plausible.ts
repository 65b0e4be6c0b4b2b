/** Calls as programs make them: what keeps a kernel busy with open files, mappings, children and connections. */
import type { CallRequest, Json } from "../../core/input.ts";
import { address, bytes, fd, path, signal, socketAddress, type Setting } from "./values.ts";

type Maker = (s: Setting) => CallRequest;

const call = (name: string, args: { [name: string]: Json } = {}): CallRequest => ({ call: name, args });

/** [weight, maker] */
export const PLAUSIBLE: readonly (readonly [number, Maker])[] = [
  [10, (s) => call("openat", { pathname: path(s), flags: s.c.pick(["O_RDWR|O_CREAT", "O_RDONLY", "O_RDWR|O_NONBLOCK", "O_WRONLY|O_CREAT|O_APPEND", "O_RDWR|O_CREAT|O_TRUNC"]), mode: "0644" })],
  [6, (s) => call("close", { fd: s.c.often(85) ? 3 + s.c.below(30) : fd(s) })],
  [10, (s) => call("write", { fd: fd(s), buf: bytes(s) })],
  [10, (s) => call("read", { fd: fd(s), count: s.c.pick([0, 1, 8, 100, 4096]) })],
  [4, (s) => call("pread64", { fd: fd(s), count: s.c.pick([1, 100, 5000]), offset: s.c.pick([0, 1, 4000, 100_000]) })],
  [4, (s) => call("pwrite64", { fd: fd(s), buf: bytes(s), offset: s.c.pick([0, 1, 4000, 100_000]) })],
  [3, (s) => call("lseek", { fd: fd(s), offset: s.c.pick([0, 10, -1, 4096]), whence: s.c.pick(["SEEK_SET", "SEEK_CUR", "SEEK_END"]) })],
  [3, (s) => call("ftruncate", { fd: fd(s), length: s.c.pick([0, 10, 4096, 9000]) })],
  [2, (s) => call("fstat", { fd: fd(s) })],
  [3, (s) => call("newfstatat", { pathname: path(s) })],
  [3, (s) => call("mkdir", { pathname: s.c.pick(["d", "e", "d/z"]), mode: "0755" })],
  [2, (s) => call("unlink", { pathname: s.c.pick(["a", "b", "c", "l", "d/x", "/tmp/one"]) })],
  [2, (s) => call("rename", { oldpath: s.c.pick(["a", "b", "c", "d", "l"]), newpath: s.c.pick(["a", "b", "c", "d/x"]) })],
  [2, (s) => call("symlink", { target: path(s), linkpath: s.c.pick(["l", "d/l"]) })],
  [2, (s) => call("link", { oldpath: s.c.pick(["a", "b"]), newpath: s.c.pick(["c", "d/x"]) })],
  [2, (s) => call("getdents64", { fd: fd(s), count: 4096 })],
  [3, (s) => call("pipe2", { flags: s.c.pick(["0", "O_NONBLOCK", "O_NONBLOCK|O_CLOEXEC"]) })],
  [2, (s) => call("dup", { oldfd: fd(s) })],
  [2, (s) => call("dup2", { oldfd: fd(s), newfd: 3 + s.c.below(30) })],
  [3, (s) => call("fcntl", { fd: fd(s), cmd: s.c.pick(["F_GETFL", "F_GETFD", "F_SETFL", "F_SETFD", "F_DUPFD"]), arg: s.c.pick([0, 0, 1, 10, 2048]) })],
  [4, (s) => call("poll", { fds: [{ fd: fd(s), events: "POLLIN|POLLOUT" }, { fd: fd(s), events: "POLLIN" }], timeout: s.c.pick([0, 0, 0, 5]) })],
  [2, () => call("epoll_create1")],
  [3, (s) => call("epoll_ctl", { epfd: fd(s, "epfd"), op: s.c.pick(["EPOLL_CTL_ADD", "EPOLL_CTL_MOD", "EPOLL_CTL_DEL"]), fd: fd(s), event: { events: s.c.pick(["EPOLLIN", "EPOLLIN|EPOLLOUT|EPOLLET", "EPOLLOUT|EPOLLONESHOT"]), data: s.c.below(100) } })],
  [3, (s) => call("epoll_wait", { epfd: fd(s, "epfd"), maxevents: 8, timeout: s.c.pick([0, 0, 0, 10]) })],
  [2, (s) => call("eventfd2", { initval: s.c.below(5), flags: s.c.pick(["0", "EFD_NONBLOCK", "EFD_SEMAPHORE"]) })],
  [2, (s) => call("write", { fd: fd(s, "fd", /eventfd/), buf: { u64: s.c.pick([0, 1, 5]) } })],
  [1, () => call("timerfd_create", { clockid: "CLOCK_MONOTONIC", flags: "TFD_NONBLOCK" })],
  [2, (s) => call("timerfd_settime", { fd: fd(s, "fd", /timerfd/), flags: "0", new_value: { it_value: { tv_sec: 0, tv_nsec: 1_000_000 * s.c.below(40) }, it_interval: { tv_sec: 0, tv_nsec: s.c.pick([0, 5_000_000]) } } })],
  [6, (s) => call("mmap", { length: s.c.pick([4096, 8192, 65536]), prot: s.c.pick(["PROT_READ|PROT_WRITE", "PROT_READ|PROT_WRITE", "PROT_READ", "PROT_NONE"]), flags: s.c.pick(["MAP_PRIVATE|MAP_ANONYMOUS", "MAP_SHARED|MAP_ANONYMOUS"]), fd: -1 })],
  [3, (s) => call("mmap", { length: s.c.pick([4096, 16384]), prot: s.c.pick(["PROT_READ", "PROT_READ|PROT_WRITE"]), flags: s.c.pick(["MAP_PRIVATE", "MAP_SHARED"]), fd: fd(s), offset: s.c.pick([0, 0, 4096]) })],
  [4, (s) => call("munmap", { addr: page(s), length: s.c.pick([4096, 8192]) })],
  [3, (s) => call("mprotect", { addr: page(s), len: s.c.pick([4096, 8192]), prot: s.c.pick(["PROT_READ", "PROT_READ|PROT_WRITE", "PROT_NONE"]) })],
  [2, (s) => call("madvise", { addr: page(s), length: 4096, advice: s.c.pick(["MADV_DONTNEED", "MADV_NORMAL", "MADV_WILLNEED"]) })],
  [2, (s) => call("mremap", { old_address: page(s), old_size: 4096, new_size: s.c.pick([4096, 8192, 65536]), flags: s.c.pick(["0", "MREMAP_MAYMOVE"]) })],
  [6, (s) => call("store", { addr: address(s), buf: bytes(s) })],
  [6, (s) => call("load", { addr: address(s), length: s.c.pick([1, 8, 100]) })],
  [3, (s) => call("socket", { domain: s.c.pick(["AF_INET", "AF_UNIX"]), type: s.c.pick(["SOCK_STREAM", "SOCK_DGRAM", "SOCK_STREAM|SOCK_NONBLOCK"]), protocol: 0 })],
  [2, (s) => call("socketpair", { domain: "AF_UNIX", type: s.c.pick(["SOCK_STREAM", "SOCK_DGRAM", "SOCK_STREAM|SOCK_NONBLOCK"]), protocol: 0 })],
  [3, (s) => call("bind", { sockfd: fd(s, "sockfd"), addr: socketAddress(s) })],
  [2, (s) => call("listen", { sockfd: fd(s, "sockfd"), backlog: s.c.below(5) })],
  [3, (s) => call("connect", { sockfd: fd(s, "sockfd"), addr: socketAddress(s) })],
  [2, (s) => call("accept4", { sockfd: fd(s, "sockfd"), flags: s.c.pick(["0", "SOCK_NONBLOCK"]) })],
  [4, (s) => call("sendto", { sockfd: fd(s, "sockfd"), buf: bytes(s), flags: "MSG_NOSIGNAL|MSG_DONTWAIT" })],
  [4, (s) => call("recvfrom", { sockfd: fd(s, "sockfd"), len: 100, flags: "MSG_DONTWAIT" })],
  [1, (s) => call("shutdown", { sockfd: fd(s, "sockfd"), how: s.c.pick(["SHUT_RD", "SHUT_WR", "SHUT_RDWR"]) })],
  [2, (s) => call("shmget", { key: s.c.below(4), size: s.c.pick([4096, 5000]), shmflg: "IPC_CREAT|0600" })],
  [2, (s) => call("shmat", { shmid: s.c.below(6), shmaddr: null, shmflg: "0" })],
  [2, (s) => call("msgget", { key: s.c.below(4), msgflg: "IPC_CREAT|0600" })],
  [2, (s) => call("msgsnd", { msqid: s.c.below(4), msgp: { mtype: 1 + s.c.below(3), mtext: bytes(s) }, msgflg: "IPC_NOWAIT" })],
  [2, (s) => call("msgrcv", { msqid: s.c.below(4), msgsz: 400, msgtyp: s.c.below(3), msgflg: "IPC_NOWAIT" })],
  [2, (s) => call("semget", { key: s.c.below(4), nsems: 2, semflg: "IPC_CREAT|0600" })],
  [2, (s) => call("semop", { semid: s.c.below(4), sops: [{ sem_num: s.c.below(2), sem_op: s.c.pick([1, 2, -1, 0]), sem_flg: "IPC_NOWAIT" }] })],
  [2, () => call("fork")],
  [1, (s) => call("clone", { flags: s.c.pick(["SIGCHLD", "CLONE_FILES|SIGCHLD", "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD"]) })],
  [3, (s) => call("wait4", { pid: -1, options: s.c.pick(["WNOHANG", "WNOHANG", "WNOHANG|WUNTRACED", "0"]) })],
  [2, (s) => call("kill", { pid: s.task.tgid, sig: signal(s) })],
  [3, (s) => call("rt_sigaction", { signum: signal(s), act: { sa_handler: s.c.pick(["count", "SIG_IGN", "count"]), sa_flags: s.c.pick(["0", "SA_RESTART"]) } })],
  [2, (s) => call("rt_sigprocmask", { how: s.c.pick(["SIG_BLOCK", "SIG_UNBLOCK"]), set: [s.c.pick(["SIGUSR1", "SIGUSR2"])] })],
  [2, (s) => call("nanosleep", { req: { tv_sec: 0, tv_nsec: s.c.pick([0, 1000, 20_000_000]) } })],
  [4, (s) => call(s.c.pick(["getpid", "getppid", "gettid", "getuid", "umask", "sched_yield", "times", "getcwd", "uname"]))],
  [1, () => call("inotify_init1", { flags: "IN_NONBLOCK" })],
  [2, (s) => call("inotify_add_watch", { fd: fd(s, "fd", /inotify/), pathname: path(s), mask: s.c.pick(["IN_ALL_EVENTS", "IN_CREATE|IN_DELETE"]) })],
  [1, (s) => call("sendfile", { out_fd: fd(s), in_fd: fd(s), count: 100 })],
  [1, (s) => call("futex", { uaddr: address(s), futex_op: s.c.pick(["FUTEX_WAKE", "FUTEX_WAIT"]), val: s.c.below(2), timeout: { tv_sec: 0, tv_nsec: 1_000_000 } })],
];

/** The beginning of a page that is mapped, or nearly. */
function page(s: Setting): Json {
  const at = address(s);
  return typeof at === "number" ? Math.floor(at / 4096) * 4096 : at;
}
