/** How the processes of the memory walk touch their pages: by their own loads and stores, and through the kernel. */
import type { Json } from "../../../core/input.ts";
import { bytesOf, faultOf, hex, isDoubtful, PAGE, storeBytes, write, type Page, type Process } from "./memory_model.ts";
import { type MemoryWalk } from "./memory.ts";
import { base64, outBase64 } from "./walk.ts";

const TOUCHED_AT_ONCE = 160;

const wholeOf = ({ page, pages }: { page: number; pages: number }): { page: number; count: number } => ({ page, count: pages });

export class MemoryAccess {
  private readonly w: MemoryWalk;
  constructor(walk: MemoryWalk) {
    this.w = walk;
  }

  /** Many pages with a byte each, in one trip: what makes memory short. */
  touch(process: Process): void {
    const { chance } = this.w;
    const whole = chance.below(3) === 0 && process.regions.length > 0;
    const { page, count } = whole ? wholeOf(chance.of(process.regions)) : this.w.somewhere(process, TOUCHED_AT_ONCE);
    const calls: { call: string; args: Json }[] = [];
    const stored: { page: Page; offset: number; byte: number }[] = [];
    for (let at = page; at < page + count; at++) {
      const one = process.pages.get(at);
      if (one === undefined || faultOf(one, true) !== null) continue;
      const [offset, byte] = [chance.below(PAGE), 1 + chance.below(255)];
      calls.push({ call: "store", args: { addr: hex(at, offset), buf: base64(Uint8Array.of(byte)), onFault: "report" } });
      stored.push({ page: one, offset, byte });
    }
    if (calls.length === 0) return;
    const results = this.w.batch(process, calls);
    if (results === null) return stored.forEach(({ page: one }) => one.store?.doubtful.add(one.pgoff));
    for (const [index, { page: one, offset, byte }] of stored.entries()) {
      if (results[index] === true) write(one, offset, Uint8Array.of(byte));
      else if (!this.w.isShort()) throw this.w.wrong("a store failed, and memory is not short");
    }
  }

  store(process: Process): void {
    const { chance } = this.w;
    const { page } = this.w.somewhere(process, 1);
    const offset = chance.below(3) === 0 ? 0 : chance.below(PAGE);
    const data = new Uint8Array(Math.min(1 + chance.below(200), PAGE - offset)).map((_, at) => (at % 7 === 0 ? 0 : 1 + ((at * 3 + offset) % 250)));
    const one = process.pages.get(page);
    const answer = this.w.call(process, "store", { addr: hex(page, offset), buf: base64(data) });
    if (answer === null) {
      one?.store?.doubtful.add(one.pgoff);
      return;
    }
    const fault = faultOf(one, true);
    if (fault !== null) return this.w.same("fault", [answer.ret, answer.signal, answer.siCode, answer.faultAddr], [-1, fault.signal, fault.siCode, hex(page, offset)]);
    if (answer.signal === "SIGKILL" && this.w.isShort()) return;
    this.w.same("stored", answer.errno ?? answer.ret, data.length);
    write(one!, offset, data);
  }

  load(process: Process): void {
    const { chance } = this.w;
    const { page } = this.w.somewhere(process, 1);
    const one = process.pages.get(page);
    // Mostly the whole page, to see what must not be there.
    const offset = chance.below(3) === 0 ? chance.below(PAGE) : 0;
    const length = PAGE - offset;
    const answer = this.w.call(process, "load", { addr: hex(page, offset), length });
    if (answer === null) return;
    const fault = faultOf(one, false);
    if (fault !== null) return this.w.same("fault", [answer.ret, answer.signal, answer.siCode, answer.faultAddr], [-1, fault.signal, fault.siCode, hex(page, offset)]);
    if (answer.signal === "SIGKILL" && this.w.isShort()) return;
    if (isDoubtful(one!)) return;
    const [got, wanted] = [Buffer.from(outBase64(answer.buf), "base64"), bytesOf(one!).subarray(offset, offset + length)];
    const at = got.findIndex((byte, index) => byte !== wanted[index]);
    if (at >= 0 || got.length !== wanted.length) throw this.w.wrong(`page ${page.toString(16)}, byte ${offset + at}: ${got[at]}, where the model has ${wanted[at]}`);
  }

