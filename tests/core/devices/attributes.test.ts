/** Small files of drivers: records made as they are read, attributes and their groups, uevents, variables in debugfs. */
import { describe, expect, test } from "vitest";
import { MKDEV } from "../../../core/abi/dev_t.ts";
import { classCreate, classCreateFile, classDestroy, deviceAddGroup, deviceCreate, deviceCreateFile, deviceDestroy, deviceRemoveGroup } from "../../../core/fs/class.ts";
import { debugfsRemove } from "../../../core/fs/debugfs/debugfs.ts";
import { debugfsBlob, debugfsBool, debugfsCreateValue, debugfsNumber, debugfsText } from "../../../core/fs/debugfs/values.ts";
import { fileOperations } from "../../../core/fs/file.ts";
import { procCreate, removeProcEntry } from "../../../core/fs/proc/dynamic.ts";
import { seqOpen, SEQ_SKIP, SEQ_START_TOKEN } from "../../../core/fs/seq_operations.ts";
import { sysfsAttribute } from "../../../core/fs/sysfs/registry.ts";
import type { Kernel } from "../../../core/kernel.ts";
import { testModule } from "../../../core/labs/testmodules/simple.ts";
import { moduleData } from "../../../core/module/query.ts";
import { Lab, type Outcome } from "../modules/lab.ts";

interface Data {
  /** How often each function of the iterator ran. */
  starts: number;
  stops: number;
  level: number;
  name: string;
  small: number;
  wide: bigint;
  hex: number;
  signed: number;
  on: boolean;
}

const data = (k: Kernel): Data => moduleData<Data>(k, "smallfiles");
const RECORDS = 300;

/** A header and 300 records, of which every third is skipped. */
const operations = seqOpen<string | number | { record: number }>({
  start: (k, at) => {
    data(k).starts++;
    return at.index === 0 ? SEQ_START_TOKEN : at.index <= RECORDS ? { record: at.index } : null;
  },
  next: (_k, _value, at) => (++at.index <= RECORDS ? { record: at.index } : null),
  stop: (k) => { data(k).stops++; },
  show: (_k, value) => {
    if (typeof value !== "object") return "number  square\n";
    return value.record % 3 === 0 ? SEQ_SKIP : `${value.record} ${value.record * value.record}${value.record === 250 ? "x".repeat(9000) : ""}\n`;
  },
});
fileOperations("smallfiles.seq", { ...operations, owner: "smallfiles" });
fileOperations("smallfiles.stuck", {
  ...seqOpen<number | { n: number }>({
    start: (_k, at) => (at.index < 2 ? { n: at.index } : null), next: function stuckNext(_k, value) { return typeof value === "object" && value.n === 0 ? { n: 1 } : null; },
    stop: () => undefined, show: (_k, value) => `${typeof value === "object" ? value.n : value}\n`,
  }), owner: "smallfiles",
});

const wholeText = ["number  square", ...Array.from({ length: RECORDS }, (_, i) => i + 1).filter((n) => n % 3 !== 0)
  .map((n) => `${n} ${n * n}${n === 250 ? "x".repeat(9000) : ""}`)].map((line) => `${line}\n`).join("");

sysfsAttribute("smallfiles.level", {
  show: (k) => `${data(k).level}\n`,
  store: (k, _task, text) => {
    if (!/^[0-9]+\n?$/.test(text)) return -22;
    data(k).level = Number(text);
    return text.length;
  },
});
sysfsAttribute("smallfiles.name", { show: (k) => `${data(k).name}\n` });
sysfsAttribute("smallfiles.long", { show: () => "y".repeat(5000) });

