/** strace of one program: each of its calls is a line on stderr. Differs from Linux: what the program starts is not followed. */
import { getI32 } from "../../lib/bytes.ts";
import { signalName } from "../../abi/signal.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { cannotRun, execvp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import { exitStatus } from "../shell/process.ts";
import { tool, TRACED } from "../tool.ts";

tool<{ argv: string[]; pid: number; status: number }>("strace", "bin", (p, args) => {
  const { rest, problem } = getopt(args, "+fqe:o:s:ttvxcT", {});
  if (problem !== "") return p.fail(problem);
  return rest.length === 0 ? p.fail("must have PROG [ARGS] or -p PID") : { argv: rest, pid: 0, status: 0 };
}, {
  fork: (p) => p.sys("fork"),
  forked: (p, l) => {
    l.pid = p.ret;
    if (p.ret < 0) return p.fail("fork: Resource temporarily unavailable");
    return p.ret === 0 ? execvp(p, l.argv, [...p.main.env, TRACED]) : to("wait");
  },
  failed: (p, { argv }) => p.sys("exit_group", cannotRun(p, argv[0])),
  wait: (p, { pid }) => p.sys("wait4", pid, { room: 4 }, 0, 0),
  waited: (p, l) => {
    l.status = getI32(p.took(4), 0);
    const signal = l.status & 0x7f;
    p.err(signal === 0 ? `+++ exited with ${exitStatus(l.status)} +++\n` : `+++ killed by ${signalName(signal)} +++\n`);
    return NEXT;
  },
  end: (_p, { status }) => exitStatus(status),
});
