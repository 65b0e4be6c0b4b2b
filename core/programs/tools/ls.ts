/** ls as busybox prints it: names in columns on a terminal, one a line elsewhere, and -l, -a, -A, -d, -i, -R, -1, -n, -h, -r, -t, -S, -F. */
import { errnoMessage } from "../../abi/errno.ts";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { isCharDevice, isBlockDevice, isDirectory, isSymlink } from "../../abi/stat.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { readdir, slurp, type Entry } from "../files_lib.ts";
import { ownerName, parseNames, modeText, shortTime } from "../listing.ts";
import { getopt } from "../options.ts";
import type { Proc } from "../proc.ts";
import { tool } from "../tool.ts";

interface Item {
  name: string;
  path: string;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  size: number;
  rdev: number;
  ino: number;
  blocks: number;
  mtime: number;
  target: string | null;
}

interface LsLocals {
  has: { [letter: string]: string };
  operands: string[];
  next: number;
  /** What is listed together: files named as operands, or the entries of a directory. */
  items: Item[];
  directories: string[];
  /** Directories told so far; more than one operand, or -R, gives them headings. */
  headings: boolean;
  told: boolean;
  directory: string;
  entries: Entry[];
  index: number;
  item: Item | null;
  linkError: string;
  users: string;
  groups: string;
  now: number;
  status: number;
}

/** Listed together at most. */
const ITEMS_MAX = 100_000;
const MINOR_BITS = 20;

function begin(p: Proc, args: string[]): LsLocals | number {
  const { has, rest, problem } = getopt(args, "laAdiR1nhrtSFCsLxpgoc", { all: "a", recursive: "R", color: "\0" });
  if (problem !== "") return p.fail(problem);
  return {
    has, operands: rest.length === 0 ? ["."] : rest, next: 0, items: [], directories: [], headings: rest.length > 1 || "R" in has, told: false,
    directory: "", entries: [], index: 0, item: null, linkError: "", users: "", groups: "", now: 0, status: 0,
  };
}

function itemOf(p: Proc, name: string, path: string): Item {
  const stat = p.stat();
  return {
    name, path, mode: stat.st_mode, nlink: Number(stat.st_nlink), uid: stat.st_uid, gid: stat.st_gid, size: Number(stat.st_size),
    rdev: Number(stat.st_rdev), ino: Number(stat.st_ino), blocks: Number(stat.st_blocks), mtime: Number(stat.st_mtim.tv_sec), target: null,
  };
}

function compare({ has }: LsLocals): (a: Item, b: Item) => number {
  const byName = (a: Item, b: Item): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const order = "S" in has ? (a: Item, b: Item) => b.size - a.size || byName(a, b)
    : "t" in has ? (a: Item, b: Item) => b.mtime - a.mtime || byName(a, b) : byName;
  return "r" in has ? (a, b) => order(b, a) : order;
}

function human(size: number): string {
  const units = ["", "K", "M", "G", "T"];
  let unit = 0;
  let value = size;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? String(size) : `${value.toFixed(1)}${units[unit]}`;
}

function suffix({ mode }: Item, has: LsLocals["has"]): string {
  if (!("F" in has) && !("p" in has)) return "";
  if (isDirectory(mode)) return "/";
  if ("p" in has) return "";
  return isSymlink(mode) ? "@" : (mode & 0o170000) === 0o10000 ? "|" : (mode & 0o170000) === 0o140000 ? "=" : (mode & 0o111) !== 0 ? "*" : "";
}

/** One line of -l, as busybox lays it out. */
function longLine(l: LsLocals, item: Item): string {
  const { has } = l;
  const numeric = "n" in has;
  const user = numeric ? String(item.uid) : ownerName(parseNames(l.users), item.uid);
  const group = numeric ? String(item.gid) : ownerName(parseNames(l.groups), item.gid);
  const device = isCharDevice(item.mode) || isBlockDevice(item.mode);
  const size = device ? `${String(majorOf(item.rdev)).padStart(4)}, ${String(minorOf(item.rdev)).padStart(3)}`
    : ("h" in has ? human(item.size) : String(item.size)).padStart(9);
  const inode = "i" in has ? `${String(item.ino).padStart(7)} ` : "";
  const blocks = "s" in has ? `${String(Math.ceil(item.blocks / 2)).padStart(6)} ` : "";
  const line = `${inode}${blocks}${modeText(item.mode)} ${String(item.nlink).padStart(4)} ${user.padEnd(8)} ${group.padEnd(8)} ${size} ${shortTime(item.mtime, l.now)} ${item.name}`;
  return item.target === null ? line + suffix(item, has) : `${line} -> ${item.target}`;
}

const majorOf = (rdev: number): number => Math.floor(rdev / 256) % 4096;
const minorOf = (rdev: number): number => (rdev % 256) + Math.floor(rdev / 2 ** MINOR_BITS) * 256;

