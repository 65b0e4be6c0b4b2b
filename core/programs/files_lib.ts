/** What tools share: whole files, directories, programs found along PATH. Each is entered, and leaves its value with the one that entered it. */
import { EACCES, ENOENT, ENOEXEC, EFBIG, EINTR, ENOTDIR, errnoMessage } from "../abi/errno.ts";
import { O_CLOEXEC, O_DIRECTORY } from "../abi/fcntl.ts";
import { decodeDirents } from "../abi/dirent.ts";
import { bytesName } from "../fs/names.ts";
import { enter, NEXT, to, type StepResult } from "../sched/steps.ts";
import { BUFFER_SIZE, mainOf, programSteps, type Proc } from "./proc.ts";
import { isTraced, traceMark } from "./trace.ts";

/** No tool keeps more of a file in its head. */
const SLURP_MAX = 16 << 20;

/** Leaves the whole content of a file, one character a byte, in `into`; 0 or a negative errno. A path of "-" is stdin. */
export function slurp(path: string, into: string): StepResult {
  return enter(slurpSteps, { path, into, fd: -1, parts: [], length: 0, result: 0 });
}

interface SlurpLocals {
  path: string;
  into: string;
  fd: number;
  parts: string[];
  length: number;
  result: number;
}

const slurpSteps = programSteps<SlurpLocals>("lib.slurp", {
  open: (p, l) => {
    if (l.path !== "-") return p.open(l.path, O_CLOEXEC);
    p.frame.ret = 0;
    return NEXT;
  },
  opened: (p, l) => {
    l.fd = p.ret;
    return p.ret < 0 ? p.ret : NEXT;
  },
  read: (p, l) => p.read(l.fd),
  got: (p, l) => {
    if (p.ret === -EINTR) return to("read");
    if (p.ret > 0) {
      l.parts.push(p.text(p.ret));
      l.length += p.ret;
      if (l.length <= SLURP_MAX) return to("read");
    }
    l.result = l.length > SLURP_MAX ? -EFBIG : Math.min(p.ret, 0);
    return l.fd === 0 ? to("end") : p.sys("close", l.fd);
  },
  end: (p, l) => {
    p.give(l.into, l.parts.join(""));
    return l.result;
  },
});

export interface Entry {
  name: string;
  /** DT_ type. */
  type: number;
  ino: number;
}

/** Leaves the entries of a directory, "." and ".." too, in `into`; 0 or a negative errno. */
export function readdir(path: string, into: string): StepResult {
  return enter(readdirSteps, { path, into, fd: -1, entries: [], result: 0 });
}

interface ReaddirLocals {
  path: string;
  into: string;
  fd: number;
  entries: Entry[];
  result: number;
}

const readdirSteps = programSteps<ReaddirLocals>("lib.readdir", {
  open: (p, l) => p.open(l.path, O_DIRECTORY | O_CLOEXEC),
  opened: (p, l) => {
    l.fd = p.ret;
    return p.ret < 0 ? p.ret : NEXT;
  },
  read: (p, l) => p.sys("getdents64", l.fd, { room: BUFFER_SIZE }, BUFFER_SIZE),
  got: (p, l) => {
    l.result = Math.min(p.ret, 0);
    if (p.ret <= 0) return p.sys("close", l.fd);
    for (const { d_name, d_type, d_ino } of decodeDirents(p.took(p.ret))) l.entries.push({ name: bytesName(d_name), type: d_type, ino: Number(d_ino) });
    return to("read");
  },
  end: (p, l) => {
    p.give(l.into, l.entries);
    return l.result;
  },
});

/** Where programs are looked for when PATH is not set. */
export const DEFAULT_PATH = "/sbin:/usr/sbin:/bin:/usr/bin";

/** Replaces the running program, looking along PATH for a name without a slash. Answers only when it cannot: a negative errno. */
export function execvp(p: Proc, argv: string[], env: string[] = p.main.env, file = argv[0] ?? ""): StepResult {
  const path = env.find((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH;
  const places = file.includes("/") ? [file] : path.split(":").map((directory) => (directory === "" ? file : `${directory}/${file}`));
  return enter(execSteps, { argv: [...argv], env: [...env], places: file === "" ? [] : places, next: 0, result: -ENOENT });
}

interface ExecLocals {
  argv: string[];
  env: string[];
  places: string[];
  next: number;
  result: number;
}

const execSteps = programSteps<ExecLocals>("lib.exec", {
  try: (p, { argv, env, places, next, result }) => {
    if (next >= places.length) return result;
    const file = p.lay(new Uint8Array([...places[next], "\0"].map((char) => char.charCodeAt(0))));
    const trace = mainOf(p.k, p.task)?.trace ?? null;
    return p.sys("execve", file, p.layStrings(argv), p.layStrings(isTraced(trace, p.task) ? [...env, traceMark(trace)] : env));
  },
  failed: (p, l) => {
    if (p.ret === -ENOEXEC) {
      // As execvp(3): a file of an unknown format is a script of the shell.
      l.argv = ["sh", l.places[l.next], ...l.argv.slice(1)];
      l.places = ["/bin/sh"];
      l.next = 0;
      return to("try");
    }
    if (p.ret !== -ENOENT && p.ret !== -ENOTDIR && p.ret !== -EACCES) return p.ret;
    if (p.ret === -EACCES) l.result = p.ret;
    l.next++;
    return to("try");
  },
});

/** What a tool says and ends with that could not run another: 127 when it is not there, else 126. */
export function cannotRun(p: Proc, name: string): number {
  const { ret } = p;
  p.warn(`can't execute '${name}': ${errnoMessage(-ret)}`);
  return ret === -ENOENT ? 127 : 126;
}
