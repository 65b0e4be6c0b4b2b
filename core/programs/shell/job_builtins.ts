/** Builtins about jobs: wait, jobs, fg, bg, kill. */
import { ECHILD, EINTR, errnoMessage } from "../../abi/errno.ts";
import { SIGCONT, signalName } from "../../abi/signal.ts";
import { getI32, putU32 } from "../../lib/bytes.ts";
import { enter, NEXT, to, type StepResult } from "../../sched/steps.ts";
import type { Proc } from "../proc.ts";
import { builtin } from "./builtin.ts";
import { complain, shellSteps } from "./message.ts";
import { exitStatus, tellDeath, waitFor } from "./process.ts";
import { shellOf, ShellProblem, type Job, type ShellLocals } from "./state.ts";
import { signalOf } from "./builtins.ts";
import { pendingTrap } from "./traps.ts";

// Jobs.

interface WaitLocals {
  pids: number[];
  next: number;
  status: number;
  all: boolean;
}

const waitSteps = shellSteps<WaitLocals>("sh.waitfor", {
  next: (p, l) => {
    if (l.next >= l.pids.length) return l.status;
    const job = shellOf(p).jobs.find(({ pids }) => pids.includes(l.pids[l.next]));
    if (job !== undefined && job.status >= 0) {
      p.frame.ret = -ECHILD;
      l.status = exitStatus(job.status);
      return NEXT;
    }
    return p.sys("wait4", l.pids[l.next], { room: 4 }, 0, 0);
  },
  waited: (p, l) => {
    const sh = shellOf(p);
    if (p.ret === -EINTR) {
      const signal = pendingTrap(p);
      return signal === 0 ? to("next") : 128 + signal;
    }
    const pid = l.pids[l.next++];
    const known = sh.jobs.some(({ pids }) => pids.includes(pid));
    sh.jobs = sh.jobs.filter(({ pids }) => !pids.includes(pid));
    if (p.ret >= 0) {
      const status = getI32(p.took(4), 0);
      if (!l.all) tellDeath(p as Proc, status, true);
      l.status = exitStatus(status);
    } else if (!known) l.status = 127;
    if (l.all) l.status = 0;
    return to("next");
  },
});

function jobOf(sh: ShellLocals, word: string | undefined): Job {
  const last = sh.jobs[sh.jobs.length - 1];
  const found = word === undefined || ["%%", "%+", "%"].includes(word) ? last
    : word.startsWith("%") ? sh.jobs.find(({ number }) => number === Number(word.slice(1)))
    : sh.jobs.find(({ pids }) => pids.includes(Number(word)));
  if (found === undefined) throw new ShellProblem(`${word ?? "fg"}: no such job`);
  return found;
}

builtin("wait", (_p, sh, args) => {
  const pids = args.length === 0 ? sh.jobs.flatMap((job) => job.pids)
    : args.flatMap((word) => (word.startsWith("%") ? jobOf(sh, word).pids : [Number.parseInt(word, 10) || 0]));
  return enter(waitSteps, { pids, next: 0, status: 0, all: args.length === 0 });
});

const pollSteps = shellSteps<{ next: number }>("sh.poll", {
  next: (p, l) => {
    const job = shellOf(p).jobs[l.next];
    return job === undefined ? 0 : job.status >= 0 ? to("skip") : p.sys("wait4", job.pids[job.pids.length - 1], { room: 4 }, 3, 0);
  },
  polled: (p, l) => {
    const job = shellOf(p).jobs[l.next];
    if (p.ret > 0) {
      const status = getI32(p.took(4), 0);
      if ((status & 0xff) === 0x7f) job.stopped = true;
      else job.status = status;
      job.told = false;
    } else if (p.ret < 0) job.status = 0;
    return NEXT;
  },
  skip: (_p, l) => {
    l.next++;
    return to("next");
  },
});

/** Looks which background jobs have ended. */
export function pollJobs(): StepResult {
  return enter(pollSteps, { next: 0 });
}

/** `[1]+  Done                       sleep 1` for what has changed; those that ended are forgotten. */
export function tellJobs(p: Proc, sh: ShellLocals, all: boolean): string {
  let text = "";
  void p;
  for (const [index, job] of sh.jobs.entries()) {
    if (!all && job.told) continue;
    const over = job.status >= 0;
    if (!all && !over && !job.stopped) continue;
    const signal = job.status & 0x7f;
    const state = !over ? (job.stopped ? "Stopped" : "Running") : signal !== 0 ? signalName(signal).replace("SIG", "") : job.status === 0 ? "Done" : `Done(${job.status >> 8})`;
    text += `[${job.number}]${index === sh.jobs.length - 1 ? "+" : index === sh.jobs.length - 2 ? "-" : " "}  ${state.padEnd(26)} ${job.text}\n`;
    job.told = true;
  }
  sh.jobs = sh.jobs.filter(({ status }) => status < 0);
  return text;
}