  /** The kernel writes zeros over pages: read(2) of /dev/zero. */
  clear(process: Process): void {
    const { page, count } = this.w.somewhere(process, 8);
    const opened = this.w.call(process, "openat", { pathname: "/dev/zero", flags: "O_RDONLY" });
    if (opened === null || opened.errno !== null) return;
    const answer = this.w.call(process, "read", [opened.ret ?? -1, hex(page), count * PAGE]);
    const all: (Page | undefined)[] = Array.from({ length: count }, (_, at) => process.pages.get(page + at));
    if (answer === null) return all.forEach((one) => one?.store?.doubtful.add(one.pgoff));
    const bad = all.findIndex((one) => faultOf(one, true) !== null);
    const pages = bad < 0 ? count : bad;
    const done = answer.errno === null ? Number(answer.ret) / PAGE : 0;
    if (done !== pages && !this.w.isShort()) this.w.same("read", answer.errno ?? answer.ret, pages === 0 ? "EFAULT" : pages * PAGE);
    for (const one of all.slice(0, done)) if (one !== undefined) write(one, 0, new Uint8Array(PAGE));
    this.w.did(process, "close", { fd: opened.ret ?? -1 }, 0);
  }

  fileBytes(process: Process, act: "pwrite" | "pread"): void {
    const { chance, file } = this.w;
    if (file.pages === 0) return;
    const pgoff = chance.below(file.pages);
    const offset = pgoff * PAGE + chance.below(PAGE - 100);
    if (act === "pwrite") {
      const data = new Uint8Array(100).fill(1 + chance.below(255));
      if (this.w.did(process, "pwrite64", { fd: 3, buf: base64(data), offset }, data.length)) storeBytes(file, pgoff).set(data, offset % PAGE);
      else file.doubtful.add(pgoff);
      return;
    }
    const answer = this.w.call(process, "pread64", { fd: 3, count: 100, offset });
    if (answer === null || (answer.errno !== null && this.w.isShort()) || file.doubtful.has(pgoff)) return;
    this.w.same("bytes", outBase64(answer.buf), base64((file.bytes.get(pgoff) ?? new Uint8Array(PAGE)).subarray(offset % PAGE, (offset % PAGE) + 100)).base64);
  }

  /** The pages of another process, by process_vm_readv and process_vm_writev. */
  peer(process: Process): void {
    const { chance, processes } = this.w;
    const other = chance.of(processes);
    const { page } = this.w.somewhere(other, 1);
    const offset = chance.below(PAGE - 8);
    const far = other.pages.get(page);
    const remote = { pid: other.pid, remote_iov: [{ iov_base: { addr: hex(page, offset) }, iov_len: 8 }] };
    const writes = chance.below(2) === 0;
    const data = new Uint8Array(8).fill(1 + chance.below(255));
    const answer = writes ? this.w.call(process, "process_vm_writev", { ...remote, local_iov: [base64(data)] })
      : this.w.call(process, "process_vm_readv", { ...remote, local_iov: [{ iov_len: 8 }] });
    if (answer === null) {
      if (writes) far?.store?.doubtful.add(far.pgoff);
      return;
    }
    // Unlike the processor, the kernel reads for others only what may be read.
    const bad = faultOf(far, writes) !== null || (!writes && ((far?.prot ?? 0) & 1) === 0);
    if (answer.errno === "EFAULT" && !bad && this.w.isShort()) return;
    this.w.same("copied", answer.errno ?? answer.ret, bad ? "EFAULT" : 8);
    if (bad || far === undefined) return;
    if (writes) write(far, offset, data);
    else if (!isDoubtful(far)) this.w.same("bytes", outBase64(answer.local_iov), base64(bytesOf(far).subarray(offset, offset + 8)).base64);
  }
}
