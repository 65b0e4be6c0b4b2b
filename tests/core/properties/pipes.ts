/** Pipes beside a model: a queue of page slots, ends that are duplicated and closed, polling, and writers and readers that sleep. */
import fc from "fast-check";
import type { Json } from "../../../core/input.ts";
import { base64, outBase64, Seat, type Answer, type Model, type Walk } from "./walk.ts";

const PAGE = 4096;
const CALLS = [
  "pipe", "pipe", "read", "read", "read", "write", "write", "write", "write", "big", "readv", "writev", "dup", "dup", "close", "close", "closeAll",
  "poll", "poll", "fionread", "fionread", "setfl", "getfl", "resize", "getsize", "lseek", "pread", "pwrite", "tee",
] as const;
const NOFILE = 14;
const O_NONBLOCK = 0x800;
const O_DIRECT = 0x4000;

export interface PipeAct {
  call: (typeof CALLS)[number];
  fd: number;
  other: number;
  count: number;
  big: number;
  byte: number;
  flags: number;
}

const act: fc.Arbitrary<PipeAct> = fc.record({
  call: fc.constantFrom(...CALLS),
  fd: fc.oneof({ weight: 15, arbitrary: fc.nat(9) }, { weight: 1, arbitrary: fc.constantFrom(-1, 77) }),
  other: fc.nat(9),
  count: fc.oneof(fc.nat(40), fc.constantFrom(0, 1000, 4095, 4096, 4097, 5000)),
  big: fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.constantFrom(8192, 65_536, 65_537)),
  byte: fc.integer({ min: 1, max: 250 }),
  flags: fc.constantFrom(O_NONBLOCK, O_NONBLOCK, O_NONBLOCK, 0, O_NONBLOCK | O_DIRECT),
});

interface Slot {
  bytes: number[];
  /** Where its bytes began in the page: bytes that were read leave no room behind. */
  start: number;
  packet: boolean;
  /** More may be written behind its bytes: not where another pipe has the page too. */
  merge: boolean;
}

interface Pipe {
  slots: Slot[];
  room: number;
  readers: number;
  writers: number;
}

interface End {
  pipe: Pipe;
  write: boolean;
  flags: number;
  refs: number;
}

class PipeWalk implements Walk<PipeAct> {
  readonly seat = new Seat();
  private readonly fds = new Map<number, End>();
  private readonly pid = this.seat.pid;

  constructor() {
    const { seat, pid } = this;
    seat.expect(pid, "prlimit64", { resource: "RLIMIT_NOFILE", new_limit: { rlim_cur: NOFILE, rlim_max: NOFILE } }, 0);
    seat.expect(pid, "rt_sigaction", { signum: "SIGPIPE", act: { sa_handler: "SIG_IGN" } }, 0);
    for (const fd of [0, 1, 2]) seat.call(pid, "close", { fd });
  }

  step(act: PipeAct): void {
    const { call, fd, count, byte, flags } = act;
    const end = this.fds.get(fd);
    switch (call) {
      case "pipe": this.pipe(flags); break;
      case "read": this.read("read", { fd, count }, end, count); break;
      case "readv": this.read("readv", { fd, iov: [{ iov_len: count >> 1 }, { iov_len: count - (count >> 1) }] }, end, count); break;
      case "write": this.write("write", fd, end, ramp(byte, count)); break;
      case "big": this.write("write", fd, end, ramp(byte, act.big)); break;
      case "writev": this.write("writev", fd, end, ramp(byte, count)); break;
      case "dup":
        if (end === undefined) this.expect("dup", { oldfd: fd }, "EBADF");
        else if (this.freeFds(1).length === 0) this.expect("dup", { oldfd: fd }, "EMFILE");
        else {
          const [copy] = this.freeFds(1);
          this.expect("dup", { oldfd: fd }, copy);
          this.fds.set(copy, end);
          end.refs++;
        }
        break;
      case "close": this.close(fd); break;
      case "closeAll":
        for (const [one, { pipe, write }] of [...this.fds]) if (end !== undefined && pipe === end.pipe && write === end.write) this.close(one);
        break;
      case "poll": this.poll([fd, act.other]); break;
      case "fionread": {
        const answer = this.expect("ioctl", { fd, request: "FIONREAD", arg: { out: 4 } }, end === undefined ? "EBADF" : 0);
        if (end !== undefined) this.seat.same("FIONREAD", Buffer.from(outBase64(answer.arg), "base64").readInt32LE(), held(end.pipe));
        break;
      }
      case "setfl": {
        this.expect("fcntl", { fd, cmd: "F_SETFL", arg: flags }, end === undefined ? "EBADF" : 0);
        if (end !== undefined) end.flags = (end.flags & ~(O_NONBLOCK | O_DIRECT)) | flags;
        break;
      }
      case "getfl": this.expect("fcntl", { fd, cmd: "F_GETFL" }, end === undefined ? "EBADF" : end.flags | Number(end.write)); break;
      case "resize": this.resize(fd, end, [0, 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE, 5 * PAGE, 16 * PAGE][byte % 8]); break;
      case "getsize": this.expect("fcntl", { fd, cmd: "F_GETPIPE_SZ" }, end === undefined ? "EBADF" : end.pipe.room * PAGE); break;
      case "lseek": this.expect("lseek", { fd, offset: 0, whence: 0 }, end === undefined ? "EBADF" : "ESPIPE"); break;
      case "pread": this.expect("pread64", { fd, count, offset: 0 }, end === undefined ? "EBADF" : "ESPIPE"); break;
      case "pwrite": this.expect("pwrite64", { fd, buf: base64(ramp(byte, count)), offset: 0 }, end === undefined ? "EBADF" : "ESPIPE"); break;
      case "tee": this.tee(fd, act.other, count); break;
    }
  }

