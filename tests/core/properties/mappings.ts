/** Memory beside a model: for each page what is mapped, how it is protected, and whose bytes an access finds, over forks. */
import fc from "fast-check";
import type { Json } from "../../../core/input.ts";
import { base64, outBase64, Seat, type Answer, type Model, type Walk } from "./walk.ts";

const PAGE = 4096;
const WINDOW = 16;
const FILE_PAGES = 6;
const CALLS = [
  "anon", "anon", "shared", "file", "file", "private", "private", "noreplace", "munmap", "mprotect", "mprotect", "move", "grow", "dontneed", "msync",
  "load", "load", "load", "load", "store", "store", "store", "store", "store", "pwrite", "pread", "ftruncate", "fork", "exit", "maps", "odd",
] as const;

export interface MappingAct {
  call: (typeof CALLS)[number];
  who: number;
  page: number;
  pages: number;
  other: number;
  at: number;
  count: number;
  prot: number;
  byte: number;
}

const act: fc.Arbitrary<MappingAct> = fc.record({
  call: fc.constantFrom(...CALLS),
  who: fc.nat(2),
  page: fc.nat(WINDOW - 1),
  pages: fc.integer({ min: 1, max: 4 }),
  other: fc.nat(WINDOW - 1),
  at: fc.oneof(fc.nat(20), fc.integer({ min: PAGE - 12, max: PAGE - 1 }), fc.nat(PAGE - 1)),
  count: fc.integer({ min: 1, max: 24 }),
  prot: fc.constantFrom(0, 1, 3, 3, 3, 2, 5),
  byte: fc.integer({ min: 1, max: 250 }),
});

/** Bytes that several mappings may show: the file, or the memory behind one shared anonymous mapping. */
interface Backing {
  bytes: Uint8Array;
  size: number;
  name: "m" | "zero (deleted)";
}

interface Page {
  prot: number;
  shared: boolean;
  /** Null for private anonymous memory. */
  backing: Backing | null;
  pgoff: number;
  /** A private page once it was written. */
  own: Uint8Array | null;
}

type Space = (Page | null)[];

interface Fault {
  signal: string;
  siCode: string;
  at: number;
}

class MappingWalk implements Walk<MappingAct> {
  readonly seat = new Seat();
  private readonly base: bigint;
  private readonly file: Backing = { bytes: new Uint8Array(64 * PAGE), size: 0, name: "m" };
  private readonly processes: { pid: number; space: Space }[] = [];

  constructor() {
    const { seat } = this;
    const { pid } = seat;
    seat.call(pid, "openat", { pathname: "m", flags: "O_RDWR|O_CREAT", mode: 0o600 });
    this.base = BigInt(seat.call(pid, "mmap", { length: (WINDOW + 4) * PAGE, prot: 0, flags: "MAP_PRIVATE|MAP_ANONYMOUS" }).ret as string);
    seat.expect(pid, "munmap", { addr: this.address(0), length: (WINDOW + 4) * PAGE }, 0);
    this.processes.push({ pid, space: new Array<Page | null>(WINDOW).fill(null) });
  }

  private address(offset: number): string {
    return `0x${(this.base + BigInt(offset)).toString(16)}`;
  }

