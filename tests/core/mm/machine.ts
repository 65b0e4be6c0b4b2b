/** A kernel of memory alone, for tests of the memory room: tasks and a page cache, no system calls. */
import type { Inode } from "../../../core/fs/inode.ts";
import type { FileOperations, OpenFile } from "../../../core/fs/file.ts";
import type { Hooks } from "../../../core/hooks.ts";
import { ipcInit } from "../../../core/ipc/state.ts";
import type { Kernel, Tables } from "../../../core/kernel.ts";
import { seedRng } from "../../../core/lib/rng.ts";
import { DEFAULT_MACHINE, type MachineOptions } from "../../../core/machine.ts";
import { allocFrame, putFrame } from "../../../core/mm/page_alloc.ts";
import { unmapFileRange } from "../../../core/mm/unmap_mapping.ts";
import { genericFileMmap } from "../../../core/mm/shmem_ops.ts";
import { dropSpace, forkSpace } from "../../../core/mm/fork.ts";
import { newSpace } from "../../../core/mm/space.ts";
import { mmInit } from "../../../core/mm/state.ts";
import { vmOperationsTable } from "../../../core/mm/vma.ts";
import { credOf } from "../../../core/sched/cred.ts";
import { defaultRlimits } from "../../../core/sched/rlimit.ts";
import { logInit } from "../../../core/sched/printk.ts";
import { schedInit } from "../../../core/sched/state.ts";
import { stepTables } from "../../../core/sched/steps.ts";
import type { Task, ThreadGroup } from "../../../core/sched/task.ts";
import { freshTurn } from "../../../core/turn.ts";
import { timeInit } from "../../../core/time/state.ts";

const fileOf = (k: Kernel, id: number): OpenFile => k.state.fs.files.get(id)!;

const PAGE = 4096;

export class MemoryMachine {
  readonly k: Kernel;
  private nextPid = 100;
  private nextInode = 1;
  /** Operations of files, by name; tests add drivers here. */
  readonly operations = new Map<string, FileOperations>([["test.file", { mmap: genericFileMmap, fsync: () => 0 }]]);

  constructor(options: MachineOptions = {}) {
    const machine = { ...DEFAULT_MACHINE, swapMiB: 0, ...options };
    const hooks: Partial<Hooks> = {
      getFile: (k, id) => { fileOf(k, id).refs++; },
      fput: (k, id) => {
        const file = fileOf(k, id);
        if (--file.refs === 0) k.state.fs.files.delete(id);
      },
      file: fileOf,
      filePage: (k, id, pgoff) => {
        const inode = k.state.fs.inodes.get(fileOf(k, id).inode)!;
        if (pgoff >= Math.ceil(inode.size / PAGE)) return "sigbus";
        let pfn = inode.pages!.get(pgoff) ?? 0;
        if (pfn === 0) {
          pfn = allocFrame(k, { use: "file" });
          if (pfn === 0) return "oom";
          inode.pages!.set(pgoff, pfn);
        }
        return { pfn };
      },
      fileMapName: (k, id) => ({ major: 0, minor: 24, ino: k.state.fs.inodes.get(fileOf(k, id).inode)!.ino, path: `/tmp/f${id}` }),
      pageCacheFrames: (k) => [...k.state.fs.inodes.values()].flatMap((inode) => [...(inode.pages ?? []).values()]),
      unmapFileRange,
      signalParked: () => undefined,
    };
    this.k = {
      state: {
        machine, rng: seedRng(1), log: logInit(1), sched: schedInit(machine), time: timeInit(machine, 1704067200000000000n),
        mm: mmInit(machine), fs: {
          inodes: new Map(), files: new Map(), nextFile: 1, superBlocks: new Map(), dentries: new Map(), mounts: new Map(), fdTables: new Map(),
          fsStructs: new Map(), epollItems: new Map(), watches: new Map(), locks: new Map(),
        },
        net: { sockets: new Map(), timeWaits: new Map() }, ipc: ipcInit(), drivers: { sysctl: new Map() }, modules: { loaded: new Map(), taint: 0, lastUnloaded: "" }, calls: {}, labs: new Map(),
      },
      tables: { steps: stepTables, fileOperations: this.operations, vmOperations: vmOperationsTable, hooks } as unknown as Tables,
      turn: { ...freshTurn(0), account: "task" },
    } as unknown as Kernel;
    this.k.state.sched.handlers.set(1, { refs: 1, actions: new Map(), counts: new Map() });
  }

