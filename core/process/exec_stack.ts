/** The first stack of a program: its arguments, its environment and the auxiliary vector, as execve leaves them (fs/binfmt_elf.c). */
import { PAGE_SIZE, TASK_SIZE } from "../abi/limits.ts";
import { MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_PRIVATE, MAP_ANONYMOUS, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { nameBytes } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { putU64 } from "../lib/bytes.ts";
import { mmap } from "../mm/mmap.ts";
import { spaceOf } from "../mm/space.ts";
import { writeUser } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";

/** What a stack has below its strings to begin with: 32 pages, as setup_arg_pages gives it. */
const STACK_ROOM = 32 * PAGE_SIZE;
const ALIGN = 16;

const AT_NULL = 0;
const AT_PAGESZ = 6;
const AT_UID = 11;
const AT_EUID = 12;
const AT_GID = 13;
const AT_EGID = 14;
const AT_CLKTCK = 17;
const AT_SECURE = 23;
const AT_EXECFN = 31;
const USER_HZ = 100;

/** Maps the stack and writes what a program finds there; false when there is no memory for it. */
export function layArguments(k: Kernel, task: Task, { argv, envp, exe }: { argv: string[]; envp: string[]; exe: string }): boolean {
  const top = TASK_SIZE - 8;
  const strings: Uint8Array[] = [];
  let at = top;
  const lay = (text: string): number => {
    const bytes = nameBytes(`${text}\0`);
    strings.unshift(bytes);
    return (at -= bytes.length);
  };
  const execfn = lay(exe);
  const environment = [...envp].reverse().map(lay).reverse();
  const words = [...argv].reverse().map(lay).reverse();
  const { uid, euid, gid, egid } = task.cred;
  const auxiliary = [
    [AT_PAGESZ, PAGE_SIZE], [AT_CLKTCK, USER_HZ], [AT_UID, uid], [AT_EUID, euid], [AT_GID, gid], [AT_EGID, egid],
    [AT_SECURE, uid === euid && gid === egid ? 0 : 1], [AT_EXECFN, execfn], [AT_NULL, 0],
  ];
  const table = [argv.length, ...words, 0, ...environment, 0, ...auxiliary.flat()];
  const sp = Math.floor((at - table.length * 8) / ALIGN) * ALIGN;
  const bytes = new Uint8Array(top - sp);
  table.forEach((word, index) => { putU64(bytes, index * 8, word); });
  let offset = at - sp;
  for (const text of strings) {
    bytes.set(text, offset);
    offset += text.length;
  }
  const start = Math.floor(sp / PAGE_SIZE) * PAGE_SIZE - STACK_ROOM;
  const mapped = mmap(k, task, {
    addr: start, length: TASK_SIZE - start, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_GROWSDOWN,
    file: null, pgoff: 0,
  });
  if (mapped < 0) return false;
  spaceOf(k, task).startStack = sp;
  return writeUser(k, task, sp, bytes).fault === null;
}