  step(act: MappingAct): void {
    const { page, count, byte, at } = act;
    const who = this.processes[act.who % this.processes.length];
    const { pid, space } = who;
    const pages = Math.min(act.pages, WINDOW - page);
    const range = { addr: this.address(page * PAGE), length: pages * PAGE };
    const within = space.slice(page, page + pages);
    const data = new Uint8Array(count).map((_, index) => 1 + ((byte + index) % 251));
    switch (act.call) {
      case "anon": case "shared": case "file": case "private": case "noreplace": this.map(act, who, pages); break;
      case "munmap":
        this.seat.expect(pid, "munmap", range, 0);
        space.fill(null, page, page + pages);
        break;
      case "mprotect": {
        const hole = within.indexOf(null);
        this.seat.expect(pid, "mprotect", { addr: range.addr, len: range.length, prot: act.prot }, hole === -1 ? 0 : "ENOMEM");
        // What lies before a hole is changed all the same.
        for (const one of hole === -1 ? within : within.slice(0, hole)) if (one !== null) one.prot = act.prot;
        break;
      }
      case "move": this.move(who, page, act.other); break;
      case "grow": this.grow(who, page); break;
      case "dontneed":
        this.seat.expect(pid, "madvise", { ...range, advice: "MADV_DONTNEED" }, within.includes(null) ? "ENOMEM" : 0);
        for (const one of within) if (one !== null) one.own = null;
        break;
      case "msync": this.seat.expect(pid, "msync", { ...range, flags: byte % 2 === 0 ? "MS_SYNC" : "MS_ASYNC" }, within.includes(null) ? "ENOMEM" : 0); break;
      case "load": this.load(who, page * PAGE + at, count); break;
      case "store": this.store(who, page * PAGE + at, data); break;
      case "pwrite": {
        const offset = (page % FILE_PAGES) * PAGE + at;
        this.seat.expect(pid, "pwrite64", { fd: 3, buf: base64(data), offset }, count);
        this.file.bytes.set(data, offset);
        this.file.size = Math.max(this.file.size, offset + count);
        break;
      }
      case "pread": {
        const offset = (page % FILE_PAGES) * PAGE + at;
        const wanted = this.file.bytes.slice(offset, Math.max(offset, Math.min(offset + count, this.file.size)));
        const answer = this.seat.expect(pid, "pread64", { fd: 3, count, offset }, wanted.length);
        this.seat.same("bytes", outBase64(answer.buf), base64(wanted).base64);
        break;
      }
      case "ftruncate": this.truncate(pid, byte % 3 === 0 ? (page % FILE_PAGES) * PAGE + at : (page % FILE_PAGES) * PAGE); break;
      case "fork":
        if (this.processes.length < 3) {
          const child = Number(this.seat.call(pid, "fork", {}).ret);
          this.processes.push({ pid: child, space: space.map((one) => (one === null ? null : { ...one, own: one.own?.slice() ?? null })) });
        }
        break;
      case "exit":
        if (pid !== this.seat.pid) {
          this.seat.call(pid, "exit", { status: 0 });
          this.processes.splice(this.processes.indexOf(who), 1);
        }
        break;
      case "maps": this.maps(who); break;
      case "odd": this.odd(pid, page, byte); break;
    }
  }

  private map({ call, page, prot, byte }: MappingAct, { pid, space }: { pid: number; space: Space }, pages: number): void {
    const ofFile = call === "file" || call === "private";
    const shared = call === "shared" || call === "file";
    const flags = `${shared ? "MAP_SHARED" : "MAP_PRIVATE"}${ofFile ? "" : "|MAP_ANONYMOUS"}|${call === "noreplace" ? "MAP_FIXED_NOREPLACE" : "MAP_FIXED"}`;
    const pgoff = ofFile ? byte % FILE_PAGES : 0;
    const addr = this.address(page * PAGE);
    const taken = call === "noreplace" && space.slice(page, page + pages).some((one) => one !== null);
    const args: { [name: string]: Json } = { addr, length: pages * PAGE, prot, flags };
    this.seat.expect(pid, "mmap", ofFile ? { ...args, fd: 3, offset: pgoff * PAGE } : args, taken ? "EEXIST" : addr);
    if (taken) return;
    const backing: Backing | null = ofFile ? this.file : shared ? { bytes: new Uint8Array(pages * PAGE), size: pages * PAGE, name: "zero (deleted)" } : null;
    for (let at = 0; at < pages; at++) space[page + at] = { prot, shared, backing, pgoff: pgoff + at, own: null };
  }

  /** mremap of a page onto another. */
  private move({ pid, space }: { pid: number; space: Space }, page: number, to: number): void {
    const args = { old_address: this.address(page * PAGE), old_size: PAGE, new_size: PAGE, flags: "MREMAP_MAYMOVE|MREMAP_FIXED", new_address: this.address(to * PAGE) };
    const wanted = space[page] === null ? "EFAULT" : page === to ? "EINVAL" : this.address(to * PAGE);
    this.seat.expect(pid, "mremap", args, wanted);
    if (space[page] === null || page === to) return;
    space[to] = space[page];
    space[page] = null;
  }

