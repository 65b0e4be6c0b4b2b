/** cd and pwd: the working directory by the names that led there, or with -P as it lies. */
import { errnoMessage } from "../../abi/errno.ts";
import { enter, to } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { builtin } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { assign, shellOf, ShellProblem, valueOf } from "./state.ts";

const CWD_MAX = 4096;

/** `path` seen from `from`, without "." and ".."; as the shell walks back the way it came, not as links lie. */
function logical(from: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${from}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

interface CdLocals {
  /** As it was asked for, and where that leads; "" for where the kernel says. */
  path: string;
  now: string;
  told: boolean;
}

const cdSteps = shellSteps<CdLocals>("sh.cd", {
  go: (p, { path, now }) => p.sys("chdir", now === "" ? path : now),
  ask: (p, { path, now }) => {
    const { file, name } = shellOf(p);
    if (p.ret >= 0) return now === "" ? p.sys("getcwd", { room: CWD_MAX }, CWD_MAX) : to("set");
    p.err(`${name}: cd: ${file ? "" : "line 0: "}can't cd to ${path}: ${errnoMessage(-p.ret)}\n`);
    return to("failed");
  },
  physical: (p, l) => {
    l.now = p.ret > 0 ? p.text(p.ret - 1) : l.path;
    return to("set");
  },
  set: (p, { now, told }) => {
    const sh = shellOf(p);
    assign(sh, "OLDPWD", sh.cwd);
    assign(sh, "PWD", now, true);
    sh.cwd = now;
    if (told) p.out(`${now}\n`);
    return 0;
  },
  failed: () => 1,
});

builtin("cd", (_p, sh, args) => {
  const options = args.slice(0, args.findIndex((word) => !/^-[LP]+$/.test(word)) >>> 0);
  const rest = args.slice(options.length);
  const [word] = rest[0] === "--" ? rest.slice(1) : rest;
  const path = word === undefined ? valueOf(sh, "HOME") : word === "-" ? valueOf(sh, "OLDPWD") : word;
  if (path === undefined) throw new ShellProblem(word === undefined ? "cd: HOME not set" : "cd: OLDPWD not set");
  const asItLies = options.at(-1)?.endsWith("P") === true || (sh.cwd === "" && !path.startsWith("/"));
  return enter(cdSteps, { path: path === "" ? "." : path, now: asItLies ? "" : logical(sh.cwd, path), told: word === "-" });
});

const pwdSteps = shellSteps<object>("sh.pwd", {
  ask: (p) => p.sys("getcwd", { room: CWD_MAX }, CWD_MAX),
  tell: (p) => {
    if (p.ret < 0) {
      complain(p as Proc, `pwd: ${errnoMessage(-p.ret)}`);
      return 1;
    }
    p.out(`${p.text(p.ret - 1)}\n`);
    return 0;
  },
});

builtin("pwd", (p, sh, args) => {
  if (sh.cwd === "" || args[0] === "-P") return enter(pwdSteps, {});
  p.out(`${sh.cwd}\n`);
  return 0;
});
