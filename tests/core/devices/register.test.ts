/** Device numbers, classes, misc devices and /proc entries: what registering them answers, right and wrong. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { allocChrdevRegion, cdevAdd, cdevDel, registerChrdev, registerChrdevRegion, unregisterChrdev, unregisterChrdevRegion } from "../../../core/fs/char_dev.ts";
import { classCreate, classDestroy, deviceCreate, deviceDestroy } from "../../../core/fs/class.ts";
import { miscDeregister, MISC_DYNAMIC_MINOR, miscRegister } from "../../../core/fs/misc.ts";
import { MAJOR, MINOR, MKDEV } from "../../../core/abi/dev_t.ts";
import { Lab } from "../modules/lab.ts";
import "../../../core/labs/testmodules/devices.ts";

test("what a module that registers twice was recorded to see", async () => {
  const lab = await Lab.boot();
  lab.insmod("nohand");
  lab.rmmod("nohand");
  lab.dmesg();
  expect(lab.insmod("regerr")).toMatchObject({ errno: "ECANCELED" });
  const recorded = JSON.parse(readFileSync(new URL("./regerr.json", import.meta.url), "utf8")) as [string, string][];
  const ours = lab.dmesg().filter(([, text]) => /^(regerr:|sysfs:|kobject|CHRDEV|proc_dir|name |-----|---\[|WARNING)/.test(text));
  // Processes, and so pids, are not the recorder's.
  const plain = (lines: [string, string][]): string[] => lines.map(([level, text]) => `${level} ${text.replace(/PID: [0-9]+/, "PID: n")}`);
  expect(plain(ours)).toEqual(plain(recorded));
  expect(lab.machine.broken()).toEqual([]);
});

describe("device numbers", () => {
  test("dynamic majors go down from 246 to 234, then from 511 to 384, and are given again", async () => {
    const { kernel } = (await Lab.boot()).machine;
    const majors: number[] = [];
    for (let i = 0; i < 141; i++) majors.push(MAJOR(allocChrdevRegion(kernel, 0, 1, `r${i}`)));
    expect(majors).toEqual([...Array.from({ length: 13 }, (_, i) => 246 - i), ...Array.from({ length: 128 }, (_, i) => 511 - i)]);
    expect(allocChrdevRegion(kernel, 0, 1, "none")).toBe(-16);
    // 240 shares its bucket with 495, which is taken: as Linux, it is not given again before that one is free too.
    unregisterChrdevRegion(kernel, MKDEV(240, 0), 1);
    expect(allocChrdevRegion(kernel, 0, 1, "none")).toBe(-16);
    unregisterChrdevRegion(kernel, MKDEV(495, 0), 1);
    expect(MAJOR(allocChrdevRegion(kernel, 0, 1, "again"))).toBe(240);
  });
  test("ranges of one major live side by side, and an overlap is EBUSY", async () => {
    const { kernel } = (await Lab.boot()).machine;
    expect(registerChrdevRegion(kernel, MKDEV(200, 0), 4, "a")).toBe(0);
    expect(registerChrdevRegion(kernel, MKDEV(200, 4), 4, "b")).toBe(0);
    expect(registerChrdevRegion(kernel, MKDEV(200, 3), 2, "c")).toBe(-16);
    expect(registerChrdevRegion(kernel, MKDEV(200, 1048575), 2, "d")).toBe(-22);
    expect(registerChrdev(kernel, 200, "e", "null")).toBe(-16);
  });
  test("a node without a driver is ENXIO, one of misc without its minor ENODEV", async () => {
    const lab = await Lab.boot();
    const open = (name: string, dev: number): unknown => {
      lab.call("mknodat", { pathname: `/root/${name}`, mode: "S_IFCHR|0600", dev: { major: MAJOR(dev), minor: MINOR(dev) } });
      return lab.call("openat", { pathname: `/root/${name}`, flags: "O_RDWR" }).errno;
    };
    expect(open("nodrv", MKDEV(240, 0))).toBe("ENXIO");
    expect(open("gpio", MKDEV(254, 0))).toBe("ENXIO");
    expect(open("mem", MKDEV(1, 77))).toBe("ENXIO");
    expect(open("misc", MKDEV(10, 99))).toBe("ENODEV");
  });
  test("of two cdevs over a number, the smaller range opens", async () => {
    const lab = await Lab.boot();
    const { kernel } = lab.machine;
    cdevAdd(kernel, MKDEV(230, 0), 256, "full");
    cdevAdd(kernel, MKDEV(230, 5), 1, "null");
    lab.call("mknodat", { pathname: "/root/five", mode: "S_IFCHR|0600", dev: { major: 230, minor: 5 } });
    const { ret } = lab.call("openat", { pathname: "/root/five", flags: "O_RDWR" });
    expect(lab.call("write", { fd: ret, buf: "x" }).ret).toBe(1);
    cdevDel(kernel, MKDEV(230, 5));
    const second = lab.call("openat", { pathname: "/root/five", flags: "O_RDWR" }).ret;
    expect(lab.call("write", { fd: second, buf: "x" }).errno).toBe("ENOSPC");
  });
});

describe("nodes in /dev", () => {
  const stat = (lab: Lab, pathname: string): { [field: string]: number } | null => {
    const { answer, ret } = lab.call("newfstatat", { pathname });
    return ret === 0 && "statbuf" in answer ? (answer.statbuf as { [field: string]: number }) : null;
  };
  test("appear and go with their device, with the driver's mode or udev's", async () => {
    const lab = await Lab.boot({ udev: { opened: "0666" } });
    const { kernel } = lab.machine;
    miscRegister(kernel, { minor: MISC_DYNAMIC_MINOR, name: "plain", ops: "null" });
    miscRegister(kernel, { minor: MISC_DYNAMIC_MINOR, name: "opened", ops: "null", mode: 0o600 });
    miscRegister(kernel, { minor: MISC_DYNAMIC_MINOR, name: "sub", ops: "null", mode: 0o644, node: "deep/down/sub" });
    expect(stat(lab, "/dev/plain")).toMatchObject({ st_mode: 0o20600, st_rdev: { major: 10, minor: 124 } });
    expect(stat(lab, "/dev/opened")).toMatchObject({ st_mode: 0o20666, st_rdev: { major: 10, minor: 123 } });
    expect(stat(lab, "/dev/deep/down/sub")).toMatchObject({ st_mode: 0o20644 });
    for (const name of ["plain", "opened", "sub"]) miscDeregister(kernel, name);
    expect([stat(lab, "/dev/plain"), stat(lab, "/dev/opened"), stat(lab, "/dev/deep")]).toEqual([null, null, null]);
    expect(lab.machine.broken()).toEqual([]);
  });
  test("one that somebody put in a node's place stays", async () => {
    const lab = await Lab.boot();
    const { kernel } = lab.machine;
    miscRegister(kernel, { minor: MISC_DYNAMIC_MINOR, name: "mine", ops: "null" });
    lab.call("unlinkat", { pathname: "/dev/mine", flags: 0 });
    lab.call("mknodat", { pathname: "/dev/mine", mode: "S_IFCHR|0644", dev: { major: 1, minor: 3 } });
    miscDeregister(kernel, "mine");
    expect(stat(lab, "/dev/mine")).toMatchObject({ st_mode: 0o20644 });
  });
});

describe("/sys/class, /sys/devices and /sys/dev", () => {
  test("show a device from three sides", async () => {
    const lab = await Lab.boot();
    const { kernel } = lab.machine;
    const major = registerChrdev(kernel, 0, "thing", "null");
    expect([classCreate(kernel, "thing"), deviceCreate(kernel, "thing", MKDEV(major, 0), "thing0")]).toEqual([0, 0]);
    expect(lab.text("/sys/class/thing/thing0/dev")).toBe("246:0\n");
    expect(lab.text("/sys/class/thing/thing0/uevent")).toBe("MAJOR=246\nMINOR=0\nDEVNAME=thing0\n");
    expect(lab.text("/sys/dev/char/246:0/subsystem/thing0/dev")).toBe("246:0\n");
    expect(lab.text("/sys/class/mem/null/uevent")).toBe("MAJOR=1\nMINOR=3\nDEVNAME=null\nDEVMODE=0666\n");
    expect(lab.text("/proc/devices")).toContain("\n246 thing\n");
    deviceDestroy(kernel, "thing", MKDEV(major, 0));
    classDestroy(kernel, "thing");
    unregisterChrdev(kernel, major, "thing");
    expect(() => lab.text("/sys/class/thing/thing0/dev")).toThrow();
    expect(lab.machine.broken()).toEqual([]);
  });
});
