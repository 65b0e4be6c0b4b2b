/** The lab's two user programs, `master` and `slave`, as clients that make the same system calls in the same order. */
import { type Answer, bytesOf, type Call, type Process } from "./client.ts";

export const CREATESOCK = 0x12345677;
export const MMAP = 0x12345678;
export const EXIT = 0x12345679;
/** Prints the page descriptor of an address. */
export const DESCRIPTOR = 0x12345676;

const PAGE = 4096;
const CHUNK = 512;
/** Calls of one trip; a batch takes at most 10,000. */
const TRIP = 9_990;

export type Method = "f" | "m";

export interface Side {
  process: Process;
  device: number;
}

/** One file on its way: `path` in the kernel and, for the master, what it holds. */
export interface Load {
  path: string;
  bytes: Buffer;
}

export async function openDevice(process: Process, which: "master" | "slave"): Promise<Side> {
  const device = await process.must("openat", { pathname: `/dev/${which}_device`, flags: "O_RDWR" });
  return { process, device };
}

/** Waits for a slave. */
export async function accept({ process, device }: Side): Promise<Answer> {
  return process.session.ended(await process.call("ioctl", { fd: device, request: CREATESOCK }));
}

export function connect({ process, device }: Side, ip = "127.0.0.1"): Promise<Answer> {
  return process.call("ioctl", { fd: device, request: CREATESOCK, arg: { in: ip } });
}

/** Sends the files over an open connection; answers what "Transmission time" would print as the size. */
export async function send(side: Side, files: Load[], method: Method): Promise<number> {
  let sent = 0;
  for (const file of files) sent += method === "f" ? await sendByWrite(side, file) : await sendByMap(side, file);
  return sent;
}

/** Receives into files of these names; answers the bytes received. */
export async function receive(side: Side, paths: string[], method: Method): Promise<number> {
  let received = 0;
  for (const path of paths) received += method === "f" ? await receiveByRead(side, path) : await receiveByMap(side, path);
  return received;
}

/** The end of both programs: ioctl EXIT and close. */
export async function leave({ process, device }: Side): Promise<void> {
  await process.mustBatch([{ call: "ioctl", args: { fd: device, request: EXIT } }, { call: "close", args: { fd: device } }]);
}

