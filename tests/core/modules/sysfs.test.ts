/** /sys/module: what its files show, and what writing a parameter answers, as recorded. */
import { describe, expect, test } from "vitest";
import { moduleDefinitions } from "../../../core/module/definition.ts";
import { Lab } from "./lab.ts";
import { observations, type Observation } from "./recorded.ts";
import "../../../core/labs/testmodules/ptypes.ts";

const PARAMETERS = "/sys/module/ptypes/parameters";

async function loaded(): Promise<Lab> {
  const lab = await Lab.boot();
  lab.insmod("ptypes");
  lab.dmesg();
  return lab;
}

function write(lab: Lab, pathname: string, buf: string, pid = lab.pid): { ret: unknown; errno: string | null } {
  const { ret: fd, errno } = lab.call("openat", { pathname, flags: "O_WRONLY|O_CREAT|O_TRUNC", mode: "0666" }, pid);
  if (errno !== null) return { ret: -1, errno };
  const { ret, errno: failed } = lab.call("write", { fd, buf }, pid);
  lab.call("close", { fd }, pid);
  return { ret, errno: failed };
}

/** What the recorded shell command wrote, and what strace saw of the write. */
function writeOf({ cmd, syscalls = [] }: Observation): { name: string; text: string; ret: number; errno: string | null } | null {
  const parts = /^(?:echo|printf) ('[^']*'|[^ >]*) *> \S*\/parameters\/(\w+)/.exec(cmd);
  if (parts === null) return null;
  const word = parts[1].replaceAll("'", "");
  const line = syscalls.find((one) => one.startsWith("write(1, "));
  const outcome = /= (-?[0-9]+)(?: ([A-Z]+))?/.exec(line ?? "= 0");
  return { name: parts[2], text: cmd.startsWith("printf") ? word : `${word}\n`, ret: Number(outcome?.[1]), errno: outcome?.[2] ?? null };
}

describe("writing a parameter, as recorded", () => {
  for (const observed of observations.filter(({ id }) => id.startsWith("sysfs-write-"))) {
    const given = writeOf(observed);
    if (given === null || observed.stdout === undefined || observed.id === "sysfs-write-pstr") continue;
    test(observed.id, async () => {
      const lab = await loaded();
      const path = `${PARAMETERS}/${given.name}`;
      // What is shown after a failed write is what was there before it.
      if (given.errno !== null && !given.name.startsWith("parr")) write(lab, path, (observed.stdout ?? "").trim());
      lab.dmesg();
      expect(write(lab, path, given.text)).toEqual({ ret: given.errno === null ? given.text.length : -1, errno: given.errno });
      expect(lab.text(path)).toBe(observed.stdout);
      expect(lab.dmesg()).toEqual(observed.dmesg ?? []);
    });
  }
  test("a text keeps the newline that echo sends", async () => {
    const lab = await loaded();
    write(lab, `${PARAMETERS}/pstr`, "a b c\n");
    expect(lab.text(`${PARAMETERS}/pstr`)).toBe("a b c\n\n");
  });
  test("a text of 1100 bytes is too long", async () => {
    const lab = await loaded();
    expect(write(lab, `${PARAMETERS}/pstr`, "x".repeat(1100))).toEqual({ ret: -1, errno: "ENOSPC" });
    expect(lab.dmesg()).toEqual([["err", "pstr: string parameter too long"]]);
    expect(lab.text(`${PARAMETERS}/pstr`)).toBe("hello\n");
  });
});

describe("who may open a parameter", () => {
  test("even root needs the bits of the mode", async () => {
    const lab = await loaded();
    expect(write(lab, `${PARAMETERS}/pro`, "5")).toMatchObject({ errno: "EACCES" });
    expect(lab.call("openat", { pathname: `${PARAMETERS}/pwo`, flags: "O_RDONLY" })).toMatchObject({ errno: "EACCES" });
    expect(write(lab, `${PARAMETERS}/pwo`, "5").errno).toBe(null);
    expect(lab.call("openat", { pathname: `${PARAMETERS}/phid`, flags: "O_RDONLY" })).toMatchObject({ errno: "ENOENT" });
  });
  test("a user reads what the mode lets him", async () => {
    const lab = await loaded();
    const user = await lab.machine.createProcess(1000);
    expect(write(lab, `${PARAMETERS}/pint`, "1", user)).toMatchObject({ errno: "EACCES" });
    expect(lab.call("openat", { pathname: `${PARAMETERS}/proot`, flags: "O_RDONLY" }, user)).toMatchObject({ errno: "EACCES" });
    expect(lab.text(`${PARAMETERS}/pint`, 1000)).toBe("5\n");
  });
});

test("a module's directory holds what the recorded one held", async () => {
  const lab = await loaded();
  const files: { [name: string]: string } = {
    initstate: "live\n", refcnt: "0\n", taint: "OE\n", srcversion: "B47BF0DFBFB06E0F71CB058\n", version: "1.2.3\n", coresize: "16384\n", initsize: "0\n",
  };
  for (const [name, content] of Object.entries(files)) expect(lab.text(`/sys/module/ptypes/${name}`)).toBe(content);
  const shown = ["parr=1,2,3", "pbool=N", "pbufs=abc", "pbyte=8", "pcustom=50", "phex=0x000010", "pint=5", "pinv=Y", "plong=-9", "pro=2", "proot=4",
    "pshort=-7", "pstr=hello", "puint=6", "pull=10", "pulong=9", "push=7"];
  for (const line of shown) expect(lab.text(`${PARAMETERS}/${line.split("=")[0]}`)).toBe(`${line.split("=")[1]}\n`);
  expect(() => lab.text("/sys/module/ptypes/uevent")).toThrow();
});

