/** What the file routes do, as processes of the caller's uid: write a file, make a directory, remove either. */
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY } from "../abi/fcntl.ts";
import { EISDIR, ENOENT } from "../abi/errno.ts";
import { DEBUGFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC } from "../abi/fsmagic.ts";
import { isRegular, statfsLayout, statLayout } from "../abi/stat.ts";
import { base64Decode, getU32, getU64 } from "../lib/bytes.ts";
import { NEXT, steps, to } from "../sched/steps.ts";
import { cstr, program, setValue, sysWith } from "./program.ts";
import { sys } from "../syscalls/enter.ts";

interface WriteLocals {
  path: string;
  mode: number;
  bytes: Uint8Array;
  exists: boolean;
  regular: boolean;
  fd: number;
  done: number;
  result: number;
}

const ST_MODE = statLayout.fields.st_mode[0];
/** One write(2) of a regular file's bytes; anything else gets all in one call. */
const CHUNK = 1 << 20;

/** File systems whose files are the kernel's own words: each takes what it is told in one write(2). */
const COMPUTED: (number | bigint)[] = [PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC];

const writeFile = steps<WriteLocals>("writeFile", {
  open: (k, task, frame) => sysWith(k, task, frame, "openat", [AT_FDCWD, cstr(frame.locals.path), O_WRONLY | O_CLOEXEC, 0]),
  make: (k, task, frame) => {
    const { path, mode } = frame.locals;
    frame.locals.exists = frame.ret !== -ENOENT;
    if (frame.locals.exists) return NEXT;
    return sysWith(k, task, frame, "openat", [AT_FDCWD, cstr(path), O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, mode]);
  },
  opened: (_k, _task, frame) => {
    frame.locals.fd = Number(frame.ret);
    return frame.locals.fd < 0 ? frame.locals.fd : NEXT;
  },
  stat: (k, task, frame) => sysWith(k, task, frame, "fstat", [frame.locals.fd, { room: statLayout.size }]),
  kind: (k, task, frame) => {
    const { locals } = frame;
    locals.regular = frame.ret === 0 && task.scratch !== null && isRegular(getU32(task.scratch.bytes, ST_MODE));
    return sysWith(k, task, frame, "fstatfs", [locals.fd, { room: statfsLayout.size }]);
  },
  empty: (k, task, frame) => {
    const { locals } = frame;
    if (frame.ret === 0 && task.scratch !== null && COMPUTED.includes(getU64(task.scratch.bytes, 0))) locals.regular = false;
    return locals.regular && locals.exists ? sys(k, task, frame, "ftruncate", [locals.fd, 0]) : NEXT;
  },
  write: (k, task, frame) => {
    const { bytes, done, fd, regular } = frame.locals;
    const part = regular ? bytes.subarray(done, done + CHUNK) : bytes;
    return sysWith(k, task, frame, "write", [fd, { bytes: part.slice() }, part.length]);
  },
  written: (k, task, frame) => {
    const { locals } = frame;
    const count = Number(frame.ret);
    locals.result = Math.min(count, 0);
    if (count > 0) locals.done += count;
    if (locals.regular && count > 0 && locals.done < locals.bytes.length) return to("write");
    return sys(k, task, frame, "close", [locals.fd]);
  },
  closed: (_k, task, { locals }) => {
    setValue(task, { written: locals.done, created: !locals.exists, regular: locals.regular });
    return locals.result;
  },
});

program("writeFile", writeFile, ({ path, base64, mode }) => {
  const bytes = typeof base64 === "string" ? base64Decode(base64) : undefined;
  if (typeof path !== "string" || bytes === undefined) return "writeFile takes a path and bytes in base64";
  const locals: WriteLocals = {
    path, mode: typeof mode === "number" ? mode : 0o666, bytes, exists: false, regular: true, fd: -1, done: 0, result: 0,
  };
  return locals;
});

program(
  "mkdir",
  steps<{ path: string; mode: number }>("mkdir", {
    make: (k, task, frame) => sysWith(k, task, frame, "mkdirat", [AT_FDCWD, cstr(frame.locals.path), frame.locals.mode]),
    made: (_k, _task, { ret }) => ret,
  }),
  ({ path, mode }) => (typeof path === "string" ? { path, mode: typeof mode === "number" ? mode : 0o777 } : "mkdir takes a path"),
);

/** AT_REMOVEDIR of unlinkat(2). */
const AT_REMOVEDIR = 0x200;

program(
  "remove",
  steps<{ path: string }>("remove", {
    unlink: (k, task, frame) => sysWith(k, task, frame, "unlinkat", [AT_FDCWD, cstr(frame.locals.path), 0]),
    unlinked: (k, task, frame) =>
      (frame.ret === -EISDIR
        ? sysWith(k, task, frame, "unlinkat", [AT_FDCWD, cstr(frame.locals.path), AT_REMOVEDIR])
        : frame.ret),
    removed: (_k, _task, { ret }) => ret,
  }),
  ({ path }) => (typeof path === "string" ? { path } : "remove takes a path"),
);
