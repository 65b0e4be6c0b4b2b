/** What the processes of the memory walk do with their mappings: each act on the kernel and on the model, and where they must agree. */
import { peekUser } from "../../../core/mm/access.ts";
import { taskOf } from "../../../core/sched/task.ts";
import type { Json } from "../../../core/input.ts";
import { SSMEM_PAGES_MAX } from "../../../core/labs/ssmem/segments.ts";
import { MemoryAccess } from "./memory_access.ts";
import {
  among, faultOf, forked, hex, isMapped, newStore, PAGE, truncated, unmapped, within, type Page, type Process, type Store,
} from "./memory_model.ts";
import { BASE_PAGE, FILE_PAGES, WINDOW, type MemoryWalk } from "./memory.ts";
import { type Answer } from "./walk.ts";

const ACTS = [
  "anon", "anon", "anon", "shared", "file", "private", "memfd", "shm", "ssmem", "ssmem", "munmap", "mprotect", "move", "resize", "shrink",
  "touch", "touch", "touch", "touch", "touch", "touch", "touch", "touch", "touch", "store", "store", "store", "store", "load", "load", "load", "load", "load", "load", "clear",
  "pwrite", "pread", "peer", "truncate", "dontneed", "free", "remove", "pageout", "pageout", "cold", "willneed", "populate", "forking", "mlock", "munlock", "fork", "fork", "fork", "exit",
  "shmrm", "shmlock", "heap",
] as const;

const MOST_PROCESSES = 6;
const SEGMENTS = 4;
/** Pages of shared memory at once: what holds them outlives whoever is killed. */
const SHARED_PAGES = 700;

const pageOf = (answer: Answer): number => Number(BigInt(answer.ret as string)) / PAGE;

export class MemoryActs {
  private readonly w: MemoryWalk;
  private readonly access: MemoryAccess;
  constructor(walk: MemoryWalk) {
    this.w = walk;
    this.access = new MemoryAccess(walk);
  }

  step(): void {
    const { chance, processes } = this.w;
    const process = chance.of(processes);
    const act = chance.of(ACTS);
    switch (act) {
      case "anon": case "shared": case "file": case "private": this.map(process, act); break;
      case "memfd": this.memfd(process); break;
      case "shm": this.shm(process); break;
      case "ssmem": this.ssmem(process); break;
      case "munmap": this.munmap(process); break;
      case "mprotect": this.mprotect(process); break;
      case "move": this.move(process); break;
      case "resize": this.resize(process); break;
      case "shrink": this.shrink(process); break;
      case "touch": this.access.touch(process); break;
      case "store": this.access.store(process); break;
      case "load": this.access.load(process); break;
      case "clear": this.access.clear(process); break;
      case "pwrite": case "pread": this.access.fileBytes(process, act); break;
      case "peer": this.access.peer(process); break;
      case "truncate": this.truncate(process); break;
      case "mlock": case "munlock": this.lock(process, act === "mlock"); break;
      case "fork": this.fork(process); break;
      case "exit": this.exit(process); break;
      case "shmrm": this.removeSegment(process); break;
      case "shmlock": this.lockSegment(process); break;
      case "heap": this.heap(process); break;
      default: this.advise(process, act);
    }
  }

  private mapped(process: Process, page: number, count: number, kind: Pick<Page, "prot" | "shared" | "store"> & Partial<Page>): void {
    const mapping = this.w.mappings++;
    unmapped(process.pages, page, count);
    for (let at = 0; at < count; at++) {
      process.pages.set(page + at, { most: 7, own: null, locked: false, resident: false, fork: "copy", grows: true, mapping, ...kind, pgoff: (kind.pgoff ?? 0) + at });
    }
    process.regions.push({ page, pages: count });
  }

  /** Whether another shared object of `pages` pages is within bounds. */
  private mayShare(pages: number): boolean {
    const stores = new Set<Store>([...this.w.segments.map(({ store }) => store), this.w.file]);
    for (const { pages: own } of this.w.processes) for (const { store } of own.values()) if (store !== null) stores.add(store);
    return [...stores].reduce((sum, store) => sum + store.pages, pages) <= SHARED_PAGES;
  }