  /** mremap from a page to two, where they are. */
  private grow({ pid, space }: { pid: number; space: Space }, page: number): void {
    if (page === WINDOW - 1) return;
    const one = space[page];
    const addr = this.address(page * PAGE);
    const wanted = one === null ? "EFAULT" : space[page + 1] !== null ? "ENOMEM" : addr;
    this.seat.expect(pid, "mremap", { old_address: addr, old_size: PAGE, new_size: 2 * PAGE, flags: 0 }, wanted);
    if (one !== null && space[page + 1] === null) space[page + 1] = { ...one, pgoff: one.pgoff + 1, own: null };
  }

  /** Why an access to the byte at `offset` faults, or null. */
  private fault(space: Space, offset: number, write: boolean): Fault | null {
    const page = Math.floor(offset / PAGE) < WINDOW ? space[Math.floor(offset / PAGE)] : null;
    if (page === null) return { signal: "SIGSEGV", siCode: "SEGV_MAPERR", at: offset };
    // x86: what may be written or executed can be read.
    if (write ? (page.prot & 2) === 0 : page.prot === 0) return { signal: "SIGSEGV", siCode: "SEGV_ACCERR", at: offset };
    if (page.own === null && page.backing !== null && page.pgoff * PAGE >= page.backing.size) return { signal: "SIGBUS", siCode: "BUS_ADRERR", at: offset };
    return null;
  }

  /** The byte at `offset` of a page that can be read. */
  private byteAt({ own, backing, pgoff }: Page, offset: number): number {
    if (own !== null) return own[offset % PAGE];
    return backing === null ? 0 : backing.bytes[pgoff * PAGE + (offset % PAGE)];
  }

  private faulted(answer: Answer, fault: Fault): void {
    this.seat.same("fault", [answer.ret, answer.signal, answer.siCode, answer.faultAddr], [-1, fault.signal, fault.siCode, this.address(fault.at)]);
  }

  private load({ pid, space }: { pid: number; space: Space }, offset: number, length: number): void {
    const answer = this.seat.call(pid, "load", { addr: this.address(offset), length });
    const bytes: number[] = [];
    for (let at = offset; at < offset + length; at++) {
      const fault = this.fault(space, at, false);
      if (fault !== null) {
        this.faulted(answer, fault);
        return;
      }
      const page = space[Math.floor(at / PAGE)];
      if (page !== null) bytes.push(this.byteAt(page, at));
    }
    this.seat.same("bytes", outBase64(answer.buf), base64(new Uint8Array(bytes)).base64);
  }

  private store({ pid, space }: { pid: number; space: Space }, offset: number, data: Uint8Array): void {
    // What is stored behind the end of a file's last page is nobody's: file systems differ.
    const last = (page: Page | null, at: number): boolean =>
      page?.shared === true && page.backing === this.file && page.pgoff * PAGE + (at % PAGE) >= this.file.size && page.pgoff * PAGE < this.file.size;
    if (data.some((_, index) => last(space[Math.floor((offset + index) / PAGE)] ?? null, offset + index))) return;
    const answer = this.seat.call(pid, "store", { addr: this.address(offset), buf: base64(data) });
    for (const [index, byte] of data.entries()) {
      const at = offset + index;
      const fault = this.fault(space, at, true);
      if (fault !== null) {
        this.faulted(answer, fault);
        this.seat.same("stored", answer.stored, index);
        return;
      }
      const page = space[Math.floor(at / PAGE)];
      if (page === null) continue;
      if (!page.shared && page.own === null) page.own = page.backing === null ? new Uint8Array(PAGE) : page.backing.bytes.slice(page.pgoff * PAGE, (page.pgoff + 1) * PAGE);
      if (page.own !== null) page.own[at % PAGE] = byte;
      else if (page.backing !== null) page.backing.bytes[page.pgoff * PAGE + (at % PAGE)] = byte;
    }
    this.seat.same("stored", answer.errno ?? answer.ret, data.length);
  }

