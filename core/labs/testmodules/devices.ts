/** Modules of the tests with devices: one without any handler, one with all, one whose mapping faults, one that registers twice. */
import { EAGAIN, ECANCELED, EFAULT, EINVAL, ENOMEM, ENOSPC, ENOTTY } from "../../abi/errno.ts";
import { MAJOR, MINOR, MKDEV } from "../../abi/dev_t.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../../abi/epoll.ts";
import { O_NONBLOCK } from "../../abi/fcntl.ts";
import type { Kernel } from "../../kernel.ts";
import { kstrtoint } from "../../lib/kstrto.ts";
import { allocChrdevRegion, registerChrdev, registerChrdevRegion, unregisterChrdev, unregisterChrdevRegion } from "../../fs/char_dev.ts";
import { classCreate, classDestroy, deviceCreate, deviceDestroy } from "../../fs/class.ts";
import { fileOperations } from "../../fs/file.ts";
import { miscDeregister, MISC_DYNAMIC_MINOR, miscRegister } from "../../fs/misc.ts";
import { bytesName } from "../../fs/names.ts";
import { procCreate, procMkdir, removeProcEntry } from "../../fs/proc/dynamic.ts";
import { seekInSize } from "../../fs/regular.ts";
import { singleOpen } from "../../fs/seq_file.ts";
import { allocFrame, frameBytes, putFrame } from "../../mm/page_alloc.ts";
import { copyFromUser, copyFromUserPartial, copyToUser, getUser32, putUser32 } from "../../mm/usercopy.ts";
import { vmOperations } from "../../mm/vma.ts";
import { readVmalloc, remapVmallocRange, vfree, vmallocUser, writeVmalloc } from "../../mm/vmalloc.ts";
import { moduleData } from "../../module/query.ts";
import { printk } from "../../sched/printk.ts";
import { newWaitQueue, sleepOn, wake } from "../../sched/wait_queue.ts";
import { testModule } from "./simple.ts";

const INFO = 6;
const PAGE = 4096;

// nohand: a character device whose file operations have nothing but an owner.
fileOperations("test.nohand", { owner: "nohand" });
testModule("nohand", {
  init: (k, { data }) => {
    const major = registerChrdev(k, 0, "nohand", "test.nohand");
    if (major < 0) return major;
    data.major = major;
    classCreate(k, "nohand", "nohand");
    deviceCreate(k, "nohand", MKDEV(major, 0), "nohand0");
    printk(k, INFO, `nohand: major ${major}`);
    return 0;
  },
  exit: (k, { data }) => {
    const major = data.major as number;
    deviceDestroy(k, "nohand", MKDEV(major, 0));
    classDestroy(k, "nohand");
    unregisterChrdev(k, major, "nohand");
    return 0;
  },
});

// full: a misc device with read, write, ioctl, mmap, poll, llseek, and a /proc file.
interface FullData {
  buffer: number;
  value: number;
  used: number;
  wait: number;
}
const full = (k: Kernel): FullData => moduleData<FullData>(k, "full");
const F_RESET = 0x6600;
const F_GET = 0x8004_6601;
const F_SET = 0x4004_6602;
const F_XCHG = 0xc004_6603;