const of = { owner: "smallfiles" };
debugfsNumber("smallfiles.small", "u8", { ...of, get: (k) => data(k).small, set: (k, value) => { data(k).small = Number(value); } });
debugfsNumber("smallfiles.wide", "u64", { ...of, get: (k) => data(k).wide, set: (k, value) => { data(k).wide = BigInt(value); } });
debugfsNumber("smallfiles.hex", "x32", { ...of, get: (k) => data(k).hex, set: (k, value) => { data(k).hex = Number(value); } });
debugfsNumber("smallfiles.signed", "atomic_t", { ...of, get: (k) => data(k).signed, set: (k, value) => { data(k).signed = Number(value); } });
debugfsBool("smallfiles.on", { ...of, get: (k) => data(k).on, set: (k, value) => { data(k).on = value; } });
debugfsText("smallfiles.text", { ...of, get: (k) => data(k).name });
debugfsBlob("smallfiles.blob", { ...of, get: () => new Uint8Array([1, 2, 3, 4]) });

const GROUP = { name: "limits", attributes: [{ name: "level", mode: 0o644, attribute: "smallfiles.level" }, { name: "name", mode: 0o444, attribute: "smallfiles.name" }] };
const DEV = MKDEV(240, 0);

testModule("smallfiles", {
  init: (k, module) => {
    module.data = { starts: 0, stops: 0, level: 5, name: "Ada", small: 7, wide: 1n << 40n, hex: 0xbeef, signed: -3, on: true };
    procCreate(k, "smallseq", 0o444, "smallfiles.seq");
    procCreate(k, "stuckseq", 0o444, "smallfiles.stuck");
    classCreate(k, "small", "smallfiles");
    classCreateFile(k, "small", "version", 0o444, "smallfiles.name");
    deviceCreate(k, "small", DEV, "small0");
    deviceCreateFile(k, "small", "small0", "level", 0o644, "smallfiles.level");
    deviceCreateFile(k, "small", "small0", "long", 0o444, "smallfiles.long");
    deviceCreateFile(k, "small", "small0", "boast", 0o644, "smallfiles.name");
    deviceAddGroup(k, "small", "small0", GROUP);
    for (const name of ["small", "wide", "hex", "signed", "on"]) debugfsCreateValue(k, name, 0o644, `smallfiles.${name}`);
    debugfsCreateValue(k, "readonly", 0o444, "smallfiles.small");
    debugfsCreateValue(k, "text", 0o444, "smallfiles.text");
    debugfsCreateValue(k, "blob", 0o444, "smallfiles.blob");
    return 0;
  },
  exit: (k) => {
    for (const name of ["small", "wide", "hex", "signed", "on", "readonly", "text", "blob"]) debugfsRemove(k, name);
    deviceRemoveGroup(k, "small", "small0", GROUP);
    deviceDestroy(k, "small", DEV);
    classDestroy(k, "small");
    removeProcEntry(k, "smallseq");
    removeProcEntry(k, "stuckseq");
    return 0;
  },
});

async function start(): Promise<Lab> {
  const lab = await Lab.boot();
  expect(lab.insmod("smallfiles").ret).toBe(0);
  return lab;
}

const got = ({ ret, errno }: Outcome): unknown => errno ?? ret;
const open = (lab: Lab, pathname: string, flags = "O_RDWR"): number => {
  const { ret, errno } = lab.call("openat", { pathname, flags });
  expect(errno).toBe(null);
  return Number(ret);
};
const bytes = ({ answer }: Outcome): string => ("buf" in answer ? (answer.buf as { text?: string }).text ?? "" : "");
const read = (lab: Lab, fd: number, count = 65536): string => bytes(lab.call("read", { fd, count }));
const write = (lab: Lab, path: string, buf: string): unknown => {
  const fd = open(lab, path, "O_WRONLY");
  const result = got(lab.call("write", { fd, buf }));
  lab.call("close", { fd });
  return result;
};

