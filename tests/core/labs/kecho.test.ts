/** kecho where something is missing: what it has made by then is given back. */
import { expect, test } from "vitest";
import { PROCESS_LIMIT } from "../../../core/process/limits.ts";
import { CoreMachine } from "../../helpers/core.ts";

test("without room for the daemon the module fails, and leaves neither port nor queue", async () => {
  const m = new CoreMachine();
  const pid = await m.createProcess();
  const load = (): unknown => {
    const { ret: fd } = m.callNow(pid, "openat", { pathname: "/lib/modules/6.1.0-syslab/corrected/kecho.ko", flags: "O_RDONLY" }) as { ret: number };
    const answer = m.callNow(pid, "finit_module", { fd, param_values: "", flags: 0 });
    m.callNow(pid, "close", { fd });
    return answer;
  };
  const queues = m.kernel.state.irq.wq.queues.size;
  const { tasks } = m.kernel.state.sched;
  while (tasks.size < PROCESS_LIMIT) await m.createProcess();
  const last = Math.max(...tasks.keys());

  expect(load()).toMatchObject({ ret: -1, errno: "ENOMEM" });
  expect(m.kernel.state.log.records.at(-1)?.text).toBe("kecho: cannot start server daemon");
  expect(m.text("/proc/net/tcp").split("\n").filter((line) => / 0A /.test(line))).toEqual([]);
  expect(m.text("/proc/modules")).toBe("");
  expect(m.kernel.state.irq.wq.queues.size).toBe(queues);
  expect(m.broken()).toEqual([]);

  m.feed({ type: "killProcess", pid: last });
  expect(load()).toMatchObject({ ret: 0 });
});
