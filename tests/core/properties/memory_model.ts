/** A model of memory by pages: what each process has mapped, with which rights, and whose bytes an access finds. */

export const PAGE = 4096;

/** The address of a byte of a page, as a call takes it. */
export const hex = (page: number, offset = 0): string => `0x${(page * PAGE + offset).toString(16)}`;

/** Bytes that several mappings may show: a file, a System V segment, an ssmem segment, shared anonymous memory. */
export interface Store {
  bytes: Map<number, Uint8Array>;
  /** Pages; what lies behind is SIGBUS. */
  pages: number;
  kind: "file" | "memfd" | "zero" | "shm" | "ssmem";
  /** Pages of which an access that was cut short by a kill has made a secret. */
  doubtful: Set<number>;
}

/** A private page once it was written; children have it too until somebody writes again. */
interface Own {
  bytes: Uint8Array;
  shared: boolean;
  /** A copy of a page that is a secret. */
  doubtful: boolean;
}

export interface Page {
  prot: number;
  /** What mprotect may give. */
  most: number;
  shared: boolean;
  /** Null for private anonymous memory. */
  store: Store | null;
  pgoff: number;
  own: Own | null;
  locked: boolean;
  /** MADV_FREE was told of it just now. */
  given?: boolean;
  /** mlock has brought it in, and it must stay. */
  resident: boolean;
  fork: "copy" | "skip" | "wipe";
  /** mremap may make the mapping longer. */
  grows: boolean;
  /** Tells mappings apart: pages with the same number were mapped by one call. */
  mapping: number;
}

export type Pages = Map<number, Page>;

export interface Process {
  pid: number;
  /** By page number of the address. */
  pages: Pages;
  /** Where mappings were made, to find pages by chance; some are gone. */
  regions: { page: number; pages: number }[];
}

export interface Fault {
  signal: "SIGSEGV" | "SIGBUS";
  siCode: string;
}

export function newStore(kind: Store["kind"], pages: number): Store {
  return { bytes: new Map(), pages, kind, doubtful: new Set() };
}

/** Why an access to a page faults, or null. x86: what may be written or executed can be read. */
export function faultOf(page: Page | undefined, write: boolean): Fault | null {
  if (page === undefined) return { signal: "SIGSEGV", siCode: "SEGV_MAPERR" };
  if (write ? (page.prot & 2) === 0 : page.prot === 0) return { signal: "SIGSEGV", siCode: "SEGV_ACCERR" };
  if (page.own === null && page.store !== null && page.pgoff >= page.store.pages) return { signal: "SIGBUS", siCode: "BUS_ADRERR" };
  return null;
}

const ZEROS = new Uint8Array(PAGE);

/** The bytes of a page that can be read; not to be written. */
export function bytesOf({ own, store, pgoff }: Page): Uint8Array {
  return own?.bytes ?? store?.bytes.get(pgoff) ?? ZEROS;
}

export function isDoubtful({ own, store, pgoff }: Page): boolean {
  return own !== null ? own.doubtful : store !== null && store.doubtful.has(pgoff);
}

/** The bytes of a page of a store, to be written. */
export function storeBytes({ bytes }: Store, pgoff: number): Uint8Array {
  let page = bytes.get(pgoff);
  if (page === undefined) bytes.set(pgoff, (page = new Uint8Array(PAGE)));
  return page;
}

/** Writes into a page that may be written. */
export function write(page: Page, offset: number, data: Uint8Array): void {
  if (page.shared && page.store !== null) {
    storeBytes(page.store, page.pgoff).set(data, offset);
    return;
  }
  if (page.own === null || page.own.shared) page.own = { bytes: bytesOf(page).slice(), shared: false, doubtful: isDoubtful(page) };
  page.own.bytes.set(data, offset);
}

/** What a child of the process has. */
export function forked({ pages, regions }: Process, pid: number): Process {
  const child: Pages = new Map();
  for (const [number, page] of pages) {
    if (page.fork === "skip") continue;
    if (page.own !== null) page.own.shared = true;
    child.set(number, { ...page, own: page.fork === "wipe" ? null : page.own, locked: false, resident: false });
  }
  return { pid, pages: child, regions: regions.map((region) => ({ ...region })) };
}

/** Pages of a range that are mapped, in the order of their numbers, up to the first hole; and whether there is one. */
export function within(pages: Pages, first: number, count: number): { mapped: Page[]; hole: boolean } {
  const mapped: Page[] = [];
  for (let number = first; number < first + count; number++) {
    const page = pages.get(number);
    if (page === undefined) return { mapped, hole: true };
    mapped.push(page);
  }
  return { mapped, hole: false };
}

/** All pages of a range, holes left out. */
export function among(pages: Pages, first: number, count: number): Page[] {
  const found: Page[] = [];
  for (let number = first; number < first + count; number++) {
    const page = pages.get(number);
    if (page !== undefined) found.push(page);
  }
  return found;
}

export function unmapped(pages: Pages, first: number, count: number): void {
  for (let number = first; number < first + count; number++) pages.delete(number);
}

/** Whether some process still maps a store. */
export function isMapped(processes: Process[], store: Store): boolean {
  return processes.some(({ pages }) => [...pages.values()].some((page) => page.store === store));
}

/** A file becomes shorter or longer: private copies of what goes, go too. */
export function truncated(processes: Process[], store: Store, pages: number): void {
  for (const at of [...store.bytes.keys()]) if (at >= pages) store.bytes.delete(at);
  for (const at of [...store.doubtful]) if (at >= pages) store.doubtful.delete(at);
  if (pages < store.pages) {
    for (const process of processes) for (const page of process.pages.values()) {
      if (page.store !== store || page.pgoff < pages) continue;
      page.own = null;
      page.resident = false;
    }
  }
  store.pages = pages;
}
