/** /proc: forms of its files, who may look, and what an open file keeps. */
import { describe, expect, test } from "vitest";
import { snapshot, view } from "../../../core/index.ts";
import { Lab, type Outcome } from "../modules/lab.ts";

const text = ({ answer }: Outcome): string => ("buf" in answer ? (answer.buf as { text: string }).text : String(answer.state));
const open = (lab: Lab, pathname: string, flags = "O_RDONLY", pid = lab.pid): Outcome => lab.call("openat", { pathname, flags }, pid);
/** The whole of a file, by open and read. */
function cat(lab: Lab, pathname: string, pid = lab.pid): string {
  const { ret: fd, errno } = open(lab, pathname, "O_RDONLY", pid);
  if (errno !== null) return errno;
  let whole = "";
  for (;;) {
    const part = lab.call("read", { fd, count: 512 }, pid);
    if (part.errno !== null) return part.errno;
    if (part.ret === 0) break;
    whole += text(part);
  }
  lab.call("close", { fd }, pid);
  return whole;
}
function write(lab: Lab, pathname: string, buf: string, pid = lab.pid): unknown {
  const { ret: fd, errno } = open(lab, pathname, "O_WRONLY", pid);
  if (errno !== null) return errno;
  const { ret, errno: failed } = lab.call("write", { fd, buf }, pid);
  lab.call("close", { fd }, pid);
  return failed ?? ret;
}

describe("forms of the common files", () => {
  const forms: { [path: string]: RegExp } = {
    uptime: /^[0-9]+\.[0-9]{2} [0-9]+\.[0-9]{2}\n$/,
    loadavg: /^[0-9]+\.[0-9]{2} [0-9]+\.[0-9]{2} [0-9]+\.[0-9]{2} [0-9]+\/[0-9]+ [0-9]+\n$/,
    version: /^Linux version 6\.1\.0-syslab \(.*\) #1 SMP PREEMPT_DYNAMIC .*\n$/,
    filesystems: /^(nodev\t[a-z0-9]+\n)+$/,
    mounts: /^rootfs \/ rootfs rw[^\n]* 0 0\n([^\n]+ [^\n]+ [a-z]+ r[wo][^\n]* 0 0\n)+$/,
    devices: /^Character devices:\n( {2}1 mem\n)(( {0,2}[0-9]+ [^\n]+\n)+)\nBlock devices:\n254 virtblk\n259 blkext\n$/,
    misc: /^125 cpu_dma_latency\n {2}1 psaux\n228 hpet\n126 userfaultfd\n231 snapshot\n183 hw_random\n127 vga_arbiter\n$/,
    stat: /^cpu {2}([0-9]+ ){9}[0-9]+\ncpu0 ([0-9]+ ){9}[0-9]+\ncpu1 ([0-9]+ ){9}[0-9]+\nintr [0-9 ]+\nctxt [0-9]+\nbtime 1704067200\nprocesses [0-9]+\nprocs_running [0-9]+\nprocs_blocked 0\nsoftirq [0-9 ]+\n$/,
    cpuinfo: /^processor\t: 0\n[^]*\npower management:\n\nprocessor\t: 1\n/,
    modules: /^$/,
    partitions: /^major minor {2}#blocks {2}name\n\n 254 {8}0 {6}65536 vda\n$/,
    cmdline: /^[^\n]*\n$/,
    "sys/kernel/ostype": /^Linux\n$/,
    "sys/kernel/osrelease": /^6\.1\.0-syslab\n$/,
    "sys/kernel/hostname": /^syslab\n$/,
    "sys/kernel/pid_max": /^32768\n$/,
    "sys/kernel/printk": /^7\t4\t1\t7\n$/,
    "sys/kernel/tainted": /^0\n$/,
    "sys/kernel/random/boot_id": /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/,
    "sys/kernel/shmmax": /^18446744073692774399\n$/,
    "sys/vm/overcommit_memory": /^0\n$/,
    "sys/fs/pipe-max-size": /^1048576\n$/,
    "sys/fs/file-nr": /^[0-9]+\t0\t[0-9]+\n$/,
  };
  for (const [path, form] of Object.entries(forms)) {
    test(path, async () => {
      const lab = await Lab.boot();
      expect(lab.text(`/proc/${path}`)).toMatch(form);
      expect(cat(lab, `/proc/${path}`)).toMatch(form);
    });
  }
});