fileOperations("test.full", {
  owner: "full",
  open: (k, task, file) => {
    printk(k, INFO, `full: open by ${task.comm} pid ${task.tid} flags ${file.flags.toString(8)}`);
    return 0;
  },
  release: (k) => {
    printk(k, INFO, "full: release");
    return 0;
  },
  read: (k, task, file, buf, count, at) => {
    const data = full(k);
    if (data.used === 0) return (file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn(data.wait, { wchan: "f_read" });
    const pos = Number(at.pos);
    if (pos >= data.used || count === 0) return 0;
    const copied = copyToUser(k, task, buf, readVmalloc(k, data.buffer, pos, Math.min(count, data.used - pos)));
    if (copied > 0) at.pos = pos + copied;
    return copied;
  },
  write: (k, task, _file, buf, count, at) => {
    const data = full(k);
    const pos = Number(at.pos);
    if (count === 0) return 0;
    if (pos >= PAGE) return -ENOSPC;
    const bytes = copyFromUserPartial(k, task, buf, Math.min(count, PAGE - pos));
    if (bytes.length === 0) return -EFAULT;
    writeVmalloc(k, data.buffer, pos, bytes);
    at.pos = pos + bytes.length;
    data.used = Math.max(data.used, pos + bytes.length);
    wake(k, data.wait);
    return bytes.length;
  },
  ioctl: (k, task, _file, request, arg) => {
    const data = full(k);
    switch (request) {
      case F_RESET: data.value = 0; data.used = 0; return 0;
      case F_GET: return putUser32(k, task, arg, data.value) ? 0 : -EFAULT;
      case F_SET: case F_XCHG: {
        const given = getUser32(k, task, arg);
        if (given === null || (request === F_XCHG && !putUser32(k, task, arg, data.value))) return -EFAULT;
        data.value = given | 0;
        return request === F_XCHG ? 1 : 0;
      }
      default: return -ENOTTY;
    }
  },
  mmap: (k, _task, _file, vma) => remapVmallocRange(k, vma, full(k).buffer, vma.pgoff),
  poll: (k) => ({ mask: POLLOUT | POLLWRNORM | (full(k).used > 0 ? POLLIN | POLLRDNORM : 0), queues: [full(k).wait] }),
  // fixed_size_llseek: no position behind the end.
  llseek: (_k, _task, file, offset, whence) => {
    const before = file.pos;
    const pos = seekInSize(file, 2 * PAGE, offset, whence);
    if (pos <= 2 * PAGE) return pos;
    file.pos = before;
    return -EINVAL;
  },
});

fileOperations("test.full.proc", {
  owner: "full",
  ...singleOpen((k) => `value=${full(k).value} used=${full(k).used} ticks=0\n`),
  write: (k, task, _file, buf, count) => {
    const bytes = copyFromUser(k, task, buf, Math.min(count, 64));
    if (typeof bytes === "number") return bytes;
    const parsed = kstrtoint(bytesName(bytes), 0);
    if ("errno" in parsed) return parsed.errno;
    full(k).value = parsed.value;
    return count;
  },
});

testModule("full", {
  init: (k, module) => {
    const buffer = vmallocUser(k, 2 * PAGE, "full");
    if (buffer === 0) return -ENOMEM;
    Object.assign(module.data, { buffer, value: 0, used: 0, wait: newWaitQueue(k) } satisfies FullData);
    const minor = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: "fulldev", ops: "test.full", mode: 0o666 });
    if (minor < 0) {
      vfree(k, buffer);
      return minor;
    }
    procCreate(k, "fulldev", 0o644, "test.full.proc");
    printk(k, INFO, `full: minor ${minor}`);
    return 0;
  },
  exit: (k) => {
    removeProcEntry(k, "fulldev");
    miscDeregister(k, "fulldev");
    vfree(k, full(k).buffer);
    printk(k, INFO, "full: ticks 0");
    return 0;
  },
});

// faultdev: four pages come by fault, what is beyond is SIGBUS; each call is told.
interface FaultData {
  frames: number[];
}
const faultFrames = (k: Kernel): number[] => moduleData<FaultData>(k, "faultdev").frames;
const tell = (k: Kernel, text: string): void => printk(k, INFO, `faultdev: ${text}`);

vmOperations("test.faultdev", {
  open: (k, vma, task) => tell(k, `vm_open pid ${task.tgid} off ${vma.pgoff} len ${(vma.end - vma.start) / PAGE} flags ${(vma.flags & 0xff).toString(16)}`),
  close: (k, vma, task) => tell(k, `vm_close pid ${task.tgid} len ${(vma.end - vma.start) / PAGE}`),
  fault: (k, vma, { task, addr, pgoff, write }) => {
    tell(k, `fault pid ${task.tgid} pgoff ${pgoff} flags write=${write ? 1 : 0} addr_off ${(addr - vma.start).toString(16)}`);
    const frames = faultFrames(k);
    return pgoff >= frames.length ? "sigbus" : { pfn: frames[pgoff] };
  },
});
fileOperations("test.faultdev", {
  owner: "faultdev",
  open: (k) => {
    tell(k, "open");
    return 0;
  },
  release: (k) => {
    tell(k, "release");
    return 0;
  },
  mmap: (k, task, _file, vma) => {
    vma.ops = "test.faultdev";
    tell(k, `mmap pid ${task.tgid} len ${(vma.end - vma.start) / PAGE} pgoff ${vma.pgoff} shared=${(vma.flags & 8) !== 0 ? 1 : 0}`);
    return 0;
  },
});
testModule("faultdev", {
  init: (k, { data }) => {
    const frames = [0, 1, 2, 3].map(() => allocFrame(k));
    frames.forEach((pfn, i) => (frameBytes(k, pfn)[0] = 65 + i));
    data.frames = frames;
    const minor = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: "faultdev", ops: "test.faultdev" });
    return minor < 0 ? minor : 0;
  },
  exit: (k) => {
    miscDeregister(k, "faultdev");
    for (const pfn of faultFrames(k)) putFrame(k, pfn);
    tell(k, "exit");
    return 0;
  },
});

