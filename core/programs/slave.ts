/**
 * The first lab's receiver: `slave N file1 … fileN method ip`. Calls in the order of the report's program: CREATESOCK with the
 * address, then for each file its size and its bytes, by read(2) ("fcntl") or through the device's mapping ("mmap"), then EXIT.
 */
import { O_CREAT, O_RDWR, O_TRUNC } from "../abi/fcntl.ts";
import { PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { NEXT, steps, to } from "../sched/steps.ts";
import { sys } from "../syscalls/enter.ts";
import { program } from "./program.ts";
import {
  again, allocate, allocated, BUF, call, die, done, exit1, IOCTL_CREATESOCK, IOCTL_DESCRIPTOR, IOCTL_EXIT, IOCTL_MMAP, keep, layText,
  loadSize, mapDevice, mapFile, memcpy, MMAP_SIZE, open, perror, say, SIZE, startClock, stopClock, tellTime, timeOfDay, vdevLocals,
  type VdevLocals,
} from "./vdev_common.ts";

/** The report's open has no mode, which leaves it to chance; this is what it ought to have been. */
const FILE_MODE = 0o644;

const stepLength = ({ left }: VdevLocals): number => Math.min(MMAP_SIZE, left);

export const slave = steps<VdevLocals>("program.slave", {
  allocate, allocated,
  names: (k, task, frame) => {
    const { files, index } = frame.locals;
    return index === files.length ? to("openDevice") : say(() => `file name : ${files[index]}\n`)(k, task, frame);
  },
  named: (_k, _task, frame) => {
    frame.locals.index++;
    return to("names");
  },
  openDevice: open(() => "/dev/slave_device", O_RDWR, 0),
  openedDevice: (k, task, frame) => {
    frame.locals.device = Number(frame.ret);
    frame.locals.index = 0;
    return perror("failed to open /dev/slave_device", "createSocket")(k, task, frame);
  },
  openFailed: exit1,
  createSocket: (k, task, frame) =>
    sys(k, task, frame, "ioctl", [frame.locals.device, IOCTL_CREATESOCK, layText(k, task, frame, frame.locals.ip)]),
  createdSocket: perror("ioclt create slave socket error", "success"),
  createFailed: exit1,
  success: say(() => "ioctl success \n"),
  method: say(({ method }) => `method : ${method}\n`),
  count: say(({ count }) => `file num : ${count}\n`),

  nextFile: (k, task, frame) => {
    const { count, files, index } = frame.locals;
    return index >= count ? to("finish") : open(() => files[index], O_RDWR | O_CREAT | O_TRUNC, FILE_MODE)(k, task, frame);
  },
  openedFile: (k, task, frame) => {
    frame.locals.file = Number(frame.ret);
    frame.locals.total = 0;
    frame.locals.left = 0;
    return perror("failed to open input file", "begin")(k, task, frame);
  },
  openFileFailed: exit1,
  begin: timeOfDay,
  began: startClock,
  choose: (_k, _task, { locals }) => (locals.method.startsWith("f") ? NEXT : locals.method.startsWith("m") ? to("receiveSize") : to("close")),

  readSize: call("read", ({ device, heap }) => [device, heap + SIZE, 8]),
  gotSize: (k, task, { locals }) => {
    const size = loadSize(k, task, locals.heap + SIZE);
    if (typeof size !== "number") return size;
    locals.total = size;
    locals.left = size;
    return NEXT;
  },
  newFile: say(({ files, index, total }) => `new file ${files[index]} size : ${total} bytes\n`),
  read: call("read", ({ device, heap, left, bufSize }) => [device, heap + BUF, Math.min(left, bufSize)]),
  write: (k, task, frame) => {
    const { locals } = frame;
    locals.fileAddress = Math.max(0, Number(frame.ret));
    // The report's loop would never end at the end of the stream.
    if (locals.fileAddress === 0 && locals.left > 0) return to("tail");
    return sys(k, task, frame, "write", [locals.file, locals.heap + BUF, locals.fileAddress]);
  },
  wrote: (k, task, frame) => {
    const { locals } = frame;
    locals.left -= locals.fileAddress;
    if (locals.left === 0) return to("tail");
    return say(({ fileAddress, left }) => `read ${fileAddress} bytes, remain file size : ${left} bytes\n`)(k, task, frame);
  },
  more: () => to("read"),
  tail: say(({ fileAddress }) => `read remaining ${fileAddress} bytes\n`),
  tailTold: () => to("close"),

  receiveSize: call("ioctl", ({ device }) => [device, IOCTL_MMAP, 8]),
  receivedSize: again("receiveSize"),
  mapForSize: mapDevice(PROT_READ),
  keepForSize: keep("kernelAddress"),
  takeSize: (k, task, { locals }) => {
    const size = loadSize(k, task, locals.kernelAddress);
    if (typeof size !== "number") return size;
    locals.total = size;
    locals.left = size;
    return NEXT;
  },
  newMapped: say(({ files, index, total }) => `new file ${files[index]} size : ${total} bytes\n`),
  step: (k, task, frame) => {
    const { locals } = frame;
    if (locals.left === 0) return to("descriptor");
    return sys(k, task, frame, "fallocate", [locals.file, 0, locals.total - locals.left, stepLength(locals)]);
  },
  length: say((locals) => `len = ${stepLength(locals)}\n`),
  receive: call("ioctl", (locals) => [locals.device, IOCTL_MMAP, stepLength(locals)]),
  received: again("receive"),
  mapDevice: mapDevice(PROT_READ),
  mappedDevice: keep("kernelAddress"),
  mapFile: mapFile(PROT_READ | PROT_WRITE),
  mappedFile: keep("fileAddress"),
  copy: (k, task, { locals }) => memcpy(k, task, locals.fileAddress, locals.kernelAddress, stepLength(locals)),
  unmapFile: call("munmap", (locals) => [locals.fileAddress, stepLength(locals)]),
  unmapDevice: (k, task, frame) => {
    const { unmaps, left, kernelAddress } = frame.locals;
    return !unmaps || left <= MMAP_SIZE ? to("advance") : sys(k, task, frame, "munmap", [kernelAddress, MMAP_SIZE]);
  },
  advance: (_k, _task, { locals }) => {
    locals.left -= stepLength(locals);
    return NEXT;
  },
  told: say(({ total, left }) => `offset: ${total - left}, remaining file_size: ${left}\n`),
  moreSteps: () => to("step"),
  descriptor: call("ioctl", ({ device, kernelAddress }) => [device, IOCTL_DESCRIPTOR, kernelAddress]),
  truncate: call("ftruncate", ({ file, total }) => [file, total]),
  unmap: call("munmap", ({ kernelAddress }) => [kernelAddress, MMAP_SIZE]),

  close: call("close", ({ file }) => [file]),
  end: timeOfDay,
  ended: stopClock("nextFile"),

  finish: say(() => "File transfer done\n"),
  tellTime,
  exit: call("ioctl", ({ device }) => [device, IOCTL_EXIT, 0]),
  exited: perror("ioclt client exits error", "closeDevice"),
  exitFailed: exit1,
  closeDevice: call("close", ({ device }) => [device]),
  done,
  stayed: () => 0,
  die,
  dead: exit1,
});

program("slave", slave, (args) => vdevLocals(args, 2));