describe("files of a process", () => {
  test("stat has 52 fields, status the recorded lines", async () => {
    const lab = await Lab.boot();
    const stat = lab.text(`/proc/${lab.pid}/stat`);
    expect(stat.trimEnd().split(" ")).toHaveLength(52);
    expect(stat).toMatch(new RegExp(`^${lab.pid} \\(sh\\) S 1 `));
    const names = lab.text(`/proc/${lab.pid}/status`).split("\n").map((line) => line.split(":")[0]).join(" ");
    expect(names).toBe("Name Umask State Tgid Ngid Pid PPid TracerPid Uid Gid FDSize Groups NStgid NSpid NSpgid NSsid VmPeak VmSize VmLck VmPin VmHWM "
      + "VmRSS RssAnon RssFile RssShmem VmData VmStk VmExe VmLib VmPTE VmSwap HugetlbPages CoreDumping THP_enabled Threads SigQ SigPnd ShdPnd SigBlk "
      + "SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters Speculation_Store_Bypass SpeculationIndirectBranch "
      + "Cpus_allowed Cpus_allowed_list Mems_allowed Mems_allowed_list voluntary_ctxt_switches nonvoluntary_ctxt_switches ");
  });
  test("a process looks at itself while it runs, and from outside it sleeps", async () => {
    const lab = await Lab.boot();
    expect(cat(lab, "/proc/self/status")).toContain("State:\tR (running)\n");
    expect(lab.text(`/proc/${lab.pid}/status`)).toContain("State:\tS (sleeping)\n");
    expect(cat(lab, "/proc/thread-self/comm")).toBe("sh\n");
    const link = lab.call("readlinkat", { pathname: "/proc/self", bufsiz: 100 });
    expect("buf" in link.answer && (link.answer.buf as { text: string }).text).toBe(String(lab.pid));
  });
  test("a kernel thread has no memory, a zombie neither, nor files", async () => {
    const lab = await Lab.boot();
    expect(lab.text("/proc/2/status")).not.toContain("Vm");
    expect([lab.text("/proc/2/maps"), lab.text("/proc/2/cmdline")]).toEqual(["", ""]);
    const child = Number(lab.call("fork").ret);
    lab.machine.callNow(child, "exit_group", { status: 3 });
    const status = lab.text(`/proc/${child}/status`);
    expect(status).toContain("State:\tZ (zombie)\n");
    expect(status).toContain("FDSize:\t0\n");
    expect(status).not.toContain("Vm");
    expect(lab.text(`/proc/${child}/maps`)).toBe("");
    expect(lab.text(`/proc/${child}/wchan`)).toBe("0");
    lab.call("wait4", { pid: child });
    expect(() => lab.text(`/proc/${child}/status`)).toThrow();
  });
  test("limits, as recorded", async () => {
    const lab = await Lab.boot();
    const lines = lab.text(`/proc/${lab.pid}/limits`).split("\n");
    expect(lines[0]).toBe("Limit                     Soft Limit           Hard Limit           Units     ");
    expect(lines[4]).toBe("Max stack size            8388608              unlimited            bytes     ");
    expect(lines[8]).toBe("Max open files            1024                 4096                 files     ");
    expect(lines[14]).toBe("Max nice priority         0                    0                    ");
    expect(lines).toHaveLength(18);
  });
  test("fd and fdinfo name what is open, and how", async () => {
    const lab = await Lab.boot();
    const { ret: fd } = open(lab, "/dev/zero", "O_RDWR|O_CLOEXEC");
    const link = lab.call("readlinkat", { pathname: `/proc/self/fd/${fd}`, bufsiz: 100 });
    expect("buf" in link.answer && (link.answer.buf as { text: string }).text).toBe("/dev/zero");
    expect(cat(lab, `/proc/self/fdinfo/${fd}`)).toMatch(/^pos:\t0\nflags:\t02100002\nmnt_id:\t[0-9]+\nino:\t[0-9]+\n$/);
    expect(open(lab, `/proc/self/fd/${fd}`, "O_RDWR").errno).toBe(null);
    expect(open(lab, "/proc/self/fd/99")).toMatchObject({ errno: "ENOENT" });
  });
  test("what a process sleeps in", async () => {
    const lab = await Lab.boot();
    lab.call("nanosleep", { req: { tv_sec: 100, tv_nsec: 0 } });
    expect(lab.text(`/proc/${lab.pid}/syscall`)).toMatch(/^35( 0x[0-9a-f]+){8}\n$/);
    expect(lab.text(`/proc/${lab.pid}/wchan`)).toBe("hrtimer_nanosleep");
    expect(lab.text(`/proc/${lab.pid}/stack`)).toMatch(/^\[<0>\] hrtimer_nanosleep\+0x[^]*entry_SYSCALL_64_after_hwframe/);
  });
  test("comm is written by the process itself, the score by who may", async () => {
    const lab = await Lab.boot();
    expect(write(lab, "/proc/self/comm", "renamed")).toBe(7);
    expect(cat(lab, "/proc/self/comm")).toBe("renamed\n");
    const other = await lab.machine.createProcess(0);
    expect(write(lab, `/proc/${lab.pid}/comm`, "x", other)).toBe("EINVAL");
    expect(write(lab, "/proc/self/oom_score_adj", "500\n")).toBe(4);
    expect(write(lab, "/proc/self/oom_score_adj", "2000\n")).toBe("EINVAL");
    const user = await lab.machine.createProcess(1000);
    expect(write(lab, "/proc/self/oom_score_adj", "-5\n", user)).toBe("EACCES");
    expect(cat(lab, "/proc/self/oom_score_adj")).toBe("500\n");
  });
});