// regerr: what registration answers, right and wrong; its init gives up at the end.
fileOperations("test.regerr", { owner: "regerr" });
testModule("regerr", {
  init: (k) => {
    const ops = "test.regerr";
    const say = (text: string): void => printk(k, INFO, `regerr: ${text}`);
    say(`register_chrdev(240)=${registerChrdev(k, 240, "x240", ops)}`);
    say(`register_chrdev(240) again=${registerChrdev(k, 240, "y240", ops)}`);
    unregisterChrdev(k, 240, "x240");
    say(`register_chrdev(512)=${registerChrdev(k, 512, "big", ops)}`);
    const major = registerChrdev(k, 0, "dyn", ops);
    say(`register_chrdev(0)=${major}`);
    unregisterChrdev(k, major, "dyn");
    const first = allocChrdevRegion(k, 0, 1, "reg");
    say(`alloc_chrdev_region=0 major=${MAJOR(first)} minor=${MINOR(first)}`);
    const second = allocChrdevRegion(k, 3, 2, "reg");
    say(`alloc_chrdev_region same name=0 major=${MAJOR(second)} minor=${MINOR(second)}`);
    say(`register_chrdev_region taken=${registerChrdevRegion(k, first, 1, "reg2")}`);
    say(`register_chrdev_region(1,3)=${registerChrdevRegion(k, MKDEV(1, 3), 1, "mem3")}`);
    unregisterChrdevRegion(k, first, 1);
    unregisterChrdevRegion(k, second, 2);
    const outcome = (minor: number): number => (minor < 0 ? minor : 0);
    say(`misc_register minor 123=${outcome(miscRegister(k, { minor: 123, name: "mdup", ops }))}`);
    say(`misc_register minor 123 again=${outcome(miscRegister(k, { minor: 123, name: "mdup2", ops }))}`);
    say(`misc_register same name=${outcome(miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: "mdup", ops }))} minor=255`);
    const dynamic = miscRegister(k, { minor: MISC_DYNAMIC_MINOR, name: "mdyn", ops });
    say(`misc_register dynamic=${outcome(dynamic)} minor=${dynamic}`);
    miscDeregister(k, "mdyn");
    miscDeregister(k, "mdup");
    say(`class_create=${classCreate(k, "regk", "regerr")}`);
    say(`class_create dup=${classCreate(k, "regk", "regerr")}`);
    say(`device_create=${deviceCreate(k, "regk", MKDEV(241, 0), "regd")}`);
    say(`device_create dup name=${deviceCreate(k, "regk", MKDEV(241, 1), "regd")}`);
    say(`device_create dup devt=${deviceCreate(k, "regk", MKDEV(241, 0), "regd2")}`);
    deviceDestroy(k, "regk", MKDEV(241, 0));
    classDestroy(k, "regk");
    const made = [
      procCreate(k, "regp", 0o444, ops), procCreate(k, "regp", 0o444, ops), procMkdir(k, "regp"), procCreate(k, "nodir/x", 0o444, ops),
      procCreate(k, "", 0o444, ops),
    ].map(Number);
    say(`proc_create=${made[0]} dup=${made[1]} mkdir dup=${made[2]} nodir/x=${made[3]} empty=${made[4]}`);
    removeProcEntry(k, "regp");
    removeProcEntry(k, "regnone");
    return -ECANCELED;
  },
});

