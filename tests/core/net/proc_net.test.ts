/** The files of /proc/net in the form of Linux 6.1 (user-mode), which had a TCP connection, two UDP and five unix sockets open. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CoreMachine } from "../../helpers/core.ts";
import { Sockets } from "./sockets.ts";

/** Files by name, as they were recorded. */
const recorded = new Map(readFileSync(join(import.meta.dirname, "proc_net.txt"), "utf8").split(/^===== /m).slice(1).map((part) => {
  const end = part.indexOf("\n");
  return [part.slice(0, end), part.slice(end + 1)] as const;
}));

/** What does not change from machine to machine: words, and one # for a number with the blanks before it. */
const form = (text: string): string => text.replace(/[ 0]*\b[0-9A-Fa-f]+\b/g, "#").replaceAll(/(#[ :]*)+/g, "#").replaceAll(/ +/g, " ");

/** With a connection that has carried five bytes. */
async function busy(): Promise<Sockets> {
  const m = await Sockets.boot();
  const [client] = m.connection();
  m.ok("write", { fd: client, buf: "hello" });
  return m;
}

describe("the same lines", () => {
  for (const name of ["arp", "dev_mcast", "icmp", "igmp", "mcfilter", "psched", "ptype", "raw", "route", "rt_cache", "udplite"]) {
    test(name, () => expect(new CoreMachine().text(`/proc/net/${name}`)).toBe(recorded.get(name)));
  }
  test("names of the counters", () => {
    for (const name of ["snmp", "netstat"]) {
      const lines = (text: string | undefined): string[] => (text ?? "").split("\n").filter((_line, at) => at % 2 === 0);
      expect(lines(new CoreMachine().text(`/proc/net/${name}`))).toEqual(lines(recorded.get(name)));
    }
  });
  test("protocols that are there", () => {
    const known = new Set(recorded.get("protocols")?.split("\n").map(form));
    for (const line of new CoreMachine().text("/proc/net/protocols").split("\n")) expect(known, line).toContain(form(line));
  });
  for (const name of ["dev", "sockstat", "softnet_stat"]) {
    test(name, () => expect(form(new CoreMachine({ cpus: 1 }).text(`/proc/net/${name}`))).toBe(form(recorded.get(name) ?? "")));
  }
});

test("a connection and its bytes are counted", async () => {
  const m = await busy();
  expect(m.text("/proc/net/dev")).toMatch(/^ {4}lo: +229 +4 .* +229 +4 /m);
  expect(m.text("/proc/net/snmp")).toMatch(/^Tcp: 1 200 120000 -1 1 1 0 0 2 4 4 0 0 0 0$/m);
});

test("/proc/net is the network of whoever looks", async () => {
  const m = await busy();
  expect(m.do("readlink", { pathname: "/proc/net", bufsiz: 64 })).toMatchObject({ ret: 8, buf: { text: "self/net" } });
  expect(m.do("lstat", { pathname: "/proc/net" })).toMatchObject({ ret: 0, statbuf: { st_mode: 0o120777, st_size: 8 } });
  m.ok("openat", { dirfd: "AT_FDCWD", pathname: "/proc/net/tcp", flags: "O_RDONLY" });
  m.ok("openat", { dirfd: "AT_FDCWD", pathname: "/proc/self/net/dev", flags: "O_RDONLY" });
});

test("a module's file in /proc/net opens by every way to it", async () => {
  const m = await Sockets.boot();
  const module = m.ok("openat", { pathname: "/lib/modules/6.1.0-syslab/corrected/drop_tcp_socket.ko", flags: "O_RDONLY" });
  m.ok("finit_module", { fd: module, param_values: "", flags: 0 });
  for (const pathname of ["/proc/net/drop_tcp_sock", "/proc/self/net/drop_tcp_sock", `/proc/${m.pid}/task/${m.pid}/net/drop_tcp_sock`]) {
    const fd = m.ok("openat", { dirfd: "AT_FDCWD", pathname, flags: "O_WRONLY" });
    m.ok("write", { fd, buf: "127.0.0.1:1 127.0.0.1:2\n" });
    m.ok("close", { fd });
  }
});