describe("who may look", () => {
  test("nobody into a process of root, as recorded", async () => {
    const lab = await Lab.boot();
    const nobody = await lab.machine.createProcess(65534);
    for (const name of ["maps", "stack", "syscall", "environ"]) expect(cat(lab, `/proc/1/${name}`, nobody)).toBe("EACCES");
    expect(open(lab, "/proc/1/fd", "O_RDONLY|O_DIRECTORY", nobody)).toMatchObject({ errno: "EACCES" });
    expect(cat(lab, "/proc/1/wchan", nobody)).toBe("0");
    expect(cat(lab, "/proc/1/status", nobody)).toContain("Name:\tinit\n");
    expect(cat(lab, `/proc/${nobody}/maps`, nobody)).not.toBe("EACCES");
    expect(cat(lab, `/proc/${nobody}/maps`)).not.toBe("EACCES");
  });
  test("root writes a sysctl only where its mode says so", async () => {
    const lab = await Lab.boot();
    expect(write(lab, "/proc/sys/kernel/ostype", "x")).toBe("EACCES");
    expect(write(lab, "/proc/sys/kernel/hostname", "renamed\n")).toBe(8);
    expect(lab.text("/proc/sys/kernel/hostname")).toBe("renamed\n");
    expect(write(lab, "/proc/sys/vm/overcommit_memory", "3\n")).toBe("EINVAL");
    expect(write(lab, "/proc/sys/vm/overcommit_memory", "junk\n")).toBe("EINVAL");
    expect(write(lab, "/proc/sys/vm/overcommit_memory", "1\n")).toBe(2);
    expect(lab.text("/proc/sys/vm/overcommit_memory")).toBe("1\n");
    const user = await lab.machine.createProcess(1000);
    expect(write(lab, "/proc/sys/kernel/hostname", "mine\n", user)).toBe("EACCES");
  });
});

describe("errors, as recorded", () => {
  test("of names that are not there, of writing where nothing is written, of making and removing", async () => {
    const lab = await Lab.boot();
    expect(cat(lab, "/proc/99999/status")).toBe("ENOENT");
    expect(open(lab, "/proc/0", "O_RDONLY")).toMatchObject({ errno: "ENOENT" });
    expect(open(lab, "/proc/007/stat", "O_RDONLY")).toMatchObject({ errno: "ENOENT" });
    expect(write(lab, "/proc/version", "x")).toBe("EIO");
    expect(write(lab, "/proc/1/maps", "x")).toBe("EINVAL");
    expect(lab.call("openat", { pathname: "/proc/x", flags: "O_WRONLY|O_CREAT", mode: "0644" })).toMatchObject({ errno: "ENOENT" });
    expect(lab.call("unlinkat", { pathname: "/proc/version", flags: 0 })).toMatchObject({ errno: "EPERM" });
    expect(lab.call("mkdirat", { pathname: "/proc/x", mode: "0755" })).toMatchObject({ errno: "ENOENT" });
  });
});