  private expect(call: string, args: Json, wanted: Json): Answer {
    return this.seat.expect(this.pid, call, args, wanted);
  }

  private freeFds(count: number): number[] {
    const free: number[] = [];
    for (let fd = 0; fd < NOFILE && free.length < count; fd++) if (!this.fds.has(fd)) free.push(fd);
    return free;
  }

  private pipe(flags: number): void {
    const free = this.freeFds(2);
    const answer = this.expect("pipe2", { flags }, free.length < 2 ? "EMFILE" : 0);
    if (free.length < 2) return;
    this.seat.same("pipefd", answer.pipefd, free);
    const pipe: Pipe = { slots: [], room: 16, readers: 1, writers: 1 };
    this.fds.set(free[0], { pipe, write: false, flags: flags & O_NONBLOCK, refs: 1 });
    this.fds.set(free[1], { pipe, write: true, flags, refs: 1 });
  }

  private close(fd: number): void {
    const end = this.fds.get(fd);
    this.expect("close", { fd }, end === undefined ? "EBADF" : 0);
    if (end === undefined) return;
    this.fds.delete(fd);
    if (--end.refs > 0) return;
    if (end.write) end.pipe.writers--;
    else end.pipe.readers--;
  }

  private read(call: string, args: Json, end: End | undefined, count: number): void {
    if (end === undefined || end.write) {
      this.expect(call, args, "EBADF");
      return;
    }
    const { pipe } = end;
    if (count > 0 && pipe.slots.length === 0 && pipe.writers > 0) {
      this.blocked(call, args, end);
      return;
    }
    const bytes = take(pipe, count);
    const answer = this.expect(call, args, bytes.length);
    this.seat.same("bytes", outBase64(answer.buf ?? answer.iov), base64(new Uint8Array(bytes)).base64);
  }

  private write(call: "write" | "writev", fd: number, end: End | undefined, data: Uint8Array): void {
    const args: Json = call === "write" ? { fd, buf: base64(data) } : { fd, iov: [base64(data.subarray(0, 5)), base64(data.subarray(5))] };
    if (end === undefined || !end.write) this.expect(call, args, "EBADF");
    else if (data.length === 0) this.expect(call, args, 0);
    else if (end.pipe.readers === 0) this.expect(call, args, "EPIPE");
    else {
      const done = put(end.pipe, data, (end.flags & O_DIRECT) !== 0);
      if (done === data.length) this.expect(call, args, done);
      else if ((end.flags & O_NONBLOCK) !== 0) this.expect(call, args, done === 0 ? "EAGAIN" : done);
      else this.interrupted(call, args, done);
    }
  }

  /** A call with nothing to do: EAGAIN, or it sleeps until a signal comes. */
  private blocked(call: string, args: Json, end: End): void {
    if ((end.flags & O_NONBLOCK) !== 0) this.expect(call, args, "EAGAIN");
    else this.interrupted(call, args, 0);
  }