function print(p: Proc, l: LsLocals): void {
  const { has } = l;
  const items = l.items.sort(compare(l));
  if ("l" in has || "n" in has || "g" in has || "o" in has) {
    for (const item of items) p.out(`${longLine(l, item)}\n`);
    return;
  }
  const cells = items.map((item) => `${"i" in has ? `${String(item.ino).padStart(7)} ` : ""}${"s" in has ? `${String(Math.ceil(item.blocks / 2)).padStart(6)} ` : ""}${item.name}${suffix(item, has)}`);
  if (!p.main.tty && !("C" in has) || "1" in has) {
    for (const cell of cells) p.out(`${cell}\n`);
    return;
  }
  const width = Math.max(0, ...cells.map((cell) => cell.length)) + 2;
  const columns = Math.max(1, Math.floor(80 / width));
  const rows = Math.ceil(cells.length / columns);
  for (let row = 0; row < rows; row++) {
    let line = "";
    for (let at = row; at < cells.length; at += rows) line = `${line.padEnd(Math.floor(at / rows) * width)}${cells[at]}`;
    p.out(`${line}\n`);
  }
}

const isHidden = (name: string, has: LsLocals["has"]): boolean =>
  name.startsWith(".") && !("a" in has) && !("A" in has && name !== "." && name !== "..");

tool<LsLocals>("ls", "bin", begin, {
  users: (_p, { has }) => ("l" in has ? slurp("/etc/passwd", "users") : to("operand")),
  groups: () => slurp("/etc/group", "groups"),
  clock: (p) => p.sys("clock_gettime", 0, { room: 16 }),
  now: (p, l) => {
    l.now = Number(new DataView(p.took(8).slice().buffer).getBigInt64(0, true));
    return NEXT;
  },
  operand: (p, l) => {
    if (l.next >= l.operands.length) return to("files");
    return p.statOf(l.operands[l.next], { link: true });
  },
  operandSeen: (p, l) => {
    const path = l.operands[l.next];
    // A link on the command line is followed, unless the links themselves are listed.
    if (p.ret >= 0 && isSymlink(p.stat().st_mode) && !("l" in l.has) && !("d" in l.has)) return p.statOf(path);
    return NEXT;
  },
  operandTaken: (p, l) => {
    const path = l.operands[l.next++];
    if (p.ret < 0) {
      p.perror(path);
      l.status = 1;
      return to("operand");
    }
    const item = itemOf(p, path, path);
    if (isDirectory(item.mode) && !("d" in l.has)) {
      l.directories.push(path);
      return to("operand");
    }
    l.item = item;
    if (!isSymlink(item.mode)) return to("addOperand");
    return p.sys("readlinkat", AT_FDCWD, path, { room: 4096 }, 4096);
  },
  addOperand: (p, l) => {
    if (l.item !== null) {
      if (isSymlink(l.item.mode)) l.item.target = linkTarget(p, l.item.path);
      l.items.push(l.item);
    }
    l.item = null;
    return to("operand");
  },
  files: (p, l) => {
    if (l.items.length > 0) {
      print(p, l);
      l.told = true;
    }
    l.items = [];
    return NEXT;
  },
  directory: (_p, l) => {
    const path = l.directories.shift();
    if (path === undefined) return l.status;
    l.directory = path;
    l.entries = [];
    l.index = 0;
    return readdir(path, "entries");
  },
  opened: (p, l) => {
    if (p.ret < 0) {
      p.warn(`can't open '${l.directory}': ${errnoMessage(-p.ret)}`);
      l.status = 1;
      return to("directory");
    }
    if (l.entries.length > ITEMS_MAX) l.entries.length = ITEMS_MAX;
    l.entries = l.entries.filter(({ name }) => !isHidden(name, l.has));
    return NEXT;
  },
  entry: (p, l) => {
    if (l.index >= l.entries.length) return to("told");
    const { name } = l.entries[l.index];
    return p.statOf(join(l.directory, name), { link: true });
  },
  entrySeen: (p, l) => {
    const { name } = l.entries[l.index++];
    const path = join(l.directory, name);
    if (p.ret < 0) {
      p.perror(path);
      l.status = 1;
      return to("entry");
    }
    l.item = itemOf(p, name, path);
    if (!isSymlink(l.item.mode) || !("l" in l.has)) return to("addEntry");
    return p.sys("readlinkat", AT_FDCWD, path, { room: 4096 }, 4096);
  },
  addEntry: (p, l) => {
    if (l.item !== null) {
      if (isSymlink(l.item.mode) && "l" in l.has) {
        if (p.ret < 0) {
          p.warn(`${l.item.path}: cannot read link: ${errnoMessage(-p.ret)}`);
          l.status = 1;
        } else l.item.target = p.text(p.ret);
      }
      l.items.push(l.item);
    }
    l.item = null;
    return to("entry");
  },
  told: (p, l) => {
    if (l.headings) p.out(`${l.told ? "\n" : ""}${l.directory}:\n`);
    l.told = true;
    if ("l" in l.has) p.out(`total ${Math.ceil(l.items.reduce((sum, { blocks }) => sum + blocks, 0) / 2)}\n`);
    print(p, l);
    if ("R" in l.has) {
      const below = l.items.filter(({ mode, name }) => isDirectory(mode) && name !== "." && name !== "..").map(({ path }) => path);
      l.directories.unshift(...below);
    }
    l.items = [];
    return to("directory");
  },
});

function linkTarget(p: Proc, path: string): string | null {
  if (p.ret >= 0) return p.text(p.ret);
  p.warn(`${path}: cannot read link: ${errnoMessage(-p.ret)}`);
  return null;
}

function join(directory: string, name: string): string {
  return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}
