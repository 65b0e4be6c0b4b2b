/** /bin/master and /bin/slave: the first lab's programs, started by execve. */
import type { StepTable } from "../sched/steps.ts";
import { listProgram } from "./image.ts";
import { master } from "./master.ts";
import { MAIN } from "./proc.ts";
import { slave } from "./slave.ts";
import { applet, mainLocals } from "./tool.ts";
import { vdevLocals, type VdevLocals } from "./vdev_common.ts";

function list(name: string, table: StepTable<VdevLocals>, tail: number, usage: string): void {
  applet<object>(`${name} usage`, (p) => {
    p.err(`usage: ${usage}\n`);
    return 1;
  }, { done: () => 0 });
  listProgram(name, "bin", (argv, env) => {
    const locals = vdevLocals({ argv }, tail);
    if (typeof locals === "string") return { code: MAIN, locals: mainLocals(`${name} usage`, argv, env) };
    return { code: table.name, locals };
  });
}

list("master", master, 1, "master N FILE... METHOD");
list("slave", slave, 2, "slave N FILE... METHOD IP");
