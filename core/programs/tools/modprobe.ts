/** modprobe and depmod of kmod: modules by name, with what they depend on, from modules.dep. */
import { EEXIST, ENOENT } from "../../abi/errno.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../../abi/fcntl.ts";
import { MODULES_DIRECTORY } from "../../abi/release.ts";
import { moduleNameOf, modprobeAlready, modprobeFailed, modprobeNotFound } from "../../module/messages.ts";
import { errnoMessage } from "../../abi/errno.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import { applet, printer, tool } from "../tool.ts";

interface ModprobeLocals {
  names: string[];
  params: string;
  remove: boolean;
  first: boolean;
  show: boolean;
  quiet: boolean;
  dep: string;
  /** Files still to be loaded, what they need first; or modules still to be removed. */
  files: string[];
  name: string;
  state: string;
  refcount: string;
  fd: number;
  status: number;
}

/** What modules.dep has for a module: its file, and those that it depends on. */
function entry(dep: string, name: string): { file: string; needs: string[] } | null {
  for (const line of dep.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0 || moduleNameOf(line.slice(0, colon)) !== name) continue;
    return { file: line.slice(0, colon), needs: line.slice(colon + 1).split(" ").filter((word) => word !== "") };
  }
  return null;
}

tool<ModprobeLocals>("modprobe", "sbin", (p, args) => {
  const { has, rest } = getopt(args, "raiqvnDfC:d:S:R", {
    remove: "r", "first-time": "1", "show-depends": "D", quiet: "q", verbose: "v", "dry-run": "n", all: "a",
  });
  const [name, ...params] = rest;
  if (name === undefined) {
    p.err("modprobe: ERROR: missing parameters. See -h.\n");
    return 1;
  }
  return {
    names: "r" in has || "a" in has ? rest : [name], params: "r" in has || "a" in has ? "" : params.join(" "), remove: "r" in has, first: "1" in has,
    show: "D" in has, quiet: "q" in has, dep: "", files: [], name: "", state: "", refcount: "", fd: -1, status: 0,
  };
}, {
  dep: () => slurp(`${MODULES_DIRECTORY}/modules.dep`, "dep"),
  next: (p, l) => {
    const given = l.names.shift();
    if (given === undefined) return l.status;
    l.name = given.replaceAll("-", "_");
    const found = entry(l.dep, l.name);
    if (found === null) {
      if (!l.quiet) p.err(`${modprobeNotFound(given)}\n`);
      l.status = 1;
      return to("next");
    }
    l.files = l.remove ? [found.file, ...found.needs] : [found.file, ...found.needs].reverse();
    if (l.show) {
      for (const file of l.files) p.out(`insmod ${MODULES_DIRECTORY}/${file} \n`);
      return to("next");
    }
    return l.remove ? to("users") : to("loaded");
  },

  loaded: (_p, l) => {
    const [file] = l.files;
    if (file === undefined) return to("next");
    l.state = "";
    return slurp(`/sys/module/${moduleNameOf(file)}/initstate`, "state");
  },
  open: (p, l) => {
    const [file] = l.files;
    if (p.ret < 0) return p.open(`${MODULES_DIRECTORY}/${file}`, O_CLOEXEC);
    l.files.shift();
    if (l.first && moduleNameOf(file) === l.name) {
      p.err(`${modprobeAlready(l.name)}\n`);
      l.status = 1;
    }
    return to("loaded");
  },
  insert: (p, l) => {
    l.fd = p.ret;
    const [file] = l.files;
    return p.ret < 0 ? NEXT : p.sys("finit_module", p.ret, moduleNameOf(file) === l.name ? l.params : "", 0);
  },
  inserted: (p, l) => {
    l.files.shift();
    if (p.ret < 0 && p.ret !== -EEXIST) {
      p.err(`${modprobeFailed(l.name, -p.ret)}\n`);
      l.status = 1;
      l.files = [];
    }
    return l.fd < 0 ? to("loaded") : p.sys("close", l.fd);
  },
  again: () => to("loaded"),

  users: (_p, l) => {
    const [file] = l.files;
    l.refcount = "";
    return file === undefined ? to("next") : slurp(`/sys/module/${moduleNameOf(file)}/refcnt`, "refcount");
  },
  remove: (p, l) => {
    const name = moduleNameOf(l.files[0]);
    const count = Number.parseInt(l.refcount, 10);
    if (p.ret === -ENOENT || count > 0) {
      l.files.shift();
      if (name === l.name && count > 0) {
        p.err(`modprobe: FATAL: Module ${name} is in use.\n`);
        l.status = 1;
        l.files = [];
      } else if (name === l.name && l.first) {
        p.err(`modprobe: FATAL: Module ${name} is not in kernel.\n`);
        l.status = 1;
      }
      return to("users");
    }
    return p.sys("delete_module", name, O_NONBLOCK);
  },
  removed: (p, l) => {
    const name = moduleNameOf(l.files.shift() ?? "");
    if (p.ret < 0) {
      p.err(`modprobe: ERROR: ../libkmod/libkmod-module.c:856 kmod_module_remove_module() could not remove '${name}': ${errnoMessage(-p.ret)}\n`
        + `modprobe: FATAL: Error removing module ${name}.\n`);
      l.status = 1;
      l.files = [];
    }
    return to("users");
  },
});

applet<{ name: string; dep: string }>("busybox modprobe", (p, args) => {
  const { rest } = getopt(args, "rqaDb");
  return rest.length === 0 ? p.fail("missing operand") : { name: rest[0], dep: "" };
}, {
  dep: () => slurp(`${MODULES_DIRECTORY}/modules.dep`, "dep"),
  find: (p, { dep, name }) => (entry(dep, name.replaceAll("-", "_")) === null ? p.fail(`module ${name} not found in modules.dep`) : p.fail("use /sbin/modprobe")),
});

/** The image that holds the modules brings its own modules.dep. */
printer("depmod", "sbin", () => 0);
