/** The machine as a process sees it: uname(2), sysinfo(2), getrandom(2), getcpu(2), and calls that need little. */
import { EBUSY, EFAULT, EINTR, EINVAL, EPERM } from "../abi/errno.ts";
import { CAP_SYS_ADMIN } from "../abi/capability.ts";
import { encodeStruct } from "../abi/layout.ts";
import { PAGE_SIZE } from "../abi/limits.ts";
import { grndFlags, GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM } from "../abi/random.ts";
import { UTS_MACHINE, UTS_RELEASE, UTS_SYSNAME, UTS_VERSION } from "../abi/release.ts";
import { SI_LOAD_SHIFT, sysinfoLayout } from "../abi/sysinfo.ts";
import { utsnameLayout } from "../abi/utsname.ts";
import { bytesName, nameBytes } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { freePages, totalPages } from "../mm/page_alloc.ts";
import { swapInfo } from "../mm/swap.ts";
import { accessOk, copyFromUser, copyToUser, putUser32, type Addr } from "../mm/usercopy.ts";
import { FSHIFT, loadsNow } from "../sched/loadavg.ts";
import { capable } from "../sched/cred.ts";
import { randomBytes } from "../sched/random.ts";
import { enter, steps, to, type SyscallResult } from "../sched/steps.ts";
import { groupOf, type Task } from "../sched/task.ts";
import { signalPending } from "../sched/wait_queue.ts";
import { boottimeNs, NS_PER_SEC } from "../time/clock.ts";
import { addr, flags, inBuffer, int, outBuffer, size, structOut, uint } from "./args.ts";
import { structCodec } from "./codec.ts";
import { give } from "./codecs/time.ts";
import type { Rows } from "./row.ts";
import { scalarOut } from "./vectors.ts";

type Word = number | bigint;

const UTS_LEN = 64;

function sysUname(k: Kernel, task: Task, [buf]: [Addr]): number {
  const { nodename, domainname } = k.state.process;
  const bytes = encodeStruct(utsnameLayout, { sysname: UTS_SYSNAME, release: UTS_RELEASE, version: UTS_VERSION, machine: UTS_MACHINE });
  // Names are kept one character a byte, whatever bytes they were given as.
  bytes.set(nameBytes(nodename), utsnameLayout.fields.nodename[0]);
  bytes.set(nameBytes(domainname), utsnameLayout.fields.domainname[0]);
  return give(k, task, buf, bytes);
}

/** A name that root gives the machine, at most 64 bytes; -EPERM, -EINVAL, -EFAULT. */
function readName(k: Kernel, task: Task, name: Addr, length: number): string | number {
  if (!capable(task, CAP_SYS_ADMIN)) return -EPERM;
  if (length < 0 || length > UTS_LEN) return -EINVAL;
  const bytes = copyFromUser(k, task, name, length);
  if (typeof bytes === "number") return -EFAULT;
  const end = bytes.indexOf(0);
  return bytesName(end < 0 ? bytes : bytes.subarray(0, end));
}

function sysSethostname(k: Kernel, task: Task, [name, length]: [Addr, number]): number {
  const given = readName(k, task, name, length);
  if (typeof given === "number") return given;
  k.state.process.nodename = given;
  return 0;
}

function sysSetdomainname(k: Kernel, task: Task, [name, length]: [Addr, number]): number {
  const given = readName(k, task, name, length);
  if (typeof given === "number") return given;
  k.state.process.domainname = given;
  return 0;
}

function sysSysinfo(k: Kernel, task: Task, [info]: [Addr]): number {
  const { mm, sched } = k.state;
  const swap = swapInfo(k);
  return give(k, task, info, encodeStruct(sysinfoLayout, {
    uptime: Math.ceil(boottimeNs(k) / NS_PER_SEC), loads: loadsNow(k).loads.map((load) => load * 2 ** (SI_LOAD_SHIFT - FSHIFT)),
    totalram: totalPages(mm) * PAGE_SIZE, freeram: freePages(mm) * PAGE_SIZE, sharedram: mm.used.shmem * PAGE_SIZE,
    totalswap: swap.total * PAGE_SIZE, freeswap: swap.free * PAGE_SIZE, procs: sched.tasks.size, mem_unit: 1,
  }));
}

/** Bytes that one step of getrandom makes. */
const RANDOM_STEP = 1 << 16;
/** A call gives at most this much (MAX_RW_COUNT). */
const RANDOM_MAX = 0x7fff_f000;

interface RandomLocals {
  buf: number;
  count: number;
  done: number;
}