describe("a file of records", () => {
  test("gives a page or so a read, whole records each, and a record of any size", async () => {
    const lab = await start();
    const fd = open(lab, "/proc/smallseq", "O_RDONLY");
    const parts: string[] = [];
    for (let part = read(lab, fd); part !== ""; part = read(lab, fd)) parts.push(part);
    expect(parts.join("")).toBe(wholeText);
    expect(parts.every((part) => part.endsWith("\n"))).toBe(true);
    expect(parts.map((part) => part.length > 4096), "only the one that does not fit makes a longer read").toContain(true);
    expect(parts[0].length).toBeLessThanOrEqual(4096);
    expect(parts.length).toBeGreaterThan(1);
    const { starts, stops } = data(lab.machine.kernel);
    expect(starts).toBe(stops);
    expect(lab.text("/proc/smallseq")).toBe(wholeText);
  });

  test("is read in pieces of any size, and from where one seeks to", async () => {
    const lab = await start();
    const fd = open(lab, "/proc/smallseq", "O_RDONLY");
    let text = "";
    for (let at = 0; at < 200; at++) text += read(lab, fd, 7);
    expect(text).toBe(wholeText.slice(0, 1400));
    expect(got(lab.call("lseek", { fd, offset: 100, whence: "SEEK_SET" }))).toBe(100);
    expect(read(lab, fd, 50)).toBe(wholeText.slice(100, 150));
    expect(bytes(lab.call("pread64", { fd, count: 20, offset: 11_000 }))).toBe(wholeText.slice(11_000, 11_020));
    expect(read(lab, fd, 10), "pread moves nothing").toBe(wholeText.slice(150, 160));
    expect(got(lab.call("lseek", { fd, offset: 0, whence: "SEEK_END" }))).toBe("EINVAL");
    expect(got(lab.call("lseek", { fd, offset: 1_000_000, whence: "SEEK_SET" }))).toBe(1_000_000);
    expect(read(lab, fd)).toBe("");
    expect(got(lab.call("read", { fd: open(lab, "/proc/smallseq", "O_RDONLY"), buf: null, count: 10 }))).toBe("EFAULT");
  });

  test("whose next stands still is told of, and ends all the same", async () => {
    const lab = await start();
    lab.dmesg();
    expect(read(lab, open(lab, "/proc/stuckseq", "O_RDONLY"))).toBe("0\n1\n");
    expect(lab.dmesg().map(([, text]) => text)).toContain("seq_file: buggy .next function stuckNext did not update position index");
  });
});

describe("attributes", () => {
  const DEVICE = "/sys/class/small/small0";

  test("show and store; a group has a directory; a class has files", async () => {
    const lab = await start();
    expect(lab.text(`${DEVICE}/level`)).toBe("5\n");
    expect(write(lab, `${DEVICE}/level`, "17\n")).toBe(3);
    expect(write(lab, `${DEVICE}/level`, "x")).toBe("EINVAL");
    expect(lab.text(`${DEVICE}/limits/level`)).toBe("17\n");
    expect(lab.text(`${DEVICE}/limits/name`)).toBe("Ada\n");
    expect(lab.text("/sys/class/small/version")).toBe("Ada\n");
    expect(got(lab.call("openat", { pathname: `${DEVICE}/limits/name`, flags: "O_WRONLY" })), "no bits, even for root").toBe("EACCES");
    expect(got(lab.call("openat", { pathname: `${DEVICE}/limits/none`, flags: "O_RDONLY" }))).toBe("ENOENT");
  });

  test("that promise more than they can are warned of; a text that fills the page is cut", async () => {
    const lab = await start();
    expect(lab.dmesg().map(([, text]) => text)).toContain("Attribute boast: write permission without 'store'");
    expect(got(lab.call("openat", { pathname: `${DEVICE}/boast`, flags: "O_WRONLY" }))).toBe("EACCES");
    expect(read(lab, open(lab, `${DEVICE}/long`, "O_RDONLY"))).toBe("y".repeat(4095));
    expect(lab.dmesg().map(([, text]) => text)).toEqual([expect.stringMatching(/^fill_read_buffer: .* returned bad count$/)]);
  });

  test("a group that is there already is refused", async () => {
    const lab = await start();
    expect(deviceAddGroup(lab.machine.kernel, "small", "small0", GROUP)).toBe(-17);
    expect(lab.dmesg().map(([, text]) => text)).toContain("sysfs: cannot create duplicate filename '/devices/virtual/small/small0/limits'");
  });
});

