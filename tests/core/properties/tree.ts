/** A model of a directory tree: names, inodes and bytes, and how a path is walked (path_resolution(7)). */

export interface Node {
  kind: "file" | "dir" | "link";
  bytes: Uint8Array;
  target: string;
  entries: Map<string, Node>;
  nlink: number;
  mode: number;
  /** A directory's own; null once it is removed. */
  parent: Node | null;
}

export function node(kind: Node["kind"], mode: number, more: Partial<Node> = {}): Node {
  return { kind, bytes: new Uint8Array(), target: "", entries: new Map(), nlink: kind === "dir" ? 2 : 1, mode, parent: null, ...more };
}

/** Where a path's last component belongs, and what is there. */
export interface Place {
  dir: Node;
  name: string;
  found: Node | null;
}

const MAX_LINKS = 40;

/** Walks a path without "." and ".."; `follow`: a link at the end too. An errno's name where it leads nowhere. */
export function walkPath(root: Node, path: string, follow: boolean, links = { count: 0 }): Place | string {
  if (path === "") return "ENOENT";
  const parts = path.split("/");
  let dir = root;
  for (const [at, name] of parts.entries()) {
    if (dir.kind !== "dir") return "ENOTDIR";
    const last = at === parts.length - 1;
    const found = dir.entries.get(name) ?? null;
    if (found?.kind === "link" && (follow || !last)) {
      if (links.count++ >= MAX_LINKS) return "ELOOP";
      const led = walkPath(dir, found.target, true, links);
      if (typeof led === "string" || last) return led;
      if (led.found === null) return "ENOENT";
      dir = led.found;
      continue;
    }
    if (last) return { dir, name, found };
    if (found === null) return "ENOENT";
    dir = found;
  }
  return "ENOENT";
}

/** Whether `node` is `of` or stands above it. */
export function above(one: Node, of: Node): boolean {
  for (let at: Node | null = of; at !== null; at = at.parent) if (at === one) return true;
  return false;
}

export function add({ dir, name }: Place, made: Node): void {
  dir.entries.set(name, made);
  if (made.kind === "dir") {
    made.parent = dir;
    dir.nlink++;
  }
}

/** Takes a name away, and a directory with it. */
export function drop({ dir, name, found }: Place): void {
  if (found === null) return;
  dir.entries.delete(name);
  if (found.kind === "dir") {
    dir.nlink--;
    found.nlink = 0;
    found.parent = null;
  } else found.nlink--;
}

/** rename(2), and with RENAME_NOREPLACE: an errno's name, or 0. */
export function rename(root: Node, from: string, onto: string, noReplace: boolean): string | number {
  const old = walkPath(root, from, false);
  // Both parents are walked before anything is looked at.
  const parent = walkPath(root, onto, false);
  if (typeof old === "string") return old;
  if (typeof parent === "string") return parent;
  const { found } = old;
  const target = parent.found;
  if (found === null) return "ENOENT";
  if (noReplace && target !== null) return "EEXIST";
  if (found.kind === "dir" && above(found, parent.dir) && old.dir !== parent.dir) return "EINVAL";
  if (target !== null && target.kind === "dir" && target !== old.dir.entries.get(old.name) && above(target, old.dir) && old.dir !== parent.dir) return "ENOTEMPTY";
  if (target === found) return 0;
  if (target !== null) {
    if (found.kind === "dir" && target.kind !== "dir") return "ENOTDIR";
    if (found.kind !== "dir" && target.kind === "dir") return "EISDIR";
    if (target.entries.size > 0) return "ENOTEMPTY";
    drop(parent);
  }
  old.dir.entries.delete(old.name);
  if (found.kind === "dir") old.dir.nlink--;
  add(parent, found);
  return 0;
}