const randomSteps = steps<RandomLocals>("getrandom", {
  fill: (k, task, { locals }) => {
    const { buf, count, done } = locals;
    if (done === count || (done > 0 && signalPending(task))) return done;
    const part = Math.min(count - done, RANDOM_STEP);
    const copied = copyToUser(k, task, buf + done, randomBytes(k, part));
    if (copied < part) return done + Math.max(copied, 0) || -EFAULT;
    locals.done += copied;
    return to("fill");
  },
});

function sysGetrandom(k: Kernel, task: Task, [buf, length, bits]: [Addr, Word, number]): SyscallResult {
  if ((bits & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) !== 0) return -EINVAL;
  if ((bits & (GRND_INSECURE | GRND_RANDOM)) === (GRND_INSECURE | GRND_RANDOM)) return -EINVAL;
  const count = Math.min(Number(length), RANDOM_MAX);
  if (!accessOk(buf, count)) return -EFAULT;
  if (count > RANDOM_STEP) return enter(randomSteps, { buf: Number(buf), count, done: 0 });
  return count === 0 ? 0 : copyToUser(k, task, buf, randomBytes(k, count));
}

function sysGetcpu(k: Kernel, task: Task, [cpu, node]: [Addr, Addr]): number {
  if (cpu !== 0 && !putUser32(k, task, cpu, k.turn.cpu)) return -EFAULT;
  return node !== 0 && !putUser32(k, task, node, 0) ? -EFAULT : 0;
}

/** MEMBARRIER_CMD_QUERY, and all commands of Linux 6.1 that it tells of. */
const MEMBARRIER_QUERY = 0;
const MEMBARRIER_COMMANDS = 0x1ff;
/** Each private command by the bit of its registration, which stands one place up. */
const MEMBARRIER_PRIVATE = 0x8 | 0x20 | 0x80;

/** All CPUs of this machine see memory in one order: there is never anything to wait for. */
function sysMembarrier(k: Kernel, task: Task, [command, bits]: [number, number]): number {
  if (bits !== 0) return -EINVAL;
  if (command === MEMBARRIER_QUERY) return MEMBARRIER_COMMANDS;
  const single = command > 0 && (command & (command - 1)) === 0;
  if (!single || (command & MEMBARRIER_COMMANDS) === 0) return -EINVAL;
  const group = groupOf(k, task);
  if ((command & (MEMBARRIER_PRIVATE << 1)) !== 0) group.membarriers |= command;
  return (command & MEMBARRIER_PRIVATE) !== 0 && (group.membarriers & (command << 1)) === 0 ? -EPERM : 0;
}

const RSEQ_SIZE = 32;
const RSEQ_FLAG_UNREGISTER = 1;

function sysRseq(k: Kernel, task: Task, [rseq, length, bits]: [Addr, number, number]): number {
  if ((bits & RSEQ_FLAG_UNREGISTER) !== 0) {
    if (bits !== RSEQ_FLAG_UNREGISTER || task.rseq === 0 || task.rseq !== rseq || length !== RSEQ_SIZE) return -EINVAL;
    task.rseq = 0;
    return 0;
  }
  if (bits !== 0) return -EINVAL;
  if (task.rseq !== 0) return task.rseq === rseq && length === RSEQ_SIZE ? -EBUSY : -EINVAL;
  if (length !== RSEQ_SIZE || Number(rseq) % RSEQ_SIZE !== 0) return -EINVAL;
  if (!accessOk(rseq, RSEQ_SIZE) || !putUser32(k, task, rseq, k.turn.cpu)) return -EFAULT;
  task.rseq = rseq;
  return 0;
}

export const miscRows: Rows = {
  uname: { x86_64: 63, args: [structOut("buf", structCodec("utsname", utsnameLayout))], run: sysUname },
  sysinfo: { x86_64: 99, args: [structOut("info", structCodec("sysinfo", sysinfoLayout))], run: sysSysinfo },
  sethostname: { x86_64: 170, args: [inBuffer("name", "len"), { ...size("len", "name"), take: int("len").take }], run: sysSethostname },
  setdomainname: { x86_64: 171, args: [inBuffer("name", "len"), { ...size("len", "name"), take: int("len").take }], run: sysSetdomainname },
  restart_syscall: { x86_64: 219, args: [], run: () => -EINTR },
  getcpu: { x86_64: 309, args: [scalarOut("cpu", "u32"), scalarOut("node", "u32"), addr("tcache")], run: sysGetcpu },
  getrandom: { x86_64: 318, args: [outBuffer("buf", "buflen"), size("buflen"), flags("flags", grndFlags)], run: sysGetrandom },
  membarrier: { x86_64: 324, args: [int("cmd"), uint("flags"), int("cpu_id")], run: sysMembarrier, partial: "memory is always in order" },
  rseq: {
    x86_64: 334, args: [addr("rseq"), uint("rseq_len"), int("flags"), uint("sig")], run: sysRseq,
    partial: "the CPU number is stored once, sequences are never restarted",
  },
};
