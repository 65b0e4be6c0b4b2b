/** /proc/sys/net: what it takes and what it changes, as recorded under Linux 6.1. */
import { expect, test } from "vitest";
import { Sockets } from "./sockets.ts";

/** Writes a file of /proc/sys/net; the errno, null when it was taken. */
function write(m: Sockets, file: string, text: string): string | null {
  const fd = m.ok("open", { pathname: `/proc/sys/net/${file}`, flags: "O_WRONLY" });
  const { errno } = m.do("write", { fd, buf: `${text}\n` });
  m.ok("close", { fd });
  return errno;
}

test.each<[file: string, text: string, errno: string | null, now: string]>([
  ["core/somaxconn", "10", null, "10"],
  ["core/somaxconn", "-1", "EINVAL", "4096"],
  ["core/somaxconn", "65536", null, "65536"],
  ["core/somaxconn", "abc", "EINVAL", "4096"],
  ["ipv4/ip_local_port_range", "40000 40010", null, "40000\t40010"],
  ["ipv4/ip_local_port_range", "5", "EINVAL", "32768\t60999"],
  ["ipv4/ip_local_port_range", "40010 40000", "EINVAL", "32768\t60999"],
  ["ipv4/ip_local_port_range", "0 100", "EINVAL", "32768\t60999"],
  ["ipv4/ip_local_port_range", "1 70000", "EINVAL", "32768\t60999"],
  ["ipv4/ip_local_port_range", "500 600", "EINVAL", "32768\t60999"],
  ["ipv4/tcp_syn_retries", "0", "EINVAL", "6"],
  ["ipv4/tcp_syn_retries", "1", null, "1"],
  ["ipv4/tcp_syn_retries", "128", "EINVAL", "6"],
  ["ipv4/tcp_fin_timeout", "5", null, "5"],
])("%s takes %j: %s", async (file, text, errno, now) => {
  const m = await Sockets.boot();
  expect(write(m, file, text)).toBe(errno);
  expect(m.text(`/proc/sys/net/${file}`)).toBe(`${now}\n`);
});

test("four ports are given to four sockets, of TCP and of UDP each; connect and bind complain of want in their own way", async () => {
  const m = await Sockets.boot();
  m.listener(5000, 100);
  expect(write(m, "ipv4/ip_local_port_range", "40000 40003")).toBeNull();
  const name = (sockfd: number): number => (m.do("getsockname", { sockfd }).addr as { sin_port: number }).sin_port;
  const connected = Array.from({ length: 6 }, () => {
    const sockfd = m.client();
    return m.errno("connect", { sockfd, addr: m.to(5000) }) ?? name(sockfd);
  });
  expect(connected).toEqual([40000, 40002, 40001, 40003, "EADDRNOTAVAIL", "EADDRNOTAVAIL"]);
  const bound = (type: string): (number | string)[] => Array.from({ length: 5 }, () => {
    const sockfd = m.ok("socket", { domain: "AF_INET", type });
    return m.errno("bind", { sockfd, addr: m.to(0) }) ?? name(sockfd);
  });
  expect(bound("SOCK_STREAM")).toEqual(Array.from({ length: 5 }, () => "EADDRINUSE"));
  const datagram = bound("SOCK_DGRAM");
  expect(datagram.slice(0, 4).sort()).toEqual([40000, 40001, 40002, 40003]);
  expect(datagram[4]).toBe("EADDRINUSE");
});

test("somaxconn bounds what listen is granted", async () => {
  const m = await Sockets.boot();
  expect(write(m, "core/somaxconn", "1")).toBeNull();
  m.listener(5000, 100);
  const states = Array.from({ length: 3 }, () => {
    const sockfd = m.ok("socket", { domain: "AF_INET", type: "SOCK_STREAM" });
    return m.callNow(m.pid, "connect", { sockfd, addr: m.to(5000) }).state;
  });
  expect(states).toEqual(["returned", "returned", "sleeping"]);
});

