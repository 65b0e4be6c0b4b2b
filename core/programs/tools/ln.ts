/** ln, readlink and realpath. */
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { isDirectory } from "../../abi/stat.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { getopt } from "../options.ts";
import type { Proc, ToolStep } from "../proc.ts";
import { tool } from "../tool.ts";

interface LnLocals {
  targets: string[];
  place: string;
  directory: boolean;
  symbolic: boolean;
  force: boolean;
  path: string;
  status: number;
}

const baseName = (path: string): string => path.replace(/\/+$/, "").replace(/^.*\//, "");

tool<LnLocals>("ln", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "sfnv", { symbolic: "s", force: "f" });
  if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
  const place = rest.length === 1 ? `./${baseName(rest[0])}` : (rest[rest.length - 1]);
  const targets = rest.length === 1 ? rest : rest.slice(0, -1);
  return { targets, place, directory: false, symbolic: "s" in has, force: "f" in has, path: "", status: 0 };
}, {
  look: (p, { place }) => p.statOf(place),
  looked: (p, l) => {
    l.directory = p.ret >= 0 && isDirectory(p.stat().st_mode);
    return NEXT;
  },
  next: (p, l) => {
    const [target] = l.targets;
    if (target === undefined) return l.status;
    l.path = l.directory ? `${l.place.replace(/\/+$/, "")}/${baseName(target)}` : l.place;
    return l.force ? p.sys("unlink", l.path) : NEXT;
  },
  link: (p, { symbolic, targets, path }) => (symbolic ? p.sys("symlink", targets[0], path) : p.sys("linkat", AT_FDCWD, targets[0], AT_FDCWD, path, 0)),
  linked: (p, l) => {
    const target = l.targets.shift() ?? "";
    if (p.ret < 0) {
      p.perror(l.symbolic ? l.path : p.ret === -2 ? target : l.path);
      l.status = 1;
    }
    return to("next");
  },
});

const LINK_MAX = 4096;
const O_PATH = 0o10000000;

interface ReadlinkLocals {
  files: string[];
  canonical: boolean;
  newline: boolean;
  fd: number;
  status: number;
}

const places: { [step: string]: ToolStep<ReadlinkLocals> } = {
  next: (p, l) => {
    const [file] = l.files;
    if (file === undefined) return l.status;
    return l.canonical ? p.open(file, O_PATH) : p.sys("readlink", file, { room: LINK_MAX }, LINK_MAX);
  },
  opened: (p, l) => {
    if (!l.canonical) return to("told");
    l.fd = p.ret;
    return p.ret < 0 ? to("told") : p.sys("readlink", `/proc/self/fd/${p.ret}`, { room: LINK_MAX }, LINK_MAX);
  },
  told: (p, l) => {
    const file = l.files.shift() ?? "";
    if (p.ret < 0) {
      l.status = 1;
      if (p.name === "realpath") p.perror(file);
    } else p.out(p.text(p.ret) + (l.newline ? "\n" : ""));
    if (l.fd < 0) return to("next");
    const { fd } = l;
    l.fd = -1;
    return p.sys("close", fd);
  },
  more: () => to("next"),
};

function placesOf(p: Proc, args: string[]): ReadlinkLocals | number {
  const { has, rest, problem } = getopt(args, "fnevms");
  if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
  return { files: rest, canonical: "f" in has || "e" in has || "m" in has || p.name === "realpath", newline: !("n" in has), fd: -1, status: 0 };
}

tool<ReadlinkLocals>("readlink", "bin", placesOf, places);
tool<ReadlinkLocals>("realpath", "bin", placesOf, places);