  private truncate(pid: number, size: number): void {
    this.seat.expect(pid, "ftruncate", { fd: 3, length: size }, 0);
    this.file.bytes.fill(0, size);
    // Private copies of pages that are gone go too.
    if (size < this.file.size) {
      for (const { space } of this.processes) for (const one of space) if (one !== null && one.backing === this.file && one.pgoff * PAGE >= size) one.own = null;
    }
    this.file.size = size;
  }

  /** /proc/PID/maps, page by page: which neighbours are one mapping is not looked at. */
  private maps({ pid, space }: { pid: number; space: Space }): void {
    const seen = new Array<string | null>(WINDOW).fill(null);
    for (const line of this.seat.m.text(`/proc/${pid}/maps`).trimEnd().split("\n")) {
      if (line === "") continue;
      const [, from, to, prot, offset, name] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \d+\s*(.*)$/.exec(line) ?? [];
      const first = Number(BigInt(`0x${from}`) - this.base) / PAGE;
      const end = Number(BigInt(`0x${to}`) - this.base) / PAGE;
      for (let page = Math.max(0, first); page < Math.min(WINDOW, end); page++) {
        const at = name === "" ? 0 : Number.parseInt(offset, 16) / PAGE + page - first;
        seen[page] = `${prot} ${at} ${name.slice(name.lastIndexOf("/") + 1)}`;
      }
    }
    const letters = (prot: number): string => `${(prot & 1) !== 0 ? "r" : "-"}${(prot & 2) !== 0 ? "w" : "-"}${(prot & 4) !== 0 ? "x" : "-"}`;
    const wanted = space.map((one) => (one === null ? null : `${letters(one.prot)}${one.shared ? "s" : "p"} ${one.backing === null ? 0 : one.pgoff} ${one.backing?.name ?? ""}`));
    this.seat.same("maps", seen, wanted);
  }

  /** Calls that are refused before anything is looked up. */
  private odd(pid: number, page: number, byte: number): void {
    const addr = this.address(page * PAGE);
    const unaligned = this.address(page * PAGE + 1);
    const flags = "MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED";
    const refused: [string, { [name: string]: Json }, string | number][] = [
      ["mmap", { addr, length: 0, prot: 3, flags }, "EINVAL"],
      ["mmap", { addr: unaligned, length: PAGE, prot: 3, flags }, "EINVAL"],
      ["mmap", { addr, length: PAGE, prot: 3, flags: "MAP_FIXED|MAP_ANONYMOUS" }, "EINVAL"],
      ["mmap", { addr, length: PAGE, prot: 3, flags: "MAP_PRIVATE|MAP_FIXED", fd: 3, offset: 100 }, "EINVAL"],
      ["mmap", { addr, length: PAGE, prot: 3, flags: "MAP_PRIVATE|MAP_FIXED", fd: 77, offset: 0 }, "EBADF"],
      ["munmap", { addr: unaligned, length: PAGE }, "EINVAL"],
      ["munmap", { addr, length: 0 }, "EINVAL"],
      ["mprotect", { addr: unaligned, len: PAGE, prot: 1 }, "EINVAL"],
      ["mprotect", { addr, len: 0, prot: 1 }, 0],
      ["msync", { addr, length: PAGE, flags: "MS_SYNC|MS_ASYNC" }, "EINVAL"],
      ["msync", { addr: unaligned, length: PAGE, flags: "MS_SYNC" }, "EINVAL"],
      ["madvise", { addr: unaligned, length: PAGE, advice: "MADV_DONTNEED" }, "EINVAL"],
      ["madvise", { addr, length: 0, advice: "MADV_DONTNEED" }, 0],
      ["mremap", { old_address: addr, old_size: PAGE, new_size: 0, flags: 0 }, "EINVAL"],
      ["mremap", { old_address: unaligned, old_size: PAGE, new_size: PAGE, flags: 0 }, "EINVAL"],
      ["mremap", { old_address: addr, old_size: PAGE, new_size: PAGE, flags: "MREMAP_FIXED" }, "EINVAL"],
    ];
    const [call, args, wanted] = refused[byte % refused.length];
    this.seat.expect(pid, call, args, wanted);
  }
}

export const mappings: Model<MappingAct> = { name: "mappings", act, begin: () => new MappingWalk() };
