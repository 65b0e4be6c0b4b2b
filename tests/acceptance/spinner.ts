/** Loaded into a server under test: a module whose two kernel threads never rest. */
import { moduleDefinition } from "../../core/module/definition.ts";
import { kthread } from "../../core/process/create.ts";
import { run, steps, to } from "../../core/sched/steps.ts";

/** Short bursts: many steps for the host, whatever the kernel's clock says. */
const BURST_NS = 10_000;

const spin = steps<Record<string, never>>("test.spin", {
  burst: () => run(BURST_NS),
  again: () => to("burst"),
});

moduleDefinition({
  name: "spin", license: "GPL", depends: [], srcversion: "", size: 16384, initSize: 12288, params: [], exports: [], imports: [], hidden: true,
  variants: {
    corrected: {
      defects: [],
      init: (k) => {
        for (const name of ["spin/0", "spin/1"]) kthread(k, name, spin, {});
        return 0;
      },
    },
  },
});