  private add(uid: number): Task {
    const pid = this.nextPid++;
    const group = { tgid: pid, threads: [pid], rlimits: defaultRlimits(100), maxRssPages: 0, oomScoreAdj: 0, exiting: -1, exitStatus: -1, pending: [], sighand: 1, stopSignal: 0, children: [], posixTimers: [] } as unknown as ThreadGroup;
    const task = {
      tid: pid, tgid: pid, comm: "test", kind: "driven", state: "parked", cred: credOf(uid), mm: 0, minFlt: 0, majFlt: 0,
      scratch: null, frames: [], pending: [], blocked: 0n, stimeNs: 0, work: [], exiting: false, signalPending: false,
    } as unknown as Task;
    this.k.state.sched.tasks.set(pid, task);
    this.k.state.sched.groups.set(pid, group);
    return task;
  }

  /** A process with an empty address space. */
  process(uid = 0): Task {
    const task = this.add(uid);
    task.mm = newSpace(this.k);
    return task;
  }

  /** A child with a copy of the parent's memory; throws when memory is out. */
  fork(parent: Task): Task {
    const child = this.tryFork(parent);
    if (child === null) throw new Error("fork: out of memory");
    return child;
  }

  tryFork(parent: Task): Task | null {
    const child = this.add(parent.cred.uid);
    if (forkSpace(this.k, parent, child) === 0) return child;
    this.exit(child);
    return null;
  }

  exit(task: Task): void {
    dropSpace(this.k, task);
    this.k.state.sched.tasks.delete(task.tid);
    this.k.state.sched.groups.delete(task.tgid);
  }

  /** A regular file of `size` bytes, open for reading and writing; 1 + the page's number in each byte if `filled`. */
  file(size: number, { canWrite = true, canRead = true, filled = true }: { canWrite?: boolean; canRead?: boolean; filled?: boolean } = {}): OpenFile {
    const id = this.nextInode++;
    const inode = {
      id, sb: 0, ino: 1000 + id, mode: 0o100644, uid: 0, gid: 0, nlink: 1, size, rdev: 0, refs: 0, pages: new Map(), entries: null,
    } as unknown as Inode;
    this.k.state.fs.inodes.set(id, inode);
    const fileId = this.k.state.fs.nextFile++;
    const file = { id: fileId, ops: "test.file", flags: 2, canRead, canWrite, refs: 1, inode: id } as unknown as OpenFile;
    this.k.state.fs.files.set(fileId, file);
    for (let page = 0; filled && page < Math.ceil(size / PAGE); page++) {
      const pfn = allocFrame(this.k, { use: "file" });
      inode.pages!.set(page, pfn);
      const frame = this.k.state.mm.frames[pfn - this.k.state.mm.reservedPages]!;
      frame.bytes = new Uint8Array(PAGE).fill(page + 1, 0, Math.min(PAGE, size - page * PAGE));
    }
    return file;
  }

  truncate(file: OpenFile, size: number): void {
    const inode = this.k.state.fs.inodes.get(file.inode)!;
    inode.size = size;
    const first = Math.ceil(size / PAGE);
    unmapFileRange(this.k, inode.id, first);
    for (const [pgoff, pfn] of [...inode.pages!]) {
      if (pgoff < first) continue;
      inode.pages!.delete(pgoff);
      putFrame(this.k, pfn);
    }
  }
}

