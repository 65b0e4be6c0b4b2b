/** Urgent data of TCP as Linux 6.1 answered: the mark, MSG_OOB, SO_OOBINLINE, POLLPRI, FIONREAD, SIGURG. */
import { expect, test } from "vitest";
import { Sockets, textOf } from "./sockets.ts";

class Urgent extends Sockets {
  near = 0;
  far = 0;

  static async connected(): Promise<Urgent> {
    const m = new Urgent();
    m.pid = await m.createProcess();
    [m.near, m.far] = m.connection();
    m.ok("fcntl", { fd: m.far, cmd: "F_SETFL", arg: "O_NONBLOCK" });
    return m;
  }

  send(text: string, flags = "0"): void {
    this.ok("sendto", { sockfd: this.near, buf: text, flags });
  }

  oob(text: string): void {
    this.send(text, "MSG_OOB");
  }

  /** The bytes of a receive, or its errno. */
  take(len: number, flags = "0"): string {
    const answer = this.do("recvfrom", { sockfd: this.far, len, flags });
    return answer.errno ?? textOf(answer.buf);
  }

  number(request: string): number {
    const { arg } = this.do("ioctl", { fd: this.far, request, arg: { out: 4 } });
    return Buffer.from((arg as { base64: string }).base64, "base64").readInt32LE();
  }

  /** Whether all bytes are read up to the mark, and how many there are before it. */
  mark(): [boolean, number] {
    return [this.number("SIOCATMARK") === 1, this.number("FIONREAD")];
  }

  ready(): string {
    const { fds } = this.do("poll", { fds: [{ fd: this.far, events: "POLLIN|POLLPRI" }], timeout: 0 });
    return (fds as { revents: string }[])[0].revents;
  }

  inline(on: number): void {
    this.ok("setsockopt", { sockfd: this.far, level: "SOL_SOCKET", optname: "SO_OOBINLINE", optval: on });
  }
}

test("the urgent byte is received by itself, once, and reading stops before it", async () => {
  const m = await Urgent.connected();
  m.oob("abc");
  expect([m.ready(), ...m.mark()]).toEqual(["POLLIN|POLLPRI", false, 2]);
  expect([m.take(1, "MSG_OOB|MSG_PEEK"), m.take(1, "MSG_OOB"), m.take(1, "MSG_OOB")]).toEqual(["c", "c", "EINVAL"]);
  expect([m.ready(), ...m.mark()]).toEqual(["POLLIN", false, 2]);
  expect([m.take(10), m.ready(), ...m.mark()]).toEqual(["ab", "0", true, 0]);
  m.send("def");
  expect([m.mark()[1], m.take(10), m.number("SIOCATMARK")]).toEqual([0, "def", 0]);
});

test("with SO_OOBINLINE it is read like the others, behind a stop at the mark", async () => {
  const m = await Urgent.connected();
  m.oob("gh");
  m.inline(1);
  expect([m.mark()[1], m.take(10), m.ready(), ...m.mark()]).toEqual([2, "g", "POLLIN|POLLPRI", true, 1]);
  expect([m.take(1, "MSG_OOB"), m.take(10), m.ready(), m.number("SIOCATMARK")]).toEqual(["EINVAL", "h", "0", 0]);
});

test("a later mark takes the place of an earlier one, whose byte is read as any other", async () => {
  const m = await Urgent.connected();
  m.oob("ij");
  m.oob("kl");
  expect([m.mark()[1], m.take(1, "MSG_OOB"), m.take(10), ...m.mark(), m.ready()]).toEqual([3, "l", "ijk", true, 0, "0"]);
  expect(m.take(10)).toBe("EAGAIN");
});

test("an urgent byte that nobody took is skipped, and then it is gone", async () => {
  const m = await Urgent.connected();
  m.oob("z");
  expect([m.ready(), ...m.mark(), m.take(10), m.ready(), m.number("SIOCATMARK")]).toEqual(["POLLPRI", true, 0, "EAGAIN", "0", 0]);
  m.send("q");
  expect([m.take(10), m.take(1, "MSG_OOB")]).toEqual(["q", "EINVAL"]);
  m.oob("rst");
  m.send("u");
  expect([m.take(10, "MSG_PEEK"), m.take(2), ...m.mark(), m.take(10, "MSG_PEEK"), m.take(10), m.number("SIOCATMARK")]).toEqual(["rs", "rs", true, 0, "u", "u", 0]);
  m.oob("12");
  m.send("34");
  expect([m.take(3, "MSG_WAITALL"), m.take(2, "MSG_WAITALL")]).toEqual(["1", "34"]);
});

test("the owner gets SIGURG; select counts urgent data as exceptional", async () => {
  const m = await Urgent.connected();
  m.ok("rt_sigaction", { signum: "SIGURG", act: { sa_handler: "count" } });
  m.ok("fcntl", { fd: m.far, cmd: "F_SETOWN", arg: m.pid });
  m.oob("x");
  expect(await m.signalCount(m.pid, "SIGURG")).toBe(1);
  const told = m.do("select", { nfds: 64, readfds: [m.far], exceptfds: [m.far], timeout: { tv_sec: 0, tv_usec: 0 } });
  expect([told.readfds, told.exceptfds]).toEqual([[], [m.far]]);
});

test("without a connection there is no urgent data", async () => {
  const m = await Urgent.connected();
  expect(m.errno("recvfrom", { sockfd: m.listener(2001), len: 1, flags: "MSG_OOB" })).toBe("ENOTCONN");
  const fresh = m.ok("socket", { domain: "AF_INET", type: "SOCK_STREAM" });
  expect(m.errno("recvfrom", { sockfd: fresh, len: 1, flags: "MSG_OOB" })).toBe("EINVAL");
  m.oob("5");
  m.ok("close", { fd: m.near });
  expect([m.ready(), m.take(1, "MSG_OOB"), m.take(1, "MSG_OOB"), m.take(5), m.take(1, "MSG_OOB")]).toEqual(["POLLIN|POLLPRI", "5", "EINVAL", "", "EINVAL"]);
  expect(m.broken()).toEqual([]);
});
