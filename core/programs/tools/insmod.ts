/** insmod of kmod: one module, from a file. And busybox's, which tries init_module too. */
import { EINVAL, EISDIR, ENOENT, ENOEXEC, EFAULT, errnoMessage } from "../../abi/errno.ts";
import { O_CLOEXEC } from "../../abi/fcntl.ts";
import { MODULES_DIRECTORY } from "../../abi/release.ts";
import { INSMOD_NO_NAME, insmodFailed, insmodNoFile, insmodUnreadable } from "../../module/messages.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { applet, tool } from "../tool.ts";

const IGNORE_MODVERSIONS = 1;
const IGNORE_VERMAGIC = 2;
/** kmod looks for the magic of a compressed file. */
const MAGIC = 6;

interface InsmodLocals {
  file: string;
  path: string;
  params: string;
  flags: number;
  fd: number;
  status: number;
}

/** Parameters as kmod hands them on: a value with blanks stands in double quotes. */
function quoted(word: string): string {
  const equals = word.indexOf("=");
  const value = word.slice(equals + 1);
  return equals > 0 && value.includes(" ") && !value.startsWith("\"") ? `${word.slice(0, equals)}="${value}"` : word;
}

function insmodLocals(args: string[]): InsmodLocals {
  const flags = args.filter((word) => word.startsWith("-")).join("").includes("f") ? IGNORE_MODVERSIONS | IGNORE_VERMAGIC : 0;
  const [file, ...params] = args.slice(args.findIndex((word) => !word.startsWith("-")));
  return { file, path: file, params: params.map(quoted).join(" "), flags, fd: -1, status: 0 };
}

/** Differs from Linux: `NAME.ko` that is not in the working directory is the one under /lib/modules. */
export function elsewhere(file: string): string | null {
  return file.includes("/") || !file.endsWith(".ko") ? null : `${MODULES_DIRECTORY}/corrected/${file}`;
}

tool<InsmodLocals>("insmod", "sbin", (p, args) => {
  if (args.every((word) => word.startsWith("-"))) {
    p.err(`${INSMOD_NO_NAME}\n`);
    return 1;
  }
  return insmodLocals(args);
}, {
  open: (p, { path }) => p.open(path, O_CLOEXEC),
  opened: (p, l) => {
    const other = elsewhere(l.path);
    if (p.ret === -ENOENT && other !== null) {
      l.path = other;
      return to("open");
    }
    if (p.ret < 0) {
      p.err(`${insmodNoFile(l.file, -p.ret)}\n`);
      return 1;
    }
    l.fd = p.ret;
    return p.read(l.fd, MAGIC);
  },
  magic: (p, l) => {
    if (p.ret >= MAGIC) return p.sys("lseek", l.fd, 0, 0);
    p.err(`${p.ret === -EISDIR ? insmodUnreadable(l.file, EISDIR) : insmodFailed(l.file, p.ret < 0 ? -p.ret : EINVAL)}\n`);
    l.status = 1;
    return to("close");
  },
  insert: (p, { fd, params, flags }) => p.sys("finit_module", fd, params, flags),
  inserted: (p, l) => {
    if (p.ret >= 0) return NEXT;
    p.err(`${insmodFailed(l.file, -p.ret)}\n`);
    l.status = 1;
    return NEXT;
  },
  close: (p, { fd }) => p.sys("close", fd),
  end: (_p, { status }) => status,
});

function busyboxError(errno: number): string {
  switch (errno) {
    case ENOEXEC: return "invalid module format";
    case ENOENT: return "unknown symbol in module, or unknown parameter";
    default: return errnoMessage(errno);
  }
}

interface BusyboxLocals extends InsmodLocals {
  errno: number;
  length: number;
}

/** Where a file of a module is mapped for init_module. */
const READ_PRIVATE = [1, 2] as const;

applet<BusyboxLocals>("busybox insmod", (p, args) => {
  if (args.length === 0) {
    p.err("BusyBox v1.35.0 (Debian 1:1.35.0-4+b7) multi-call binary.\n\nUsage: insmod FILE [SYMBOL=VALUE]...\n");
    return 1;
  }
  const locals = insmodLocals(args);
  // Each parameter is followed by a blank, the last one too.
  return { ...locals, params: locals.params === "" ? "" : `${locals.params} `, errno: 0, length: 0 };
}, {
  open: (p, { path }) => p.open(path, 0),
  opened: (p, l) => {
    const other = elsewhere(l.path);
    if (p.ret === -ENOENT && other !== null) {
      l.path = other;
      return to("open");
    }
    if (p.ret < 0) {
      p.warn(`can't insert '${l.file}': ${errnoMessage(-p.ret)}`);
      return 254;
    }
    l.fd = p.ret;
    return p.sys("finit_module", l.fd, l.params, l.flags);
  },
  inserted: (p, l) => {
    l.errno = -p.ret;
    return p.ret >= 0 ? to("close") : p.sys("fstat", l.fd, { room: 144 });
  },
  size: (p, l) => {
    l.length = Number(p.stat().st_size);
    if (l.length === 0) {
      p.warn("short read");
      return 1;
    }
    return p.sys("mmap", 0, l.length, READ_PRIVATE[0], READ_PRIVATE[1], l.fd, 0);
  },
  again: (p, l) => p.sys("init_module", p.ret < 0 ? -EFAULT : p.ret, l.length, l.params),
  failed: (p, l) => {
    l.errno = p.ret < 0 ? -p.ret : 0;
    return NEXT;
  },
  close: (p, { fd }) => p.sys("close", fd),
  end: (p, { file, errno }) => {
    if (errno <= 0) return 0;
    p.warn(`can't insert '${file}': ${busyboxError(errno)}`);
    return errno;
  },
});

