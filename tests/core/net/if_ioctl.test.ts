/** What ioctl(2) tells of network devices. */
import { expect, test } from "vitest";
import { Sockets } from "./sockets.ts";

const REQUEST = 0x1000_0000;

/** The 24 bytes of an answer about a device as hex, or the errno. */
function asked(m: Sockets, fd: number, request: string, name = "lo", union = ""): string | null {
  const bytes = `${Buffer.from(name).toString("hex").padEnd(32, "0")}${union.padEnd(48, "0")}`;
  m.ok("store", { addr: REQUEST, buf: { hex: bytes } });
  const { errno } = m.do("ioctl", { fd, request, arg: REQUEST });
  if (errno !== null) return errno;
  const { buf } = m.do("load", { addr: REQUEST, length: 40 }) as unknown as { buf: { base64: string } };
  return Buffer.from(buf.base64, "base64").toString("hex").slice(32).replace(/(00)*$/, "");
}

test("a socket tells of lo, whatever its family; addresses only one of IP", async () => {
  const m = await Sockets.boot();
  m.ok("mmap", [REQUEST, 4096, 3, 0x32, -1, 0] as never);
  const [unix] = m.pair();
  const udp = m.ok("socket", { domain: "AF_INET", type: "SOCK_DGRAM" });
  for (const fd of [unix, udp]) {
    expect(asked(m, fd, "SIOCGIFINDEX")).toBe("01");
    expect(asked(m, fd, "SIOCGIFFLAGS")).toBe("49");
    expect(asked(m, fd, "SIOCGIFMTU")).toBe("000001");
    expect(asked(m, fd, "SIOCGIFHWADDR")).toBe("0403");
    expect(asked(m, fd, "SIOCGIFMTU", "eth0")).toBe("ENODEV");
    expect(asked(m, fd, "SIOCGIFNAME", "", "02")).toBe("ENODEV");
  }
  expect(asked(m, unix, "SIOCGIFADDR")).toBe("ENOTTY");
  expect(asked(m, udp, "SIOCGIFADDR")).toBe("020000007f000001");
  expect(asked(m, udp, "SIOCGIFNETMASK")).toBe("02000000ff");
  expect(asked(m, udp, "SIOCGIFADDR", "lo:1")).toBe("EADDRNOTAVAIL");
});