  private map(process: Process, act: "anon" | "shared" | "file" | "private"): void {
    const { chance, file } = this.w;
    const page = BASE_PAGE + chance.below(WINDOW);
    const count = Math.min(1 + chance.below(chance.below(3) === 0 ? 400 : 40), BASE_PAGE + WINDOW - page);
    const shared = act === "shared" || act === "file";
    if (act === "shared" && !this.mayShare(count)) return;
    const prot = chance.of([3, 3, 3, 3, 1, 0, 2, 5, 7]);
    const ofFile = act === "file" || act === "private";
    const populated = act !== "private" && chance.below(8) === 0;
    const locked = act !== "private" && chance.below(20) === 0 && count <= 40;
    const flags = `${shared ? "MAP_SHARED" : "MAP_PRIVATE"}${ofFile ? "" : "|MAP_ANONYMOUS"}|MAP_FIXED${locked ? "|MAP_LOCKED" : ""}${populated ? "|MAP_POPULATE" : ""}${chance.below(6) === 0 ? "|MAP_NORESERVE" : ""}`;
    const pgoff = ofFile ? chance.below(FILE_PAGES) : 0;
    const args: { [name: string]: Json } = { addr: hex(page), length: count * PAGE, prot, flags };
    if (!this.w.did(process, "mmap", ofFile ? { ...args, fd: 3, offset: pgoff * PAGE } : args, hex(page))) return;
    this.mapped(process, page, count, { prot, shared, store: ofFile ? file : shared ? newStore("zero", count) : null, pgoff, locked, resident: locked && !this.w.isShort() });
    // What could not be had, or may not be touched, is not there for all its lock.
    if (locked) for (const one of among(process.pages, page, count)) one.resident &&= faultOf(one, false) === null;
  }

  /** A memory file that lives as long as its mapping. */
  private memfd(process: Process): void {
    const { chance } = this.w;
    const count = 1 + chance.below(24);
    if (!this.mayShare(count)) return;
    const made = this.w.call(process, "memfd_create", { name: "walk", flags: 0 });
    if (made === null || made.errno !== null) return;
    const fd = made.ret ?? -1;
    const shared = chance.below(3) > 0;
    if (this.w.did(process, "ftruncate", { fd, length: count * PAGE }, 0)) {
      const answer = this.w.call(process, "mmap", { length: count * PAGE, prot: 3, flags: shared ? "MAP_SHARED" : "MAP_PRIVATE", fd });
      if (answer !== null && answer.errno === null) this.mapped(process, pageOf(answer), count, { prot: 3, shared, store: newStore("memfd", count) });
    }
    if (this.w.processes.includes(process)) this.w.did(process, "close", { fd }, 0);
  }

  /** shmat of a segment, new or old. */
  private shm(process: Process): void {
    const { chance, segments } = this.w;
    if (segments.length < SEGMENTS && chance.below(2) === 0) {
      const pages = 1 + chance.below(40);
      if (!this.mayShare(pages)) return;
      const made = this.w.call(process, "shmget", { key: "IPC_PRIVATE", size: pages * PAGE - chance.below(100), shmflg: 0o600 });
      if (made === null || made.errno !== null) return;
      segments.push({ id: Number(made.ret), store: newStore("shm", pages) });
    }
    if (segments.length === 0) return;
    const { id, store } = chance.of(segments);
    const readOnly = chance.below(5) === 0;
    const answer = this.w.call(process, "shmat", { shmid: id, shmflg: readOnly ? "SHM_RDONLY" : 0 });
    if (answer === null) return;
    this.w.same("shmat", answer.errno, null);
    this.mapped(process, pageOf(answer), store.pages, { prot: readOnly ? 1 : 3, most: readOnly ? 5 : 7, shared: true, store });
  }

  private removeSegment(process: Process): void {
    const { segments, chance } = this.w;
    if (segments.length === 0) return;
    const [{ id }] = segments.splice(chance.below(segments.length), 1);
    this.w.call(process, "shmctl", { shmid: id, cmd: "IPC_RMID" });
  }

