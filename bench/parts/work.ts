/** Work items, tasklets and a device's whole chain beside Node's own loop: what a callback costs that asks for the next one. */
import { alternated, node } from "../run.ts";
import { time, times, type Row } from "../table.ts";

export function work(): Row[] {
  const { ours, peer } = alternated({ ours: () => node("ours/work.ts"), peer: () => node("peers/immediate.ts") });
  const row = (what: string, mine: number): Row => ({
    what: `${what} (${Math.round(1e9 / mine).toLocaleString("en")} a second)`, ours: time(mine), peer: time(peer.immediate), ratio: times(mine, peer.immediate), aim: "",
  });
  return [
    row("a work item that queues itself again", ours.bound),
    row("the same on an unbound queue", ours.unbound),
    row("a tasklet that schedules itself again", ours.tasklet),
    row("an event of simrupt, from its timer to its fifo", ours.simrupt),
  ];
}
