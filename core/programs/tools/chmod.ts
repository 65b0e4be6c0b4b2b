/** chmod, chown, chgrp: modes and owners, with -R of everything below. */
import { AT_FDCWD } from "../../abi/fcntl.ts";
import { isDirectory, isSymlink } from "../../abi/stat.ts";
import { NEXT, to, type StepResult } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { applyMode } from "../mode.ts";
import { getopt } from "../options.ts";
import { parseNames } from "../listing.ts";
import type { Proc, ToolStep } from "../proc.ts";
import { tool } from "../tool.ts";
import { walk, type Found } from "../walk.ts";

interface ChangeLocals {
  what: string;
  files: string[];
  recursive: boolean;
  found: Found[];
  users: string;
  groups: string;
  uid: number;
  gid: number;
  file: string;
  status: number;
}

function begin(name: string): (p: Proc, args: string[]) => ChangeLocals | number {
  return (p, args) => {
    const options = args.map((word) => (name === "chmod" && /^-[rwxXst]/.test(word) && !word.includes("R") ? `\0${word}` : word));
    const { has, rest, problem } = getopt(options, "RvcfhLHP", { recursive: "R" });
    if (problem !== "" || rest.length < 2) return p.fail(problem === "" ? "missing operand" : problem);
    const [what, ...files] = rest;
    return { what: what.replace("\0", ""), files, recursive: "R" in has, found: [], users: "", groups: "", uid: -1, gid: -1, file: "", status: 0 };
  };
}

/** The steps of a tool that changes something of each file; `change` makes the call. */
function each(change: (p: Proc, found: Found, l: ChangeLocals) => StepResult): { [step: string]: ToolStep<ChangeLocals> } {
  return {
    operand: (_p, l) => {
      const file = l.files.shift();
      if (file === undefined) return l.status;
      l.file = file;
      l.found = [];
      return walk(file, "found", { depth: l.recursive ? Infinity : 0, follow: true });
    },
    walked: (p, l) => {
      if (p.ret >= 0) return NEXT;
      p.perror(l.file);
      l.status = 1;
      return to("operand");
    },
    each: (p, l) => (l.found.length === 0 ? to("operand") : isSymlink(l.found[0].mode) ? to("skip") : change(p as Proc, l.found[0], l)),
    changed: (p, l) => {
      if (p.ret < 0) {
        p.perror(l.found[0].path);
        l.status = 1;
      }
      return NEXT;
    },
    skip: (_p, l) => {
      l.found.shift();
      return to("each");
    },
  };
}

tool<ChangeLocals>("chmod", "bin", begin("chmod"), {
  check: (p, { what }) => (applyMode(what, 0, false) === undefined ? p.fail(`invalid mode '${what}'`) : NEXT),
  ...each((p, { path, mode }, { what }) => p.sys("fchmodat", AT_FDCWD, path, applyMode(what, mode, isDirectory(mode)) ?? mode)),
});

function idOf(text: string, names: string): number | undefined {
  if (text === "") return -1;
  const known = [...parseNames(names)].find(([, name]) => name === text)?.[0] ?? (text === "root" ? 0 : undefined);
  return known ?? (/^[0-9]{1,10}$/.test(text) ? Number(text) : undefined);
}

const owners: { [step: string]: ToolStep<ChangeLocals> } = {
  users: () => slurp("/etc/passwd", "users"),
  groups: () => slurp("/etc/group", "groups"),
};
const apply = each((p, { path }, { uid, gid }) => p.sys("fchownat", AT_FDCWD, path, uid, gid, 0));

tool<ChangeLocals>("chown", "bin", begin("chown"), {
  ...owners,
  resolve: (p, l) => {
    const [user, group = ""] = l.what.split(/[:.]/);
    const [uid, gid] = [idOf(user, l.users), idOf(group, l.groups)];
    if (uid === undefined) return p.fail(`unknown user ${user}`);
    if (gid === undefined) return p.fail(`unknown group ${group}`);
    [l.uid, l.gid] = [uid, gid];
    return NEXT;
  },
  ...apply,
});

tool<ChangeLocals>("chgrp", "bin", begin("chgrp"), {
  ...owners,
  resolve: (p, l) => {
    const gid = idOf(l.what, l.groups);
    if (gid === undefined) return p.fail(`unknown group ${l.what}`);
    l.gid = gid;
    return NEXT;
  },
  ...apply,
});