  /** It sleeps; a signal ends it with what it has done, or EINTR. */
  private interrupted(call: string, args: Json, done: number): void {
    const asleep = this.seat.call(this.pid, call, args);
    this.seat.same("state", asleep.state, "sleeping");
    this.seat.m.feed({ type: "interruptCall", callId: asleep.callId as string });
    const answer = this.seat.m.stand(asleep.callId as string) as unknown as Answer;
    this.seat.same("result of the interrupted call", answer.errno ?? answer.ret, done === 0 ? "EINTR" : done);
  }

  private poll(asked: number[]): void {
    const wanted = asked.map((fd) => this.revents(fd));
    const answer = this.expect("poll", { fds: asked.map((fd) => ({ fd, events: "POLLIN|POLLOUT" })), timeout: 0 }, wanted.filter((one) => one !== "0").length);
    this.seat.same("revents", (answer.fds as Answer[]).map(({ revents }) => revents), wanted);
  }

  private revents(fd: number): string {
    const end = this.fds.get(fd);
    if (fd < 0) return "0";
    if (end === undefined) return "POLLNVAL";
    const { pipe, write } = end;
    const names = write
      ? [...(pipe.slots.length < pipe.room ? ["POLLOUT"] : []), ...(pipe.readers === 0 ? ["POLLERR"] : [])]
      : [...(pipe.slots.length > 0 ? ["POLLIN"] : []), ...(pipe.writers === 0 ? ["POLLHUP"] : [])];
    return names.length === 0 ? "0" : names.join("|");
  }

  private resize(fd: number, end: End | undefined, size: number): void {
    let room = 1;
    while (room * PAGE < size) room *= 2;
    const wanted = end === undefined ? "EBADF" : room < end.pipe.slots.length ? "EBUSY" : room * PAGE;
    this.expect("fcntl", { fd, cmd: "F_SETPIPE_SZ", arg: size }, wanted);
    if (end !== undefined && typeof wanted === "number") end.pipe.room = room;
  }

  private tee(fd: number, other: number, count: number): void {
    const [from, to] = [this.fds.get(fd), this.fds.get(other)];
    const args = { fd_in: fd, fd_out: other, len: count, flags: "SPLICE_F_NONBLOCK" };
    if (count === 0) this.expect("tee", args, 0);
    else if (from === undefined || to === undefined || from.write || !to.write) this.expect("tee", args, "EBADF");
    else if (from.pipe === to.pipe) this.expect("tee", args, "EINVAL");
    else if (from.pipe.slots.length === 0 && from.pipe.writers > 0) this.expect("tee", args, "EAGAIN");
    else if (to.pipe.readers === 0) this.expect("tee", args, "EPIPE");
    else if (to.pipe.slots.length >= to.pipe.room) this.expect("tee", args, "EAGAIN");
    else this.expect("tee", args, copySlots(from.pipe, to.pipe, count));
  }
}

const ramp = (byte: number, count: number): Uint8Array => new Uint8Array(count).map((_, at) => 1 + ((byte + at) % 251));

const held = (pipe: Pipe): number => pipe.slots.reduce((sum, { bytes }) => sum + bytes.length, 0);

function take(pipe: Pipe, count: number): number[] {
  const taken: number[] = [];
  while (taken.length < count && pipe.slots.length > 0) {
    const [slot] = pipe.slots;
    const some = slot.bytes.splice(0, count - taken.length);
    slot.start += some.length;
    taken.push(...some);
    if (slot.packet || slot.bytes.length === 0) pipe.slots.shift();
    if (slot.packet) break;
  }
  return taken;
}

/** The bytes that fit: what is less than a page goes behind the last slot's bytes if it fits there whole. */
function put(pipe: Pipe, data: Uint8Array, packet: boolean): number {
  let done = 0;
  const odd = data.length % PAGE;
  const last = pipe.slots.at(-1);
  if (odd > 0 && last !== undefined && last.merge && last.start + last.bytes.length + odd <= PAGE) {
    last.bytes.push(...data.subarray(0, odd));
    done = odd;
  }
  while (done < data.length && pipe.slots.length < pipe.room) {
    const bytes = [...data.subarray(done, done + PAGE)];
    pipe.slots.push({ bytes, start: 0, packet, merge: !packet });
    done += bytes.length;
  }
  return done;
}

function copySlots(from: Pipe, to: Pipe, count: number): number {
  let done = 0;
  for (const slot of from.slots) {
    if (done === count || to.slots.length >= to.room) break;
    const bytes = slot.bytes.slice(0, count - done);
    to.slots.push({ ...slot, bytes, merge: false });
    done += bytes.length;
  }
  return done;
}

export const pipes: Model<PipeAct> = { name: "pipes", act, begin: () => new PipeWalk() };