test("an open parameter of a module that is gone answers ENODEV", async () => {
  const lab = await loaded();
  const { ret: fd } = lab.call("openat", { pathname: `${PARAMETERS}/pint`, flags: "O_RDWR" });
  expect(lab.rmmod("ptypes").ret).toBe(0);
  expect(lab.call("read", { fd, count: 10 })).toMatchObject({ errno: "ENODEV" });
  expect(lab.call("write", { fd, buf: "1" })).toMatchObject({ errno: "ENODEV" });
  lab.call("close", { fd });
  expect(lab.machine.broken()).toEqual([]);
});

test("an attribute is read once; from its start again, it is made anew", async () => {
  const lab = await loaded();
  const { ret: fd } = lab.call("openat", { pathname: `${PARAMETERS}/pint`, flags: "O_RDWR" });
  const read = (count: number): unknown => {
    const { answer } = lab.call("read", { fd, count });
    return "buf" in answer ? (answer.buf as { text: string }).text : answer;
  };
  expect([read(1), read(10), read(10)]).toEqual(["5", "\n", ""]);
  lab.call("write", { fd, buf: "123" });
  lab.call("lseek", { fd, offset: 0, whence: "SEEK_SET" });
  expect(read(10)).toBe("123\n");
});

describe("finit_module", () => {
  const path = "/lib/modules/6.1.0-syslab/corrected/ptypes.ko";
  test("loads a file of /lib/modules, and a copy of it elsewhere", async () => {
    const lab = await Lab.boot();
    const { ret: fd } = lab.call("openat", { pathname: path, flags: "O_RDONLY" });
    expect(lab.call("finit_module", { fd, param_values: "pint=3", flags: 0 })).toMatchObject({ ret: 0 });
    expect(lab.text(`${PARAMETERS}/pint`)).toBe("3\n");
    lab.rmmod("ptypes");
    const { answer } = lab.call("read", { fd, count: 100_000 });
    const bytes = "buf" in answer ? (answer.buf as { base64: string }).base64 : "";
    const { ret: copy } = lab.call("openat", { pathname: "/tmp/copy.ko", flags: "O_RDWR|O_CREAT", mode: "0644" });
    expect(lab.call("write", { fd: copy, buf: { base64: bytes } }).ret).toBeGreaterThan(1000);
    expect(lab.call("finit_module", { fd: copy, param_values: "", flags: 0 })).toMatchObject({ errno: "ETXTBSY" });
    lab.call("close", { fd: copy });
    const { ret: again } = lab.call("openat", { pathname: "/tmp/copy.ko", flags: "O_RDONLY" });
    expect(lab.call("finit_module", { fd: again, param_values: "", flags: 0 })).toMatchObject({ ret: 0 });
    expect(lab.machine.broken()).toEqual([]);
  });
  test("refuses what is no file, what cannot be read, and unknown flags", async () => {
    const lab = await Lab.boot();
    const { ret: dir } = lab.call("openat", { pathname: "/tmp", flags: "O_RDONLY" });
    expect(lab.call("finit_module", { fd: dir, param_values: "", flags: 0 })).toMatchObject({ errno: "EINVAL" });
    const { ret: empty } = lab.call("openat", { pathname: "/tmp/empty.ko", flags: "O_WRONLY|O_CREAT", mode: "0644" });
    expect(lab.call("finit_module", { fd: empty, param_values: "", flags: 0 })).toMatchObject({ errno: "EBADF" });
    lab.call("close", { fd: empty });
    const { ret: readable } = lab.call("openat", { pathname: "/tmp/empty.ko", flags: "O_RDONLY" });
    expect(lab.call("finit_module", { fd: readable, param_values: "", flags: 0 })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("finit_module", { fd: readable, param_values: "", flags: 8 })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("finit_module", { fd: -1, param_values: "", flags: 0 })).toMatchObject({ errno: "EBADF" });
    const user = await lab.machine.createProcess(1000);
    expect(lab.call("finit_module", { fd: -1, param_values: "", flags: 99 }, user)).toMatchObject({ errno: "EPERM" });
  });
  test("the files of /lib/modules are read only, and modules.dep names dependencies", async () => {
    const lab = await Lab.boot();
    expect(moduleDefinitions.has("ptypes")).toBe(true);
    expect(lab.call("openat", { pathname: path, flags: "O_RDWR" })).toMatchObject({ errno: "EROFS" });
    expect(lab.text("/lib/modules/6.1.0-syslab/modules.dep")).toContain("corrected/ptypes.ko:\n");
  });
});

test("once modules_disabled is set, nothing is loaded or removed, and it stays so", async () => {
  const lab = await loaded();
  expect(write(lab, "/proc/sys/kernel/modules_disabled", "2\n")).toMatchObject({ errno: "EINVAL" });
  expect(write(lab, "/proc/sys/kernel/modules_disabled", "1\n").errno).toBe(null);
  expect(write(lab, "/proc/sys/kernel/modules_disabled", "0\n")).toMatchObject({ errno: "EINVAL" });
  expect(lab.rmmod("ptypes")).toMatchObject({ errno: "EPERM" });
  expect(lab.insmod("ptypes")).toMatchObject({ errno: "EPERM" });
});