const jobsSteps = shellSteps<object>("sh.jobs", {
  poll: () => pollJobs(),
  tell: (p) => {
    p.out(tellJobs(p as Proc, shellOf(p), true));
    return 0;
  },
});
builtin("jobs", () => enter(jobsSteps, {}));

const TIOCSPGRP = 0x5410;

const foregroundSteps = shellSteps<{ job: Job; background: boolean }>("sh.fg", {
  terminal: (p, { job, background }) => {
    p.out(`${job.text}\n`);
    const group = new Uint8Array(4);
    putU32(group, 0, Math.max(job.pgid, 0));
    return background || job.pgid < 0 ? NEXT : p.sys("ioctl", shellOf(p).terminal, TIOCSPGRP, group);
  },
  go: (p, { job }) => p.sys("kill", job.pgid < 0 ? job.pids[0] : -job.pgid, SIGCONT),
  wait: (p, { job, background }) => {
    const sh = shellOf(p);
    if (!background) {
      sh.jobs = sh.jobs.filter(({ number }) => number !== job.number);
      return waitFor(job.pids, job.pgid, job.text);
    }
    for (const one of sh.jobs) if (one.number === job.number) one.stopped = false;
    p.frame.ret = 0;
    return NEXT;
  },
  end: (p) => p.ret,
});

const copyOf = (job: Job): Job => ({ ...job, pids: [...job.pids] });
builtin("fg", (_p, sh, [word]) => enter(foregroundSteps, { job: copyOf(jobOf(sh, word)), background: false }));
builtin("bg", (_p, sh, [word]) => enter(foregroundSteps, { job: copyOf(jobOf(sh, word)), background: true }));

// kill

interface KillLocals {
  signal: number;
  words: string[];
  next: number;
  status: number;
}

const killSteps = shellSteps<KillLocals>("sh.kill", {
  next: (p, l) => {
    if (l.next >= l.words.length) return l.status;
    const word = l.words[l.next];
    if (word.startsWith("%")) {
      const job = jobOf(shellOf(p), word);
      return p.sys("kill", job.pgid < 0 ? job.pids[0] : -job.pgid, l.signal);
    }
    if (/^-?[0-9]{1,10}$/.test(word)) return p.sys("kill", Number(word), l.signal);
    complain(p as Proc, `invalid number '${word}'`);
    l.status = 1;
    return to("skip");
  },
  killed: (p, l) => {
    if (p.ret < 0) {
      complain(p as Proc, `can't kill pid ${l.words[l.next]}: ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    return NEXT;
  },
  skip: (_p, l) => {
    l.next++;
    return to("next");
  },
});

const LISTED = 31;

builtin("kill", (p, _sh, args) => {
  let [first = ""] = args;
  let words = args;
  let signal = 15;
  if (first === "-l") {
    const [, wanted] = args;
    if (wanted !== undefined) {
      const number = /^[0-9]{1,3}$/.test(wanted) ? Number(wanted) & 127 : signalOf(wanted);
      if (number < 0 || number > 64) {
        complain(p, `unknown signal '${wanted}'`);
        return 1;
      }
      p.out(`${number === Number(wanted) || Number(wanted) > 127 ? signalName(number).replace("SIG", "") : number}\n`);
    } else for (let number = 1; number <= LISTED; number++) p.out(`${String(number).padStart(2)}) ${signalName(number)}\n`);
    return 0;
  }
  if (/^-[^-0-9]|^-[0-9]+$/.test(first) && args.length > 1) {
    words = args.slice(1);
    if (first === "-s" || first === "-n") {
      first = `-${words[0] ?? ""}`;
      words = words.slice(1);
    }
    signal = signalOf(first.slice(1));
    if (signal < 0) {
      complain(p, `bad signal name '${first.slice(1)}'`);
      return 1;
    }
  }
  if (words[0] === "--") words = words.slice(1);
  if (words.length === 0) {
    complain(p, "you need to specify whom to kill");
    return 1;
  }
  return enter(killSteps, { signal, words, next: 0, status: 0 });
});

