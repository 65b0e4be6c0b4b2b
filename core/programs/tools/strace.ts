/**
 * strace: each call of a program is a line on its stderr; with -f its children's are, too, and -e names the calls.
 * Differs from Linux: who sends its stderr elsewhere takes its lines along.
 */
import { getI32 } from "../../lib/bytes.ts";
import { signalName } from "../../abi/signal.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { cannotRun, execvp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import { exitStatus } from "../shell/process.ts";
import { tool } from "../tool.ts";
import { traceMark } from "../trace.ts";

interface StraceLocals {
  argv: string[];
  follow: boolean;
  calls: string[];
  pid: number;
  status: number;
}

tool<StraceLocals>("strace", "bin", (p, args) => {
  const { has, all, rest, problem } = getopt(args, "+fqe:s:ttvxT", {});
  if (problem !== "") return p.fail(problem);
  if (rest.length === 0) return p.fail("must have PROG [ARGS]");
  const calls = all.filter(([letter]) => letter === "e").flatMap(([, value]) => value.replace(/^t(race)?=/, "").split(","));
  const unknown = calls.find((call) => !p.k.tables.syscallNames.has(call));
  if (unknown !== undefined) return p.fail(`invalid system call '${unknown}'`);
  return { argv: rest, follow: "f" in has, calls, pid: 0, status: 0 };
}, {
  fork: (p) => p.sys("fork"),
  forked: (p, l) => {
    l.pid = p.ret;
    if (p.ret < 0) return p.fail("fork: Resource temporarily unavailable");
    if (p.ret > 0) return to("wait");
    return execvp(p, l.argv, [...p.main.env, traceMark({ pid: p.task.tgid, follow: l.follow, calls: l.calls })]);
  },
  failed: (p, { argv }) => cannotRun(p, argv[0]),
  wait: (p, { pid }) => p.sys("wait4", pid, { room: 4 }, 0, 0),
  waited: (p, l) => {
    l.status = getI32(p.took(4), 0);
    const signal = l.status & 0x7f;
    p.err(signal === 0 ? `+++ exited with ${exitStatus(l.status)} +++\n` : `+++ killed by ${signalName(signal)} +++\n`);
    return NEXT;
  },
  end: (_p, { status }) => exitStatus(status),
});
