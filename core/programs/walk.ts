/** Walking a tree: everything below a path, each directory before what is in it. */
import { isDirectory } from "../abi/stat.ts";
import { enter, NEXT, to, type StepResult } from "../sched/steps.ts";
import { readdir, type Entry } from "./files_lib.ts";
import { programSteps, type Stat } from "./proc.ts";

export interface Found {
  path: string;
  name: string;
  depth: number;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  ino: number;
  dev: number;
  blocks: number;
  mtime: number;
}

interface WalkLocals {
  into: string;
  pending: { path: string; name: string; depth: number }[];
  found: Found[];
  entries: Entry[];
  follow: boolean;
  limit: number;
  result: number;
}

const FOUND_MAX = 100_000;

/** Leaves what was found in `into`. The result is that of the path itself: 0 or its errno; what vanishes below is left out. */
export function walk(path: string, into: string, { depth = Infinity, follow = false } = {}): StepResult {
  const limit = depth === Infinity ? -1 : depth;
  return enter(walkSteps, { into, pending: [{ path, name: path, depth: 0 }], found: [], entries: [], follow, limit, result: 0 });
}

export function foundOf(stat: Stat, { path, name, depth }: { path: string; name: string; depth: number }): Found {
  return {
    path, name, depth, mode: stat.st_mode, uid: stat.st_uid, gid: stat.st_gid, size: Number(stat.st_size), ino: Number(stat.st_ino), dev: Number(stat.st_dev),
    blocks: Number(stat.st_blocks), mtime: Number(stat.st_mtim.tv_sec),
  };
}

const walkSteps = programSteps<WalkLocals>("lib.walk", {
  next: (p, l) => {
    const [one] = l.pending;
    if (one !== undefined && l.found.length < FOUND_MAX) return p.statOf(one.path, { link: !l.follow || one.depth > 0 });
    p.give(l.into, l.found);
    return l.result;
  },
  seen: (p, l) => {
    const one = l.pending.shift();
    if (one === undefined) return to("next");
    if (p.ret < 0) {
      if (one.depth === 0) l.result = p.ret;
      return to("next");
    }
    const found = foundOf(p.stat(), one);
    l.found.push(found);
    if (!isDirectory(found.mode) || (l.limit >= 0 && one.depth >= l.limit)) return to("next");
    l.entries = [];
    return readdir(one.path, "entries");
  },
  listed: (_p, l) => {
    const { path, depth } = l.found[l.found.length - 1];
    const prefix = path.endsWith("/") ? path : `${path}/`;
    const below = l.entries.filter(({ name }) => name !== "." && name !== "..").map(({ name }) => ({ path: prefix + name, name, depth: depth + 1 }));
    l.pending.unshift(...below);
    return NEXT;
  },
  more: () => to("next"),
});