  /** A segment whose pages stay in memory, or no longer. */
  private lockSegment(process: Process): void {
    const { segments, chance } = this.w;
    if (segments.length > 0) this.w.did(process, "shmctl", { shmid: chance.of(segments).id, cmd: chance.of(["SHM_LOCK", "SHM_UNLOCK"]) }, 0);
  }

  /** The break moves by some pages; what is in the way leaves it where it is. */
  private heap(process: Process): void {
    const now = this.w.call(process, "brk", { addr: 0 });
    if (now === null) return;
    const from = pageOf(now);
    const to = from + this.w.chance.below(60) - 20;
    const answer = this.w.call(process, "brk", { addr: hex(to) });
    if (answer === null || answer.ret === hex(from)) return;
    this.w.same("brk", answer.ret, hex(to));
    if (to > from) this.mapped(process, from, to - from, { prot: 3, shared: false, store: null });
    else unmapped(process.pages, to, from - to);
  }

  private readonly ssmemStores = new Map<number, Store>();

  private ssmem(process: Process): void {
    const { chance, processes } = this.w;
    const id = chance.of([1, 2, 1024]);
    const flags = chance.below(8);
    const pages = 1 + chance.below(SSMEM_PAGES_MAX);
    let store = this.ssmemStores.get(id);
    if (store !== undefined && !isMapped(processes, store)) store = undefined;
    const answer = this.w.call(process, "ssmem_attach", { id, flags, length: pages * PAGE });
    if (answer === null) return;
    if (store === undefined && (flags & 1) === 0) return this.w.same("ssmem_attach", answer.errno, "EADDRNOTAVAIL");
    this.w.same("ssmem_attach", answer.errno, null);
    if (store === undefined) this.ssmemStores.set(id, (store = newStore("ssmem", pages)));
    const prot = 1 | (flags & 2) | (flags & 4);
    this.mapped(process, pageOf(answer), store.pages, { prot, most: prot, shared: true, store, grows: false });
  }

  private munmap(process: Process): void {
    const { page, count } = this.w.somewhere(process, 100);
    if (!this.w.did(process, "munmap", { addr: hex(page), length: count * PAGE }, 0)) return;
    unmapped(process.pages, page, count);
  }

  private mprotect(process: Process): void {
    const { page, count } = this.w.somewhere(process, 60);
    const prot = this.w.chance.of([0, 1, 3, 3, 3, 2, 7]);
    const { mapped, hole } = within(process.pages, page, count);
    const forbidden = mapped.findIndex(({ most }) => (prot & ~most) !== 0);
    const wanted = forbidden >= 0 ? "EACCES" : hole ? "ENOMEM" : 0;
    const answer = this.w.call(process, "mprotect", { addr: hex(page), len: count * PAGE, prot });
    if (answer === null) return;
    this.w.same("mprotect", answer.errno ?? answer.ret, wanted);
    // What lies before the hole is changed all the same.
    for (const one of forbidden >= 0 ? mapped.slice(0, forbidden) : mapped) one.prot = prot;
  }

  /** mremap to a fixed place elsewhere. */
  private move(process: Process): void {
    const { page, count } = this.w.somewhere(process, 12);
    const to = BASE_PAGE + this.w.chance.below(WINDOW - count);
    if (to + count > page && page + count > to) return;
    const args = { old_address: hex(page), old_size: count * PAGE, new_size: count * PAGE, flags: "MREMAP_MAYMOVE|MREMAP_FIXED", new_address: hex(to) };
    const answer = this.w.call(process, "mremap", args);
    if (answer === null) return;
    // The target is unmapped before the source is looked at.
    if (process.pages.has(page)) unmapped(process.pages, to, count);
    const { mapped, hole } = within(process.pages, page, count);
    if (hole || (count > 1 && answer.errno === "EFAULT")) return this.w.same("mremap", answer.errno, "EFAULT");
    if (answer.errno === "ENOMEM" && this.w.isShort()) return;
    this.w.same("mremap", answer.ret, hex(to));
    unmapped(process.pages, page, count);
    for (const [at, one] of mapped.entries()) process.pages.set(to + at, one);
    process.regions.push({ page: to, pages: count });
  }