describe("an open file", () => {
  test("keeps the text made at its first read, and makes it anew from the start", async () => {
    const lab = await Lab.boot();
    const { ret: fd } = open(lab, "/proc/uptime");
    const first = text(lab.call("read", { fd, count: 3 }));
    lab.machine.advance(10_000);
    const rest = text(lab.call("read", { fd, count: 100 }));
    expect(`${first}${rest}`).toMatch(/^0\.00 /);
    expect(lab.call("read", { fd, count: 100 }).ret).toBe(0);
    expect(text(lab.call("pread64", { fd, count: 100, offset: 0 }))).toMatch(/^10\./);
    expect(lab.call("lseek", { fd, offset: 0, whence: "SEEK_END" })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("lseek", { fd, offset: 1, whence: "SEEK_SET" }).ret).toBe(1);
    expect(text(lab.call("read", { fd, count: 100 }))).toMatch(/^0\./);
    expect(lab.call("pread64", { fd, buf: null, count: 10, offset: 0 })).toMatchObject({ errno: "EFAULT" });
  });
  test("of a process that is gone answers ESRCH", async () => {
    const lab = await Lab.boot();
    const child = Number(lab.call("fork").ret);
    const { ret: fd } = open(lab, `/proc/${child}/stat`);
    lab.machine.callNow(child, "exit_group", { status: 0 });
    lab.call("wait4", { pid: child });
    expect(lab.call("read", { fd, count: 100 })).toMatchObject({ errno: "ESRCH" });
    lab.call("close", { fd });
    expect(lab.machine.broken()).toEqual([]);
  });
});

test("looking changes nothing", async () => {
  const lab = await Lab.boot();
  const { kernel } = lab.machine;
  const before = snapshot(kernel);
  const walk = (path: string, depth: number): number => {
    const seen = view(kernel, { uid: 0 }, path);
    if (!("kind" in seen) || seen.kind !== "directory" || depth === 0) return 1;
    return seen.entries.reduce((count, { name }) => count + walk(path === "/" ? `/${name}` : `${path}/${name}`, depth - 1), 1);
  };
  expect(walk("/proc", 3)).toBeGreaterThan(300);
  expect(walk("/sys", 5)).toBeGreaterThan(100);
  expect(Buffer.compare(Buffer.from(before), Buffer.from(snapshot(kernel)))).toBe(0);
});

test("a directory lists what can be opened, once each", async () => {
  const lab = await Lab.boot();
  for (const path of ["/proc", "/proc/1", "/proc/1/task", "/proc/sys/kernel", "/sys", "/sys/class/mem", "/sys/devices/virtual/mem/null", "/sys/kernel"]) {
    const seen = view(lab.machine.kernel, { uid: 0 }, path);
    if (!("kind" in seen) || seen.kind !== "directory") throw new Error(`${path} is no directory`);
    const names = seen.entries.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(seen.entries.map(({ ino }) => ino)).size).toBe(names.length);
    for (const name of names) expect(lab.call("newfstatat", { pathname: `${path}/${name}`, flags: "AT_SYMLINK_NOFOLLOW" }).errno).toBe(null);
  }
});

test("the roots of the kernel's file systems are opened and closed like other directories", async () => {
  const lab = await Lab.boot();
  for (const path of ["/proc", "/sys", "/sys/kernel/debug", "/lib/modules/6.1.0-syslab"]) {
    const { ret: fd, errno } = open(lab, path, "O_RDONLY|O_DIRECTORY");
    expect(errno).toBe(null);
    expect(lab.machine.broken()).toEqual([]);
    lab.call("close", { fd });
    expect(lab.machine.broken()).toEqual([]);
  }
});
