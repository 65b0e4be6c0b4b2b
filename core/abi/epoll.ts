/** epoll(7) and poll(2): event bits and layouts. */
import type { ChoiceTable, FlagTable } from "./flags.ts";
import { layout } from "./layout.ts";

export const EPOLLIN = 0x1;
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLNVAL = 0x20;
export const EPOLLRDNORM = 0x40;
export const EPOLLRDBAND = 0x80;
export const EPOLLWRNORM = 0x100;
export const EPOLLWRBAND = 0x200;
export const EPOLLMSG = 0x400;
export const EPOLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 0x10000000;
export const EPOLLWAKEUP = 0x20000000;
export const EPOLLONESHOT = 0x40000000;
export const EPOLLET = 0x80000000;
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const POLLIN = 0x1;
export const POLLPRI = 0x2;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;
export const POLLRDNORM = 0x40;
export const POLLRDBAND = 0x80;
export const POLLWRNORM = 0x100;
export const POLLWRBAND = 0x200;
export const POLLMSG = 0x400;
export const POLLREMOVE = 0x1000;
export const POLLRDHUP = 0x2000;
export const POLL_BUSY_LOOP = 0x8000;

export const epollEvents: FlagTable = {
  prefix: "EPOLL",
  flags: {
    EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLNVAL, EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLMSG,
    EPOLLRDHUP, EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET,
  },
};
export const epollCreateFlags: FlagTable = { prefix: "EPOLL_", flags: { EPOLL_CLOEXEC } };
export const epollOperations: ChoiceTable = { prefix: "EPOLL_CTL_", values: { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } };
export const pollEvents: FlagTable = {
  prefix: "POLL",
  flags: {
    POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLMSG, POLLREMOVE, POLLRDHUP,
    POLL_BUSY_LOOP,
  },
};

/** Packed on x86-64: 12 bytes, so `data` is not aligned. */
export const epollEventLayout = layout(12, { events: [0, "u32"], data: [4, "u64"] });
export const pollfdLayout = layout(8, { fd: [0, "i32"], events: [4, "i16"], revents: [6, "i16"] });
