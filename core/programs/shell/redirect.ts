/** Redirections: opened one after the other; the shell's own descriptors are put aside and come back. */
import { EBADF, EEXIST, ENOENT, ENOTDIR, errnoMessage } from "../../abi/errno.ts";
import { O_APPEND, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { isRegular } from "../../abi/stat.ts";
import { getI32 } from "../../lib/bytes.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import type { Redirection } from "./ast.ts";
import type { Field } from "./expand.ts";
import { complain, shellSteps } from "./message.ts";
import { shellOf } from "./state.ts";

/** A redirection with its word expanded. */
export interface Target {
  fd: number;
  op: string;
  text: string;
}

/** A descriptor that was put aside: where it lies, -1 when it was closed. */
export interface Saved {
  fd: number;
  at: number;
}

interface RedirectLocals {
  targets: Target[];
  next: number;
  saves: Saved[];
  keep: boolean;
  opened: number;
  pipe: number;
}

const F_DUPFD_CLOEXEC = 1030;
const SAVED_FROM = 10;
const MODE = 0o666;

export function targetsOf(redirections: Redirection[], singles: Field[]): Target[] {
  return redirections.map(({ fd, op }, at) => ({ fd, op, text: singles[at].text }));
}

/** Makes redirections; with `keep`, what they replace is left in `saves`. Answers 0, or 1 when one cannot be made. */
export function redirect(targets: Target[], keep: boolean): StepResult {
  return enter(redirectSteps, { targets, next: 0, saves: [], keep, opened: -1, pipe: -1 });
}

function opening(p: Proc, { op, text }: Target): StepResult {
  switch (op) {
    case "<": return p.open(text);
    case ">": case ">|": return p.open(text, O_WRONLY | O_CREAT | O_TRUNC, MODE);
    case ">>": return p.open(text, O_WRONLY | O_CREAT | O_APPEND, MODE);
    default: return p.open(text, O_RDWR | O_CREAT, MODE);
  }
}

const redirectSteps = shellSteps<RedirectLocals>("sh.redirect", {
  next: (p, l) => {
    if (l.next >= l.targets.length) {
      if (l.keep) p.give("saves", l.saves);
      return 0;
    }
    const target = l.targets[l.next];
    if (target.op === "<<") return to("document");
    if (target.op.endsWith("&")) {
      if (target.text === "-") return to("save");
      if (/^[0-9]{1,6}$/.test(target.text)) {
        p.frame.ret = Number(target.text);
        return NEXT;
      }
      complain(p as Proc, "bad fd number");
      return to("failed");
    }
    return target.op === ">" && shellOf(p).options.noclobber ? to("look") : opening(p as Proc, target);
  },
  opened: (p, l) => {
    const { op, text } = l.targets[l.next];
    l.opened = p.ret;
    if (p.ret >= 0) return to("save");
    const gone = p.ret === -ENOENT || p.ret === -ENOTDIR;
    if (op === "<") complain(p as Proc, `can't open ${text}: ${gone ? "no such file" : errnoMessage(-p.ret)}`);
    else complain(p as Proc, `can't create ${text}: ${gone ? "nonexistent directory" : errnoMessage(-p.ret)}`);
    return to("failed");
  },
  // What a here-document holds fits the pipe, or is cut.
  document: (p) => p.sys("pipe2", { room: 8 }, 0),
  documentPipe: (p, l) => {
    if (p.ret < 0) return to("failed");
    const bytes = p.took(8);
    l.opened = getI32(bytes, 0);
    l.pipe = getI32(bytes, 4);
    return p.write(l.pipe, l.targets[l.next].text.slice(0, 65_536));
  },
  documentEnd: (p, l) => p.sys("close", l.pipe),
  save: (p, l) => (l.keep ? p.sys("fcntl", l.targets[l.next].fd, F_DUPFD_CLOEXEC, SAVED_FROM) : to("move")),
  saved: (p, l) => {
    l.saves.push({ fd: l.targets[l.next].fd, at: p.ret >= 0 ? p.ret : -1 });
    return NEXT;
  },
  move: (p, l) => {
    const { fd, op, text } = l.targets[l.next];
    if (op.endsWith("&") && text === "-") return p.sys("close", fd);
    if (op.endsWith("&")) return p.sys("dup2", Number(text), fd);
    return l.opened === fd ? to("done") : p.sys("dup2", l.opened, fd);
  },
  moved: (p, l) => {
    const { op, text, fd } = l.targets[l.next];
    if (p.ret < 0 && op.endsWith("&") && text !== "-") {
      complain(p as Proc, `${text}: ${errnoMessage(EBADF)}`);
      return to("failed");
    }
    return op.endsWith("&") || l.opened === fd ? to("done") : p.sys("close", l.opened);
  },
  done: (_p, l) => {
    l.next++;
    return to("next");
  },

  // With -C a regular file is left as it is.
  look: (p, l) => p.statOf(l.targets[l.next].text),
  looked: (p, l) => {
    if (p.ret < 0 || !isRegular(p.stat().st_mode)) return opening(p as Proc, l.targets[l.next]);
    p.frame.ret = -EEXIST;
    return NEXT;
  },
  tried: () => to("opened"),

  failed: (p, l) => {
    if (l.keep) p.give("saves", l.saves);
    return 1;
  },
});

/** Puts back what redirections replaced. */
export function restore(saves: Saved[]): StepResult {
  return enter(restoreSteps, { saves });
}

const restoreSteps = shellSteps<{ saves: Saved[] }>("sh.restore", {
  next: (p, { saves }) => {
    const last = saves[saves.length - 1];
    if (last === undefined) return 0;
    return last.at < 0 ? p.sys("close", last.fd) : p.sys("dup2", last.at, last.fd);
  },
  close: (p, { saves }) => {
    const last = saves.pop();
    return last === undefined || last.at < 0 ? NEXT : p.sys("close", last.at);
  },
  more: () => to("next"),
});

