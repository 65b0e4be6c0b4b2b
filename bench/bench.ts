/** npm run bench [part …]: how much slower or faster we are than what a reader knows, as ratios of one run on one machine. */
import { calls } from "./parts/calls.ts";
import { http } from "./parts/http.ts";
import { memory } from "./parts/memory.ts";
import { net } from "./parts/net.ts";
import { sched } from "./parts/sched.ts";
import { vdev } from "./parts/vdev.ts";
import { work } from "./parts/work.ts";
import { table, type Row } from "./table.ts";

/** By name; all of them when none is asked for. */
const PARTS: { [name: string]: () => Row[] | Promise<Row[]> } = { http, calls, memory, vdev, work, sched, net };

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(", ")}; there are ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
for (const [name, part] of Object.entries(PARTS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n${name}`);
  console.log(table(await part()));
}