/** Room for a buffer in the process's own memory. */
async function buffer(process: Process): Promise<string> {
  const answer = await process.call("mmap", { length: PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
  return String(answer.ret);
}

async function openFile(process: Process, pathname: string, flags: string): Promise<{ fd: number; size: number }> {
  const [opened, stat] = await process.mustBatch([
    { call: "openat", args: { pathname, flags, mode: "0644" } },
    { call: "fstat", args: { fd: { ret: 0 } } },
    { call: "gettimeofday" },
  ]);
  return { fd: opened!.ret, size: Number(stat!.statbuf!["st_size"]) };
}

function lengthPrefix(size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(size));
  return bytes;
}

async function sendByWrite({ process, device }: Side, file: Load): Promise<number> {
  const { fd, size } = await openFile(process, file.path, "O_RDWR");
  const buf = { addr: await buffer(process) };
  await process.mustBatch([{ call: "write", args: { fd: device, buf: { base64: lengthPrefix(size).toString("base64") } } }]);
  // Read until 0 and write what was read, the final nothing included.
  for (let done = 0; ; ) {
    const pairs = Math.min(Math.floor((size - done) / CHUNK) + 2, TRIP / 2);
    const results = await process.mustBatch(copies(pairs, fd, device, buf, () => CHUNK));
    done += written(results);
    if (results.at(-1)!.ret === 0) break;
  }
  await process.mustBatch([{ call: "close", args: { fd } }, { call: "gettimeofday" }]);
  return size;
}

async function receiveByRead({ process, device }: Side, path: string): Promise<number> {
  const { fd } = await openFile(process, path, "O_RDWR|O_CREAT|O_TRUNC");
  const buf = { addr: await buffer(process) };
  const prefix = await process.session.ended(await process.call("read", { fd: device, count: 8 }));
  const size = Number(bytesOf(prefix.buf).readBigUInt64LE());
  for (let done = 0; done < size; ) {
    const left = size - done;
    const pairs = Math.min(Math.max(1, Math.ceil(left / CHUNK)), TRIP / 2);
    const results = await process.mustBatch(copies(pairs, device, fd, buf, (pair) => Math.min(CHUNK, left - pair * CHUNK)));
    done += written(results);
  }
  await process.mustBatch([{ call: "gettimeofday" }, { call: "close", args: { fd } }]);
  return size;
}

/** read(from) and write(to) of what was read, `pairs` times. */
function copies(pairs: number, from: number, to: number, buf: unknown, count: (pair: number) => number): Call[] {
  return Array.from({ length: pairs }, (_, pair): Call[] => [
    { call: "read", args: { fd: from, buf, count: count(pair) } },
    { call: "write", args: { fd: to, buf, count: { ret: 2 * pair } } },
  ]).flat();
}

function written(results: Answer[]): number {
  return results.reduce((sum, { ret }, at) => (at % 2 === 1 ? sum + ret : sum), 0);
}

/** memcpy(to, from, length) of mapped memory: through a pipe, so that a trip can hold many. */
function memcpy(pipe: [number, number], to: unknown, from: unknown, count: number): Call[] {
  return [
    { call: "write", args: { fd: pipe[1], buf: { addr: from }, count } },
    { call: "read", args: { fd: pipe[0], buf: { addr: to }, count } },
  ];
}

async function sendByMap({ process, device }: Side, file: Load): Promise<number> {
  const { fd, size } = await openFile(process, file.path, "O_RDWR");
  const map = (of: number, prot: string, offset: number): Call =>
    ({ call: "mmap", args: { length: PAGE, prot, flags: "MAP_SHARED", fd: of, offset } });
  const [first] = await process.mustBatch([
    map(device, "PROT_READ|PROT_WRITE", 0),
    { call: "store", args: { addr: { ret: 0 }, buf: { base64: lengthPrefix(size).toString("base64") } } },
    { call: "ioctl", args: { fd: device, request: MMAP, arg: 8 } },
  ]);
  let mapped: string | number = first!.ret;
  const step = (offset: number): Call[] => [map(fd, "PROT_READ", offset), map(device, "PROT_READ|PROT_WRITE", offset)];
  if (size <= 2 * PAGE) {
    // A few pages: the program's own loads and stores.
    for (let offset = 0; offset < size; offset += PAGE) {
      const length = Math.min(PAGE, size - offset);
      const [from, to] = await process.mustBatch(step(offset));
      const [loaded] = await process.mustBatch([{ call: "load", args: { addr: from!.ret, length } }]);
      await process.mustBatch([
        { call: "store", args: { addr: to!.ret, buf: { base64: loaded!.buf!.base64 } } },
        { call: "ioctl", args: { fd: device, request: MMAP, arg: length } },
      ]);
      mapped = to!.ret;
    }
  } else {
    const pipe = await newPipe(process);
    const perTrip = Math.floor(TRIP / 5);
    for (let start = 0; start < size; start += perTrip * PAGE) {
      const calls: Call[] = [];
      for (let offset = start; offset < Math.min(size, start + perTrip * PAGE); offset += PAGE) {
        const length = Math.min(PAGE, size - offset);
        const at = calls.length;
        calls.push(...step(offset), ...memcpy(pipe, { ret: at + 1 }, { ret: at }, length));
        calls.push({ call: "ioctl", args: { fd: device, request: MMAP, arg: length } });
      }
      const results = await process.mustBatch(calls);
      mapped = results.at(-4)!.ret;
    }
  }
  await process.mustBatch([
    { call: "ioctl", args: { fd: device, request: DESCRIPTOR, arg: mapped } },
    { call: "munmap", args: { addr: mapped, length: PAGE } },
    { call: "close", args: { fd } },
    { call: "gettimeofday" },
  ]);
  return size;
}

async function receiveByMap({ process, device }: Side, path: string): Promise<number> {
  const { fd } = await openFile(process, path, "O_RDWR|O_CREAT|O_TRUNC");
  const [, kernel] = await process.mustBatch([
    { call: "ioctl", args: { fd: device, request: MMAP, arg: 8 } },
    { call: "mmap", args: { length: PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd: device, offset: 0 } },
  ]);
  const size = Number((await process.readMemory(kernel!.ret, 8)).readBigUInt64LE());
  let mapped = kernel!.ret;
  const step = (offset: number, length: number): Call[] => [
    { call: "fallocate", args: { fd, mode: 0, offset, len: length } },
    { call: "ioctl", args: { fd: device, request: MMAP, arg: length } },
    { call: "mmap", args: { length: PAGE, prot: "PROT_READ", flags: "MAP_SHARED", fd: device, offset } },
    { call: "mmap", args: { length: PAGE, prot: "PROT_READ|PROT_WRITE", flags: "MAP_SHARED", fd, offset } },
  ];
  if (size <= 2 * PAGE) {
    for (let offset = 0; offset < size; offset += PAGE) {
      const length = Math.min(PAGE, size - offset);
      const [, got, from, to] = await process.mustBatch(step(offset, length));
      if (got!.ret !== length) throw new Error(`received ${got!.ret} of ${length} bytes`);
      await process.writeMemory(to!.ret, await process.readMemory(from!.ret, length));
      await process.mustBatch([{ call: "munmap", args: { addr: to!.ret, length } }]);
      mapped = from!.ret;
    }
  } else {
    const pipe = await newPipe(process);
    const perTrip = Math.floor(TRIP / 7);
    for (let start = 0; start < size; start += perTrip * PAGE) {
      const calls: Call[] = [];
      for (let offset = start; offset < Math.min(size, start + perTrip * PAGE); offset += PAGE) {
        const length = Math.min(PAGE, size - offset);
        const at = calls.length;
        calls.push(...step(offset, length), ...memcpy(pipe, { ret: at + 3 }, { ret: at + 2 }, length));
        calls.push({ call: "munmap", args: { addr: { ret: at + 3 }, length } });
      }
      mapped = (await process.mustBatch(calls)).at(-5)!.ret;
    }
  }
  await process.mustBatch([
    { call: "ioctl", args: { fd: device, request: DESCRIPTOR, arg: mapped } },
    { call: "ftruncate", args: { fd, length: size } },
    { call: "munmap", args: { addr: mapped, length: PAGE } },
    { call: "gettimeofday" },
    { call: "close", args: { fd } },
  ]);
  return size;
}

async function newPipe(process: Process): Promise<[number, number]> {
  return (await process.call("pipe2", {})).pipefd!;
}
