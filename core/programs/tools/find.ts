/** find: -name, -type, -maxdepth, -mindepth, -print, -delete; stat and du. */
import { errnoMessage } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { isDirectory, S_IFMT } from "../../abi/stat.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { modeText } from "../listing.ts";
import { operands } from "../operands.ts";
import { getopt } from "../options.ts";
import { matches } from "../shell/pattern.ts";
import { tool } from "../tool.ts";
import { walk, type Found } from "../walk.ts";

interface FindLocals {
  roots: string[];
  tests: [name: string, value: string][];
  depth: number;
  from: number;
  root: string;
  found: Found[];
  remove: boolean;
  status: number;
}

const TYPES: { [letter: string]: number } = { f: 0o100000, d: 0o40000, l: 0o120000, c: 0o20000, b: 0o60000, p: 0o10000, s: 0o140000 };

function passes({ name, path, mode, size }: Found, tests: FindLocals["tests"]): boolean {
  return tests.every(([test, value]) => {
    switch (test) {
      case "-name": return matches(value, name.replace(/\/+$/, "").replace(/^.+\//, "") || name);
      case "-iname": return matches(value.toLowerCase(), name.toLowerCase());
      case "-path": return matches(value, path);
      case "-type": return (mode & S_IFMT) === TYPES[value];
      case "-empty": return size === 0;
      default: return true;
    }
  });
}

tool<FindLocals>("find", "bin", (p, args) => {
  const first = args.findIndex((word) => word.startsWith("-"));
  const roots = first < 0 ? args : args.slice(0, first);
  const l: FindLocals = { roots: roots.length === 0 ? ["."] : [...roots], tests: [], depth: Infinity, from: 0, root: "", found: [], remove: false, status: 0 };
  let most = -1;
  for (let at = first < 0 ? args.length : first; at < args.length; at++) {
    const word = args[at];
    if (["-name", "-iname", "-path", "-type", "-maxdepth", "-mindepth"].includes(word)) {
      const value = args[++at];
      if (value === undefined) return p.fail(`missing argument to '${word}'`);
      if (word === "-maxdepth") most = Number(value);
      else if (word === "-mindepth") l.from = Number(value);
      else l.tests.push([word, value]);
    } else if (word === "-empty") l.tests.push([word, ""]);
    else if (word === "-delete") l.remove = true;
    else if (word !== "-print" && word !== "-xdev") return p.fail(`unrecognized: ${word}`);
  }
  return { ...l, depth: most };
}, {
  root: (_p, l) => {
    const root = l.roots.shift();
    if (root === undefined) return l.status;
    l.root = root;
    l.found = [];
    return walk(root, "found", l.depth < 0 ? {} : { depth: l.depth });
  },
  walked: (p, l) => {
    if (p.ret < 0) {
      p.perror(l.root);
      l.status = 1;
    }
    l.found = l.found.filter((one) => one.depth >= l.from && passes(one, l.tests));
    if (l.remove) return NEXT;
    for (const { path } of l.found) p.out(`${path}\n`);
    return to("root");
  },
  remove: (p, l) => {
    const last = l.found.pop();
    return last === undefined ? to("root") : p.sys("unlinkat", AT_FDCWD, last.path, isDirectory(last.mode) ? 0x200 : 0);
  },
  removed: () => to("remove"),
});

const KINDS: { [type: number]: string } = {
  0o140000: "socket", 0o120000: "symbolic link", 0o100000: "regular file", 0o60000: "block special file", 0o40000: "directory", 0o20000: "character special file", 0o10000: "fifo",
};

operands<{ format: string | null; follow: boolean }>("stat", "bin", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "c:Lft", { format: "c", dereference: "L" });
    if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
    return { operands: rest, state: { format: has.c ?? null, follow: "L" in has } };
  },
  call: (p, path, { follow }) => p.statOf(path, { link: !follow }),
  failed: (path, errno) => `can't stat '${path}': ${errnoMessage(errno)}`,
  done: (p, path, { format }) => {
    const s = p.stat();
    const major = Math.floor(Number(s.st_rdev) / 256) % 4096;
    const minor = (Number(s.st_rdev) % 256) + Math.floor(Number(s.st_rdev) / 2 ** 20) * 256;
    const values: { [letter: string]: string } = {
      n: path, N: `'${path}'`, s: String(s.st_size), b: String(s.st_blocks), B: "512", f: s.st_mode.toString(16), F: (s.st_mode & S_IFMT) === 0o100000 && Number(s.st_size) === 0 ? "regular empty file" : (KINDS[s.st_mode & S_IFMT] ?? "?"),
      u: String(s.st_uid), U: s.st_uid === 0 ? "root" : String(s.st_uid), g: String(s.st_gid), G: s.st_gid === 0 ? "root" : String(s.st_gid), i: String(s.st_ino), h: String(s.st_nlink),
      a: (s.st_mode & 0o7777).toString(8), A: modeText(s.st_mode), t: major.toString(16), T: minor.toString(16), d: String(s.st_dev), o: String(s.st_blksize),
      X: String(s.st_atim.tv_sec), Y: String(s.st_mtim.tv_sec), Z: String(s.st_ctim.tv_sec),
    };
    if (format !== null) {
      p.out(`${format.replace(/%([A-Za-z])/g, (whole, letter: string) => values[letter] ?? whole)}\n`);
      return;
    }
    p.out(`  File: ${path}\n  Size: ${values.s.padEnd(10)}\tBlocks: ${values.b.padEnd(10)} IO Block: ${values.o.padEnd(6)} ${values.F}\n`
      + `Device: ${Number(s.st_dev).toString(16)}h/${values.d}d\tInode: ${values.i.padEnd(10)}  Links: ${values.h}${(s.st_mode & S_IFMT) === 0o20000 ? `     Device type: ${values.t},${values.T}` : ""}\n`
      + `Access: (${(s.st_mode & 0o7777).toString(8).padStart(4, "0")}/${values.A})  Uid: (${values.u.padStart(5)}/${values.U.padStart(8)})   Gid: (${values.g.padStart(5)}/${values.G.padStart(8)})\n`);
  },
});
