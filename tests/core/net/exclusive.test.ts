/** Wake-ups that go to one of several: none is lost on somebody who does not wait. */
import { expect, test } from "vitest";
import { Sockets } from "./sockets.ts";

const watch = (m: Sockets, pid: number, fd: number, events: string): number => {
  const epfd = m.ok("epoll_create1", {}, pid);
  m.ok("epoll_ctl", { epfd, op: "EPOLL_CTL_ADD", fd, event: { events, data: epfd } }, pid);
  return epfd;
};

test("an exclusive watch on which nobody waits does not keep an accept asleep", async () => {
  const m = await Sockets.boot();
  const listener = m.listener(2000);
  watch(m, m.pid, listener, "EPOLLIN|EPOLLEXCLUSIVE");
  const acceptor = m.fork();
  const accept = m.sleeps("accept", { sockfd: listener }, acceptor);
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  expect(m.after(accept).state).toBe("returned");
});

test("of two exclusive watches the one that is waited on is woken", async () => {
  const m = await Sockets.boot();
  const listener = m.listener(2000);
  watch(m, m.pid, listener, "EPOLLIN|EPOLLEXCLUSIVE");
  const second = watch(m, m.pid, listener, "EPOLLIN|EPOLLEXCLUSIVE");
  const waiter = m.fork();
  const wait = m.sleeps("epoll_wait", { epfd: second, maxevents: 4, timeout: -1 }, waiter);
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  expect(m.after(wait).ret).toBe(1);
});

test("of two that wait by exclusive watches one is woken", async () => {
  const m = await Sockets.boot();
  const listener = m.listener(2000);
  const waits = [1, 2].map(() => {
    const epfd = watch(m, m.pid, listener, "EPOLLIN|EPOLLEXCLUSIVE");
    return m.sleeps("epoll_wait", { epfd, maxevents: 4, timeout: -1 }, m.fork());
  });
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  expect(waits.map((wait) => m.stand(wait).state)).toEqual(["returned", "sleeping"]);
});
