/** mkdir, rmdir, mknod, mkfifo, touch: what makes a name, or takes an empty directory away. */
import { EEXIST, ENOENT, errnoMessage } from "../../abi/errno.ts";
import { AT_FDCWD, O_CREAT, O_NONBLOCK, O_WRONLY } from "../../abi/fcntl.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { applyMode } from "../mode.ts";
import { operands } from "../operands.ts";
import { getopt } from "../options.ts";
import { tool } from "../tool.ts";

operands<{ mode: number; parents: boolean }>("mkdir", "bin", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "pm:v", { parents: "p", mode: "m" });
    if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
    const mode = applyMode(has.m ?? "777", 0o777, true);
    if (mode === undefined) return p.fail(`invalid mode '${has.m}'`);
    const parents = "p" in has;
    const all = parents ? rest.flatMap((path) => [...path.matchAll(/[^/]+/g)].map(({ 0: part, index }) => path.slice(0, index + part.length))) : rest;
    return { operands: all, state: { mode, parents } };
  },
  call: (p, path, { mode }) => p.sys("mkdir", path, mode),
  failed: (path, errno, { parents }) => (parents && errno === EEXIST ? null : `can't create directory '${path}': ${errnoMessage(errno)}`),
});

operands<{ parents: boolean }>("rmdir", "bin", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "p", { parents: "p" });
    if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
    return { operands: rest, state: { parents: "p" in has } };
  },
  call: (p, path) => p.sys("rmdir", path),
  failed: (path, errno) => `'${path}': ${errnoMessage(errno)}`,
});

const TYPES: { [letter: string]: number } = { b: 0o60000, c: 0o20000, u: 0o20000, p: 0o10000 };

function makedev(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 0x100 + (minor >>> 8) * 0x10_0000;
}

tool<{ path: string; mode: number; dev: number }>("mknod", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "m:");
  const [path, type, major = "0", minor = "0"] = rest;
  if (problem !== "" || type === undefined || !Object.hasOwn(TYPES, type) || (type !== "p" && rest.length !== 4)) {
    p.err("Usage: mknod [-m MODE] NAME TYPE [MAJOR MINOR]\n");
    return 1;
  }
  const mode = applyMode(has.m ?? "666", 0o666, false);
  if (mode === undefined || !/^[0-9]+$/.test(major) || !/^[0-9]+$/.test(minor)) return p.fail(`invalid number '${/^[0-9]+$/.test(major) ? minor : major}'`);
  return { path, mode: TYPES[type] | mode, dev: makedev(Number(major), Number(minor)) };
}, {
  make: (p, { path, mode, dev }) => p.sys("mknod", path, mode, dev),
  made: (p, { path }) => {
    if (p.ret >= 0) return 0;
    p.perror(path);
    return 1;
  },
});

operands<{ mode: number }>("mkfifo", "bin", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "m:");
    const mode = applyMode(has.m ?? "666", 0o666, false);
    if (problem !== "" || rest.length === 0 || mode === undefined) return p.fail(problem === "" ? "missing operand" : problem);
    return { operands: rest, state: { mode } };
  },
  call: (p, path, { mode }) => p.sys("mknod", path, 0o10000 | mode, 0),
  failed: (path, errno) => `${path}: ${errnoMessage(errno)}`,
});

interface TouchLocals {
  files: string[];
  next: number;
  create: boolean;
  status: number;
}

tool<TouchLocals>("touch", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "camd:r:t:");
  if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
  return { files: rest, next: 0, create: !("c" in has), status: 0 };
}, {
  next: (p, l) => (l.next >= l.files.length ? l.status : p.sys("utimensat", AT_FDCWD, l.files[l.next], 0, 0)),
  timed: (p, l) => {
    if (p.ret === -ENOENT && l.create) return p.open(l.files[l.next], O_WRONLY | O_CREAT | O_NONBLOCK, 0o666);
    return p.ret === -ENOENT ? to("advance") : p.ret < 0 ? NEXT : to("advance");
  },
  made: (p, l) => {
    if (p.ret >= 0) return p.sys("close", p.ret);
    p.perror(l.files[l.next]);
    l.status = 1;
    return NEXT;
  },
  advance: (_p, l) => {
    l.next++;
    return to("next");
  },
});
