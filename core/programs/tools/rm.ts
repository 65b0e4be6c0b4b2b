/** rm: files, and trees with -r. */
import { ENOENT, errnoMessage } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { isDirectory } from "../../abi/stat.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { getopt } from "../options.ts";
import { tool } from "../tool.ts";
import { walk, type Found } from "../walk.ts";

interface RmLocals {
  files: string[];
  recursive: boolean;
  force: boolean;
  file: string;
  found: Found[];
  status: number;
}

const AT_REMOVEDIR = 0x200;

tool<RmLocals>("rm", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "rRfiv", { recursive: "r", force: "f" });
  if (problem !== "") return p.fail(problem);
  if (rest.length === 0) return "f" in has ? 0 : p.fail("missing operand");
  return { files: rest, recursive: "r" in has || "R" in has, force: "f" in has, file: "", found: [], status: 0 };
}, {
  operand: (_p, l) => {
    const file = l.files.shift();
    if (file === undefined) return l.status;
    l.file = file;
    l.found = [];
    return walk(file, "found", { depth: l.recursive ? Infinity : 0 });
  },
  walked: (p, l) => {
    if (p.ret < 0 && !(l.force && p.ret === -ENOENT)) {
      p.warn(`can't remove '${l.file}': ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    if (p.ret < 0) return to("operand");
    if (isDirectory(l.found[0].mode) && !l.recursive) {
      p.warn(`'${l.file}' is a directory`);
      l.status = 1;
      return to("operand");
    }
    return NEXT;
  },
  // What is in a directory goes before it.
  each: (p, l) => {
    const last = l.found[l.found.length - 1];
    if (last === undefined) return to("operand");
    return p.sys("unlinkat", AT_FDCWD, last.path, isDirectory(last.mode) ? AT_REMOVEDIR : 0);
  },
  removed: (p, l) => {
    const last = l.found.pop();
    if (p.ret < 0 && last !== undefined && !(l.force && p.ret === -ENOENT)) {
      p.warn(`can't remove '${last.path}': ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    return to("each");
  },
});
