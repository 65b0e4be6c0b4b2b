/** The kernel log by its doors: /dev/kmsg, syslog(2), /proc/kmsg, and dmesg's forms. */
import { describe, expect, test } from "vitest";
import { dmesgDecodedLine, dmesgLine, dmesgRawLine, dmesgText } from "../../../core/drivers/dmesg.ts";
import { kmsgRecord } from "../../../core/drivers/kmsg.ts";
import { printk, type LogRecord } from "../../../core/sched/printk.ts";
import { Lab, type Outcome } from "../modules/lab.ts";

const record = (level: number, ns: number, text: string, facility = 0): LogRecord => ({ sequence: 705, ns, level, facility, text });
const text = ({ answer }: Outcome): string => ("buf" in answer ? (answer.buf as { text: string }).text : String(answer.state));
const open = (lab: Lab, flags: string, pid = lab.pid): Outcome => lab.call("openat", { pathname: "/dev/kmsg", flags }, pid);

describe("forms of a line, as recorded", () => {
  const two = record(4, 51_756_375_000, "levels: two\nlines");
  test("dmesg, dmesg -x, dmesg -r", () => {
    expect(dmesgLine(two)).toBe("[   51.756375] levels: two\n               lines");
    expect(dmesgDecodedLine(two)).toBe("kern  :warn  : [   51.756375] levels: two\n                              lines");
    expect(dmesgRawLine(two)).toBe("<4>[   51.756375] levels: two\n                  lines");
    expect(dmesgDecodedLine(record(3, 52_159_605_000, "oracle: user message", 1))).toBe("user  :err   : [   52.159605] oracle: user message");
    expect(dmesgLine(record(3, 0, "Invalid ELF header magic: != \x7fELF"))).toBe("[    0.000000] Invalid ELF header magic: != \\x7fELF");
  });
  test("/dev/kmsg", () => {
    expect(kmsgRecord(two)).toBe("4,705,51756375,-;levels: two\\x0alines\n");
    expect(kmsgRecord(record(3, 52_159_605_999, "oracle: a\\b", 1))).toBe("11,705,52159605,-;oracle: a\\x5cb\n");
  });
});

describe("/dev/kmsg", () => {
  test("gives a record a read, and refuses a buffer that is too short once", async () => {
    const lab = await Lab.boot();
    const { kernel } = lab.machine;
    const fd = Number(open(lab, "O_RDONLY|O_NONBLOCK").ret);
    lab.call("lseek", { fd, offset: 0, whence: "SEEK_END" });
    expect(lab.call("read", { fd, count: 100 })).toMatchObject({ errno: "EAGAIN" });
    printk(kernel, 6, "one");
    printk(kernel, 4, "two");
    expect(lab.call("read", { fd, count: 4 })).toMatchObject({ errno: "EINVAL" });
    expect(text(lab.call("read", { fd, count: 100 }))).toMatch(/^4,[0-9]+,[0-9]+,-;two\n$/);
    expect(lab.call("lseek", { fd, offset: 10, whence: "SEEK_SET" })).toMatchObject({ errno: "ESPIPE" });
    expect(lab.call("lseek", { fd, offset: 0, whence: "SEEK_SET" }).ret).toBe(0);
    expect(text(lab.call("read", { fd, count: 1000 }))).toMatch(/^5,0,0,-;Linux version /);
  });
  test("a reader that fell behind is told with EPIPE", async () => {
    const lab = await Lab.boot();
    const fd = Number(open(lab, "O_RDONLY|O_NONBLOCK").ret);
    for (let i = 0; i < 500; i++) printk(lab.machine.kernel, 6, "x".repeat(900));
    expect(lab.call("read", { fd, count: 2000 })).toMatchObject({ errno: "EPIPE" });
    expect(text(lab.call("read", { fd, count: 2000 }))).toMatch(/^6,[0-9]+/);
  });
  test("a reader sleeps until there is something", async () => {
    const lab = await Lab.boot();
    const fd = Number(open(lab, "O_RDONLY").ret);
    lab.call("lseek", { fd, offset: 0, whence: "SEEK_END" });
    const reading = lab.call("read", { fd, count: 200 });
    expect(reading.ret).toBe("sleeping");
    const writer = await lab.machine.createProcess(0);
    const out = Number(open(lab, "O_WRONLY", writer).ret);
    expect(lab.call("write", { fd: out, buf: "<3>oracle: hello\n" }, writer).ret).toBe(17);
    if (!("callId" in reading.answer)) throw new Error("the read did not sleep");
    const answer = lab.machine.stand(String(reading.answer.callId));
    expect("buf" in answer && (answer.buf as { text: string }).text).toMatch(/^11,[0-9]+,[0-9]+,-;oracle: hello\n$/);
  });
  test("writes of users are limited, and what was held back is told when the file goes", async () => {
    const lab = await Lab.boot();
    const fd = Number(open(lab, "O_WRONLY").ret);
    for (let i = 0; i < 26; i++) expect(lab.call("write", { fd, buf: `line ${i}\n` }).errno).toBe(null);
    expect(lab.dmesg()).toEqual(Array.from({ length: 10 }, (_, i) => ["warn", `line ${i}`]));
    lab.call("close", { fd });
    expect(lab.dmesg()).toEqual([["warn", "printk: sh: 16 output lines suppressed due to ratelimiting"]]);
    const again = Number(open(lab, "O_WRONLY").ret);
    expect(lab.call("write", { fd: again, buf: "x".repeat(977) })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("write", { fd: again, buf: null, count: 5 })).toMatchObject({ errno: "EFAULT" });
    lab.call("write", { fd: again, buf: "<30>from a daemon" });
    expect(dmesgText(lab.machine.kernel, dmesgDecodedLine)).toMatch(/daemon:info {2}: \[.*\] from a daemon\n$/);
  });
  test("the limit is lifted after its time", async () => {
    const lab = await Lab.boot();
    const fd = Number(open(lab, "O_WRONLY").ret);
    for (let i = 0; i < 11; i++) lab.call("write", { fd, buf: "again" });
    lab.machine.advance(5100);
    lab.dmesg();
    lab.call("write", { fd, buf: "after" });
    expect(lab.dmesg()).toEqual([["warn", "after"]]);
  });
});

