/** cp and mv. */
import { ENOTDIR, EXDEV, errnoMessage } from "../../abi/errno.ts";
import { AT_FDCWD, O_CREAT, O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { isDirectory, isRegular, isSymlink } from "../../abi/stat.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import { getopt } from "../options.ts";
import { BUFFER_SIZE, programSteps, type Proc } from "../proc.ts";
import { tool } from "../tool.ts";
import { walk, type Found } from "../walk.ts";

interface CopyLocals {
  from: string;
  into: string;
  mode: number;
  in: number;
  out: number;
  text: string;
  result: number;
}

/** Copies a file's bytes; 0, or 1 when that was told to fail. */
function copyFile(from: string, into: string, mode: number): StepResult {
  return enter(copySteps, { from, into, mode, in: -1, out: -1, text: "", result: 0 });
}

const copySteps = programSteps<CopyLocals>("lib.copy", {
  open: (p, { from }) => p.open(from),
  opened: (p, l) => {
    l.in = p.ret;
    if (p.ret >= 0) return p.open(l.into, O_WRONLY | O_CREAT | O_TRUNC, l.mode & 0o777);
    p.warn(`can't open '${l.from}': ${errnoMessage(-p.ret)}`);
    return 1;
  },
  created: (p, l) => {
    l.out = p.ret;
    if (p.ret >= 0) return NEXT;
    p.warn(`can't create '${l.into}': ${errnoMessage(-p.ret)}`);
    l.result = 1;
    return to("closeIn");
  },
  read: (p, l) => p.read(l.in, BUFFER_SIZE / 2),
  got: (p, l) => {
    if (p.ret > 0) return p.write(l.out, p.text(p.ret));
    if (p.ret < 0) {
      p.warn(`read error: ${errnoMessage(-p.ret)}`);
      l.result = 1;
    }
    return to("closeOut");
  },
  wrote: (p, l) => {
    if (p.ret >= 0) return to("read");
    p.warn(`write error: ${errnoMessage(-p.ret)}`);
    l.result = 1;
    return NEXT;
  },
  closeOut: (p, l) => p.sys("close", l.out),
  closeIn: (p, l) => p.sys("close", l.in),
  end: (_p, { result }) => result,
});

interface CpLocals {
  move: boolean;
  sources: string[];
  place: string;
  directory: boolean;
  recursive: boolean;
  source: string;
  target: string;
  found: Found[];
  at: number;
  status: number;
}

const baseName = (path: string): string => path.replace(/\/+$/, "").replace(/^.*\//, "");

function begin(move: boolean): (p: Proc, args: string[]) => CpLocals | number {
  return (p, args) => {
    const { has, rest, problem } = getopt(args, "rRafpidLPvnT", { recursive: "r", archive: "a", force: "f" });
    if (problem !== "" || rest.length < 2) return p.fail(problem === "" ? "missing operand" : problem);
    return {
      move, sources: rest.slice(0, -1), place: rest[rest.length - 1], directory: false, recursive: move || ["r", "R", "a"].some((letter) => letter in has),
      source: "", target: "", found: [], at: 0, status: 0,
    };
  };
}

const LINK_MAX = 4096;

const steps: Parameters<typeof tool<CpLocals>>[3] = {
  look: (p, { place }) => p.statOf(place),
  looked: (p, l) => {
    l.directory = p.ret >= 0 && isDirectory(p.stat().st_mode);
    return l.sources.length > 1 && !l.directory ? p.fail(`target '${l.place}': ${errnoMessage(ENOTDIR)}`) : NEXT;
  },
  next: (p, l) => {
    const source = l.sources.shift();
    if (source === undefined) return l.status;
    l.source = source;
    l.target = l.directory ? `${l.place.replace(/\/+$/, "")}/${baseName(source)}` : l.place;
    return l.move ? p.sys("rename", source, l.target) : to("walk");
  },
  renamed: (p, l) => {
    if (p.ret >= 0) return to("next");
    if (p.ret === -EXDEV) return NEXT;
    p.warn(`can't rename '${l.source}': ${errnoMessage(-p.ret)}`);
    l.status = 1;
    return to("next");
  },
  walk: (_p, l) => {
    l.found = [];
    l.at = 0;
    return walk(l.source, "found", { depth: l.recursive ? Infinity : 0, follow: !l.recursive });
  },
  walked: (p, l) => {
    if (p.ret < 0) p.warn(`can't stat '${l.source}': ${errnoMessage(-p.ret)}`);
    else if (isDirectory(l.found[0].mode) && !l.recursive) p.warn(`omitting directory '${l.source}'`);
    else return NEXT;
    l.status = 1;
    return to("next");
  },
  copy: (p, l) => {
    const one = l.found[l.at];
    if (one === undefined) return l.move && l.status === 0 ? to("remove") : to("next");
    const into = l.target + one.path.slice(l.source.length);
    if (isDirectory(one.mode)) return p.sys("mkdir", into, one.mode & 0o7777);
    if (isSymlink(one.mode)) return p.sys("readlink", one.path, { room: LINK_MAX }, LINK_MAX);
    return isRegular(one.mode) || !l.recursive ? copyFile(one.path, into, one.mode) : p.sys("mknod", into, one.mode, 0);
  },
  copied: (p, l) => {
    const one = l.found[l.at];
    if (isSymlink(one.mode) && p.ret >= 0) return p.sys("symlink", p.text(p.ret), l.target + one.path.slice(l.source.length));
    if (p.ret > 0) l.status = 1;
    return NEXT;
  },
  advance: (_p, l) => {
    l.at++;
    return to("copy");
  },
  // A file system was left: what was copied is removed, what is inside first.
  remove: (p, l) => {
    const last = l.found.pop();
    return last === undefined ? to("next") : p.sys("unlinkat", AT_FDCWD, last.path, isDirectory(last.mode) ? 0x200 : 0);
  },
  removed: () => to("remove"),
};

tool<CpLocals>("cp", "bin", begin(false), steps);
tool<CpLocals>("mv", "bin", begin(true), steps);