describe("uevents", () => {
  test("are told as classes and devices come and go, and when somebody asks for one", async () => {
    const lab = await start();
    const count = Number(lab.text("/sys/kernel/uevent_seqnum"));
    expect(lab.text("/sys/class/small/small0/uevent")).toBe("MAJOR=240\nMINOR=0\nDEVNAME=small0\n");
    expect(write(lab, "/sys/class/small/small0/uevent", "change")).toBe(6);
    expect(write(lab, "/sys/class/small/small0/uevent", "nonsense")).toBe("EINVAL");
    expect(lab.dmesg().at(-1)).toEqual(["err", "small small0: uevent: failed to send synthetic uevent: -22"]);
    expect(lab.rmmod("smallfiles").ret).toBe(0);
    expect(Number(lab.text("/sys/kernel/uevent_seqnum"))).toBe(count + 3);
    const heard = lab.text("/sys/kernel/debug/uevents").split("\n").filter((line) => line.startsWith("KERNEL")).slice(-5).map((line) => line.replace(/\[.*?\]/, ""));
    expect(heard).toEqual([
      "KERNEL add      /class/small (class)", "KERNEL add      /devices/virtual/small/small0 (small)", "KERNEL change   /devices/virtual/small/small0 (small)",
      "KERNEL remove   /devices/virtual/small/small0 (small)", "KERNEL remove   /class/small (class)",
    ]);
    expect(lab.text("/sys/kernel/debug/uevents")).toContain("ACTION=remove\nDEVPATH=/devices/virtual/small/small0\nSUBSYSTEM=small\nMAJOR=240\nMINOR=0\nDEVNAME=small0\nSEQNUM=");
    expect(lab.machine.broken()).toEqual([]);
  });
});

describe("variables in debugfs", () => {
  const D = "/sys/kernel/debug";

  test("are shown in their types and cut to them", async () => {
    const lab = await start();
    expect(["small", "wide", "hex", "signed", "on", "text"].map((name) => lab.text(`${D}/${name}`))).toEqual(["7\n", "1099511627776\n", "0x0000beef\n", "-3\n", "Y\n", "Ada\n"]);
    expect(write(lab, `${D}/small`, "0x1ff")).toBe(5);
    expect(write(lab, `${D}/hex`, "255\n")).toBe(4);
    expect(write(lab, `${D}/signed`, "-9")).toBe(2);
    expect(["small", "hex", "signed"].map((name) => lab.text(`${D}/${name}`))).toEqual(["255\n", "0x000000ff\n", "-9\n"]);
    expect(write(lab, `${D}/small`, "-1")).toBe("EINVAL");
    expect(write(lab, `${D}/small`, "many")).toBe("EINVAL");
  });

  test("a boolean takes what it understands and says nothing of the rest", async () => {
    const lab = await start();
    expect(write(lab, `${D}/on`, "off")).toBe(3);
    expect(lab.text(`${D}/on`)).toBe("N\n");
    expect(write(lab, `${D}/on`, "perhaps")).toBe(7);
    expect(lab.text(`${D}/on`)).toBe("N\n");
  });

  test("without write bits nobody writes, root neither; a blob is read in pieces", async () => {
    const lab = await start();
    expect(write(lab, `${D}/readonly`, "1")).toBe("EACCES");
    expect(write(lab, `${D}/text`, "1")).toBe("EINVAL");
    const fd = open(lab, `${D}/blob`, "O_RDONLY");
    expect(read(lab, fd, 3)).toBe("\u0001\u0002\u0003");
    expect(read(lab, fd, 3)).toBe("\u0004");
    expect(read(lab, fd, 3)).toBe("");
  });
});