test("a SYN is repeated as often as tcp_syn_retries says, an orphan waits as long as tcp_fin_timeout", async () => {
  const m = await Sockets.boot();
  expect(write(m, "ipv4/tcp_syn_retries", "1")).toBeNull();
  expect(write(m, "ipv4/tcp_fin_timeout", "5")).toBeNull();
  const [client, , listener] = m.connection();
  m.ok("close", { fd: client });
  expect(m.tcp().some((line) => line.includes(" 05 "))).toBe(true);
  m.advance(4_900);
  expect(m.tcp().some((line) => line.includes(" 05 "))).toBe(true);
  m.advance(200);
  expect(m.tcp().some((line) => line.includes(" 05 "))).toBe(false);
  m.ok("listen", { sockfd: listener, backlog: 0 });
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  const lost = m.sleeps("connect", { sockfd: m.client(), addr: m.to(2000) });
  m.advance(2_900);
  expect(m.after(lost).state).toBe("sleeping");
  m.advance(200);
  expect(m.after(lost)).toMatchObject({ ret: -1, errno: "ETIMEDOUT" });
});

test("no SYN waits more than two minutes for the next", async () => {
  const m = await Sockets.boot();
  expect(write(m, "ipv4/tcp_syn_retries", "9")).toBeNull();
  m.listener(2000, 0);
  m.ok("connect", { sockfd: m.client(), addr: m.to(2000) });
  const lost = m.sleeps("connect", { sockfd: m.client(), addr: m.to(2000) });
  // 1, 2, 4 … 64 s, then 120 s three times.
  m.advance((127 + 360) * 1_000 - 100);
  expect(m.after(lost).state).toBe("sleeping");
  m.advance(200);
  expect(m.after(lost)).toMatchObject({ ret: -1, errno: "ETIMEDOUT" });
});

test("options that were not set show what is set for all", async () => {
  const m = await Sockets.boot();
  expect([write(m, "ipv4/tcp_syn_retries", "2"), write(m, "ipv4/tcp_fin_timeout", "5"), write(m, "ipv4/tcp_fin_timeout", "8589935")]).toEqual([null, null, "EINVAL"]);
  const sockfd = m.client();
  const shown = (optname: string): unknown => m.do("getsockopt", { sockfd, level: "IPPROTO_TCP", optname, optlen: 4 }).optval;
  expect([shown("TCP_SYNCNT"), shown("TCP_LINGER2")]).toEqual([2, 5]);
});

test("ports that connections have by connecting serve others to other places, and again once a TIME_WAIT is of the second before", async () => {
  const m = await Sockets.boot();
  const listeners = [m.listener(5000, 100), m.listener(5001, 100)];
  expect(write(m, "ipv4/ip_local_port_range", "40000 40001")).toBeNull();
  const connect = (port: number): number | string => {
    const sockfd = m.client();
    return m.errno("connect", { sockfd, addr: m.to(port) }) ?? sockfd;
  };
  const [first] = [connect(5000), connect(5000)];
  expect([connect(5000), connect(5001), connect(5001), connect(5001)].map((one) => typeof one)).toEqual(["string", "number", "number", "string"]);
  // One is given up by both ends, by the client first: it waits its time out.
  const server = m.ok("accept", { sockfd: listeners[0] });
  m.ok("close", { fd: first });
  m.ok("close", { fd: server });
  expect(connect(5000)).toBe("EADDRNOTAVAIL");
  m.advance(1_000);
  expect(typeof connect(5000)).toBe("number");
  expect(m.broken()).toEqual([]);
  // A port that was asked for is nobody else's.
  expect(write(m, "ipv4/ip_local_port_range", "40010 40010")).toBeNull();
  const bound = m.client();
  m.ok("bind", { sockfd: bound, addr: m.to(40010) });
  m.ok("connect", { sockfd: bound, addr: m.to(5000) });
  expect(connect(5001)).toBe("EADDRNOTAVAIL");
});