describe("syslog(2)", () => {
  test("reads all, or what fits at the end; clears; tells sizes", async () => {
    const lab = await Lab.boot();
    printk(lab.machine.kernel, 6, "last line");
    const all = lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", len: 10_000 });
    expect("bufp" in all.answer && (all.answer.bufp as { text: string }).text).toMatch(/^<5>\[ {4}0\.000000\] Linux version .*\n[^]*<6>\[ {4}[0-9.]+\] last line\n$/);
    const tail = lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", len: 40 });
    expect("bufp" in tail.answer && (tail.answer.bufp as { text: string }).text).toMatch(/^<6>\[.*\] last line\n$/);
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_SIZE_BUFFER" }).ret).toBe(131072);
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_CLEAR" }).ret).toBe(0);
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", len: 10_000 }).ret).toBe(0);
    expect(dmesgText(lab.machine.kernel)).toBe("");
    expect(lab.call("syslog", { type: 77 })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", bufp: null, len: 10 })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_CONSOLE_LEVEL", len: 99 })).toMatchObject({ errno: "EINVAL" });
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_CONSOLE_LEVEL", len: 3 }).ret).toBe(0);
    expect(lab.text("/proc/sys/kernel/printk")).toBe("3\t4\t1\t7\n");
  });
  test("READ takes each line once, and sleeps when there is none", async () => {
    const lab = await Lab.boot();
    const unread = Number(lab.call("syslog", { type: "SYSLOG_ACTION_SIZE_UNREAD" }).ret);
    expect(unread).toBeGreaterThan(100);
    const first = Number(lab.call("syslog", { type: "SYSLOG_ACTION_READ", len: 30 }).ret);
    expect(first).toBe(30);
    let taken = first;
    while (taken < unread) taken += Number(lab.call("syslog", { type: "SYSLOG_ACTION_READ", len: 200 }).ret);
    expect([taken, lab.call("syslog", { type: "SYSLOG_ACTION_SIZE_UNREAD" }).ret]).toEqual([unread, 0]);
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_READ", len: 200 }).ret).toBe("sleeping");
  });
  test("a user reads the log unless dmesg_restrict is set, and changes nothing", async () => {
    const lab = await Lab.boot();
    const user = await lab.machine.createProcess(1000);
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", len: 100 }, user).errno).toBe(null);
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_CLEAR" }, user)).toMatchObject({ errno: "EPERM" });
    expect(open(lab, "O_RDONLY", user).errno).toBe(null);
    expect(open(lab, "O_WRONLY", user)).toMatchObject({ errno: "EACCES" });
    const { ret: fd } = lab.call("openat", { pathname: "/proc/sys/kernel/dmesg_restrict", flags: "O_WRONLY" });
    lab.call("write", { fd, buf: "1\n" });
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", len: 100 }, user)).toMatchObject({ errno: "EPERM" });
    expect(open(lab, "O_RDONLY", user)).toMatchObject({ errno: "EPERM" });
    expect(lab.call("syslog", { type: "SYSLOG_ACTION_READ_ALL", len: 100 }).errno).toBe(null);
  });
});