  /** mremap to more pages, where they are or elsewhere. */
  private resize(process: Process): void {
    const { chance } = this.w;
    const { page } = this.w.somewhere(process, 1);
    const one = process.pages.get(page);
    const more = 1 + chance.below(20);
    if (one !== undefined && one.locked && !one.shared && one.store !== null) return;
    const mayMove = chance.below(2) === 0;
    const answer = this.w.call(process, "mremap", { old_address: hex(page), old_size: PAGE, new_size: (1 + more) * PAGE, flags: mayMove ? "MREMAP_MAYMOVE" : 0 });
    if (answer === null) return;
    if (one === undefined || !one.grows) return this.w.same("mremap", answer.errno, "EFAULT");
    const room = among(process.pages, page + 1, more).length === 0;
    // Without room, or where the mapping goes on behind the page, it may only move.
    if (answer.errno === "ENOMEM" && (!mayMove || this.w.isShort())) return;
    this.w.same("mremap", answer.errno, null);
    const to = pageOf(answer);
    if (to === page && !room) throw this.w.wrong("a mapping grew over another");
    process.pages.delete(page);
    process.pages.set(to, one);
    for (let at = 1; at <= more; at++) process.pages.set(to + at, { ...one, pgoff: one.pgoff + at, own: null, resident: false });
    process.regions.push({ page: to, pages: 1 + more });
  }

  private shrink(process: Process): void {
    const { page, count } = this.w.somewhere(process, 30);
    if (count < 2) return;
    const keep = 1 + this.w.chance.below(count - 1);
    const there = process.pages.has(page);
    const answer = this.w.call(process, "mremap", { old_address: hex(page), old_size: count * PAGE, new_size: keep * PAGE, flags: 0 });
    if (answer === null) return;
    this.w.same("mremap", answer.errno ?? answer.ret, there ? hex(page) : "EFAULT");
    if (there) unmapped(process.pages, page + keep, count - keep);
  }

  private truncate(process: Process): void {
    const { chance, file, processes } = this.w;
    const pages = chance.below(FILE_PAGES);
    if (pages > file.pages && !this.mayShare(pages - file.pages)) return;
    if (this.w.did(process, "ftruncate", { fd: 3, length: pages * PAGE }, 0)) truncated(processes, file, pages);
  }

  private advise(process: Process, act: "dontneed" | "free" | "remove" | "pageout" | "cold" | "willneed" | "populate" | "forking"): void {
    const { page, count } = this.w.somewhere(process, 60);
    const own = process.pages;
    const holes = among(own, page, count).length < count;
    const advice = act === "populate" ? "POPULATE_WRITE" : act === "forking" ? this.w.chance.of(["DONTFORK", "DOFORK", "WIPEONFORK", "KEEPONFORK"]) : act.toUpperCase();
    if (act === "populate" && among(own, page, count).some(({ shared, store }) => !shared && store !== null)) return;
    const answer = this.w.call(process, "madvise", { addr: hex(page), length: count * PAGE, advice: `MADV_${advice}` });
    if (answer === null) return;
    if (answer.errno === "ENOMEM" && act === "populate" && this.w.isShort()) return;
    let wanted: string | number = holes ? "ENOMEM" : 0;
    for (const one of among(own, page, count)) {
      const error = this.advised(one, advice);
      if (error === null) continue;
      wanted = error;
      break;
    }
    // The first error is told; a hole before it, if that ends the call, is one.
    this.w.same(`MADV_${advice}`, answer.errno ?? answer.ret, wanted);
    if (advice === "FREE") this.dropGiven(process, page, count);
  }

