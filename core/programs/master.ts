/**
 * The first lab's sender: `master N file1 … fileN method`. Calls in the order of the report's program: CREATESOCK, then for
 * each file its size and its bytes, by write(2) ("fcntl") or through the device's mapping ("mmap"), then EXIT.
 */
import { O_RDWR } from "../abi/fcntl.ts";
import { AT_FDCWD } from "../abi/fcntl.ts";
import { PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { decodeStruct } from "../abi/layout.ts";
import { statLayout } from "../abi/stat.ts";
import { loadUser } from "../mm/access.ts";
import { NEXT, steps, to } from "../sched/steps.ts";
import { program } from "./program.ts";
import {
  again, allocate, allocated, BUF, call, die, done, exit1, IOCTL_CREATESOCK, IOCTL_DESCRIPTOR, IOCTL_EXIT, IOCTL_MMAP, keep, layText,
  mapDevice, mapFile, memcpy, MMAP_SIZE, open, perror, say, SIZE, startClock, STAT, stopClock, storeSize, tellTime, timeOfDay,
  vdevLocals, type VdevLocals,
} from "./vdev_common.ts";
import { sys } from "../syscalls/enter.ts";

const stepLength = ({ left }: VdevLocals): number => Math.min(MMAP_SIZE, left);

export const master = steps<VdevLocals>("program.master", {
  allocate, allocated,
  names: (k, task, frame) => {
    const { files, index } = frame.locals;
    return index === files.length ? to("openDevice") : say(() => `file name : ${files[index]}\n`)(k, task, frame);
  },
  named: (_k, _task, frame) => {
    frame.locals.index++;
    return to("names");
  },
  openDevice: open(() => "/dev/master_device", O_RDWR, 0),
  openedDevice: (k, task, frame) => {
    frame.locals.device = Number(frame.ret);
    frame.locals.index = 0;
    return perror("failed to open /dev/master_device", "createSocket")(k, task, frame);
  },
  openFailed: exit1,
  createSocket: call("ioctl", ({ device }) => [device, IOCTL_CREATESOCK, 0]),
  createdSocket: perror("ioclt server create socket error", "success"),
  createFailed: exit1,
  success: say(() => "ioctl success\n"),
  method: say(({ method }) => `method : ${method}\n`),
  count: say(({ count }) => `file num : ${count}\n`),

  nextFile: (k, task, frame) => {
    const { count, files, index } = frame.locals;
    return index >= count ? to("finish") : open(() => files[index], O_RDWR, 0)(k, task, frame);
  },
  openedFile: (k, task, frame) => {
    frame.locals.file = Number(frame.ret);
    return perror("failed to open input file", "stat")(k, task, frame);
  },
  openFileFailed: exit1,
  stat: (k, task, frame) => {
    const { files, index, heap } = frame.locals;
    return sys(k, task, frame, "newfstatat", [AT_FDCWD, layText(k, task, frame, files[index]), heap + STAT, 0]);
  },
  size: (k, task, frame) => {
    const { bytes } = loadUser(k, task, frame.locals.heap + STAT, statLayout.size);
    frame.locals.total = Number(decodeStruct(statLayout, bytes).st_size);
    frame.locals.left = frame.locals.total;
    return NEXT;
  },
  newFile: say(({ files, index, total }) => `new file ${files[index]} size ${total} bytes\n`),
  begin: timeOfDay,
  began: startClock,
  choose: (_k, _task, { locals }) => (locals.method.startsWith("f") ? NEXT : locals.method.startsWith("m") ? to("mapForSize") : to("close")),

  storeSize: (k, task, { locals }) => storeSize(k, task, locals.heap + SIZE, locals.total),
  writeSize: call("write", ({ device, heap }) => [device, heap + SIZE, 8]),
  read: call("read", ({ file, heap, bufSize }) => [file, heap + BUF, bufSize]),
  write: (k, task, frame) => {
    frame.locals.left = Math.max(0, Number(frame.ret));
    return sys(k, task, frame, "write", [frame.locals.device, frame.locals.heap + BUF, frame.locals.left]);
  },
  wrote: say(({ left }) => `write ${left} bytes\n`),
  // As the report: the read that finds nothing is written too.
  more: (_k, _task, { locals }) => (locals.left > 0 ? to("read") : to("close")),

  mapForSize: mapDevice(PROT_READ | PROT_WRITE),
  keepForSize: keep("kernelAddress"),
  putSize: (k, task, { locals }) => storeSize(k, task, locals.kernelAddress, locals.total),
  sendSize: call("ioctl", ({ device }) => [device, IOCTL_MMAP, 8]),
  sentSize: again("sendSize"),
  step: (k, task, frame) => (frame.locals.left === 0 ? to("descriptor") : say((locals) => `write ${stepLength(locals)} bytes\n`)(k, task, frame)),
  mapFile: mapFile(PROT_READ),
  mappedFile: keep("fileAddress"),
  mapDevice: mapDevice(PROT_READ | PROT_WRITE),
  mappedDevice: keep("kernelAddress"),
  copy: (k, task, { locals }) => memcpy(k, task, locals.kernelAddress, locals.fileAddress, stepLength(locals)),
  send: call("ioctl", (locals) => [locals.device, IOCTL_MMAP, stepLength(locals)]),
  sent: again("send"),
  unmapFile: (k, task, frame) =>
    (frame.locals.unmaps ? sys(k, task, frame, "munmap", [frame.locals.fileAddress, MMAP_SIZE]) : to("advance")),
  unmapDevice: (k, task, frame) => {
    const { left, kernelAddress } = frame.locals;
    return left <= MMAP_SIZE ? to("advance") : sys(k, task, frame, "munmap", [kernelAddress, MMAP_SIZE]);
  },
  advance: (_k, _task, { locals }) => {
    locals.left -= stepLength(locals);
    return to("step");
  },
  descriptor: call("ioctl", ({ device, kernelAddress }) => [device, IOCTL_DESCRIPTOR, kernelAddress]),
  described: perror("ioctl server", "unmap"),
  unmap: call("munmap", ({ kernelAddress }) => [kernelAddress, MMAP_SIZE]),

  close: call("close", ({ file }) => [file]),
  end: timeOfDay,
  ended: stopClock("nextFile"),

  finish: tellTime,
  exit: call("ioctl", ({ device }) => [device, IOCTL_EXIT, 0]),
  exited: perror("ioctl server exits error", "closeDevice"),
  exitFailed: exit1,
  closeDevice: call("close", ({ device }) => [device]),
  done,
  stayed: () => 0,
  die,
  dead: exit1,
});

program("master", master, (args) => vdevLocals(args, 1));