  /** Pages that were given away go now, but for those that another process has too: what they hold is asked. */
  private dropGiven(process: Process, page: number, count: number): void {
    if (this.w.call(process, "madvise", { addr: hex(page), length: count * PAGE, advice: "MADV_PAGEOUT" }) === null) return;
    for (let number = page; number < page + count; number++) {
      const one = process.pages.get(number);
      if (one?.given !== true) continue;
      one.given = false;
      const bytes = peekUser(this.w.k, taskOf(this.w.k, process.pid), number * PAGE, PAGE);
      if (one.own === null || bytes === null) continue;
      if (one.own.shared && bytes.every((byte, at) => byte === one.own?.bytes[at])) continue;
      this.w.same("a page that was given away", bytes.every((byte) => byte === 0), true);
      one.own = null;
    }
  }

  /** What advice does to a page, or the errno that it ends with. */
  private advised(one: Page, advice: string): string | null {
    const anonymous = one.store === null;
    switch (advice) {
      case "DONTNEED":
        if (one.locked) return "EINVAL";
        if (!one.shared) one.own = null;
        return null;
      case "FREE":
        if (!anonymous || one.locked) return "EINVAL";
        one.given = true;
        return null;
      case "REMOVE": {
        if (one.locked || anonymous || one.store?.kind === "ssmem") return "EINVAL";
        if (!one.shared || (one.most & 2) === 0) return "EACCES";
        const { store, pgoff } = one;
        store?.bytes.delete(pgoff);
        store?.doubtful.delete(pgoff);
        for (const { pages } of this.w.processes) for (const other of pages.values()) if (other.store === store && other.pgoff === pgoff && other.own === null) other.resident = false;
        return null;
      }
      case "PAGEOUT": case "COLD": return one.locked ? "EINVAL" : null;
      case "POPULATE_WRITE":
        if ((one.prot & 2) === 0) return "EINVAL";
        return faultOf(one, true) === null ? null : "EFAULT";
      case "DONTFORK": one.fork = "skip"; return null;
      case "DOFORK": if (one.fork === "skip") one.fork = "copy"; return null;
      case "WIPEONFORK":
        // The first design of ssmem maps private memory, to which its pages come again.
        if (!anonymous && !(one.store?.kind === "ssmem" && this.w.machine.ssmem === "anon")) return "EINVAL";
        if (one.fork === "copy") one.fork = "wipe";
        return null;
      case "KEEPONFORK": if (one.fork === "wipe") one.fork = "copy"; return null;
      default: return null;
    }
  }

  private lock(process: Process, locks: boolean): void {
    const { page, count } = this.w.somewhere(process, locks ? 12 : 80);
    const { mapped, hole } = within(process.pages, page, count);
    if (mapped.some(({ shared, store }) => !shared && store !== null)) return;
    const answer = this.w.call(process, locks ? "mlock" : "munlock", { addr: hex(page), len: count * PAGE });
    if (answer === null) return;
    const cannot = mapped.some((one) => faultOf(one, false) !== null);
    const short = (answer.errno === "EAGAIN" || answer.errno === "ENOMEM") && this.w.isShort();
    if (!short) this.w.same("mlock", answer.errno ?? answer.ret, hole || (locks && cannot) ? "ENOMEM" : 0);
    for (const one of mapped) {
      // Mappings that may not grow are special, and never locked.
      one.locked = locks && one.grows;
      if (!one.locked) one.resident = false;
      else if (answer.errno === null) one.resident = true;
    }
  }

  private fork(process: Process): void {
    if (this.w.processes.length >= MOST_PROCESSES) return;
    const answer = this.w.call(process, "fork", {});
    if (answer === null) return;
    if (answer.errno !== null) {
      if (answer.errno !== "ENOMEM" || !this.w.isShort()) this.w.same("fork", answer.errno, null);
      return;
    }
    const child = forked(process, Number(answer.ret));
    if ((this.w.k.state.sched.groups.get(child.pid)?.exiting ?? 0) < 0) this.w.processes.push(child);
  }

  private exit(process: Process): void {
    if (this.w.processes.length < 2) return;
    this.w.exited(process);
    this.w.m.callNow(process.pid, "exit_group", { status: 0 });
  }
}
