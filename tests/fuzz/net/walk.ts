/** Walks of the net machine: a fresh kernel takes steps beside the model, and at the end everything is closed and gone. */
import { handle, restore, snapshot } from "../../../core/index.ts";
import { invariants } from "../../../core/invariants.ts";
import { netInvariants } from "../../../core/net/invariants.ts";
import { Chance } from "../chance.ts";
import { hashOutput } from "../run.ts";
import { checkFiles } from "./account.ts";
import { anyAct, type Act } from "./act.ts";
import { Moves } from "./moves.ts";
import { checkMasks, checkSleepers } from "./polls.ts";
import { Fault, type World } from "./world.ts";

/** Steps between two dear looks, and walks between two that are played again. */
const LOOK_EVERY = 40;

export interface Count {
  steps: number;
  calls: number;
  succeeded: number;
  drops: number;
}

/** Where a walk went wrong: after how many of its acts, and how. */
export interface Failure {
  at: number;
  message: string;
}

export function actsOf(seed: number, walk: number, length: number): Act[] {
  const c = new Chance(seed * 100_003 + walk);
  return Array.from({ length }, () => anyAct(c));
}

/** Walks; null when all went well. `replay`: the whole journal is played again, through snapshots, and must end with the same bytes. */
export function walk(seed: number, acts: readonly Act[], replay: boolean, count?: Count): Failure | null {
  const moves = new Moves(1 + (seed % 1000), replay);
  let at = 0;
  try {
    for (; at < acts.length; at++) {
      moves.take(acts[at]);
      look(moves, at % LOOK_EVERY === LOOK_EVERY - 1);
    }
    if (replay) playAgain(moves.world);
    closeAll(moves);
    if (count !== undefined) {
      count.steps += acts.length;
      count.calls += moves.world.made;
      count.succeeded += moves.world.succeeded;
      count.drops += moves.datagrams.drops;
    }
    return null;
  } catch (error) {
    if (error instanceof Fault) return { at, message: error.message };
    return { at, message: `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}` };
  }
}

function look(moves: Moves, dear: boolean): void {
  const { world, streams, datagrams, edges } = moves;
  streams.check();
  datagrams.check();
  checkMasks(world.k);
  checkSleepers(world);
  edges.check();
  const wrong = dear ? invariants(world.k) : netInvariants(world.k);
  if (wrong.length > 0) throw new Fault(wrong.slice(0, 4).join("; "));
  if (dear) checkFiles(world.k);
}

/** All processes end, the clocks of dead connections run out, and nothing of the network is left. */
function closeAll(moves: Moves): void {
  const { world } = moves;
  world.budget = 200_000;
  world.mayPurge = true;
  for (const { tgid } of world.tasks()) if (world.k.state.sched.groups.has(tgid)) world.feed({ type: "killProcess", pid: tgid });
  look(moves, true);
  // As Linux: the next unix socket that is closed collects what circles of passed descriptors have left.
  world.createProcess();
  const [last] = world.free();
  for (const _round of [1, 2, 3]) world.batch(last, [{ call: "socketpair", args: { domain: "AF_UNIX", type: "SOCK_STREAM" } }, { call: "close", args: { fd: 3 } }, { call: "close", args: { fd: 4 } }]);
  world.feed({ type: "killProcess", pid: last.tgid });
  world.feed({ type: "advance", byNs: 400_000_000_000 });
  const { net, fs, sched } = world.k.state;
  const left = {
    sockets: net.sockets.size, timeWaits: net.timeWaits.size, tcpPorts: net.tcpPorts.size, udpPorts: net.udpPorts.size, names: net.unixAbstract.size,
    inodes: net.unixInodes.size, memory: net.memory, inFlight: net.inFlight.size, received: net.received.size, items: fs.epollItems.size,
    files: [...fs.files.values()].filter(({ ops }) => ops === "socket" || ops === "eventpoll" || ops === "eventfd").length, pipes: fs.pipes.size,
  };
  const over = Object.entries(left).filter(([, number]) => number !== 0);
  if (over.length > 0) throw new Fault(`all is closed, and left are ${over.map(([name, number]) => `${number} ${name}`).join(", ")}`);
  const callbacks = [...sched.waitQueues.values()].flat().filter(({ callback }) => callback === "epoll");
  if (callbacks.length > 0) throw new Fault(`${callbacks.length} epoll callbacks are left on queues`);
}

/** The journal in another kernel, which is saved and restored on the way, gives the same answers and the same bytes. */
function playAgain(world: World): void {
  let again = restore(world.start);
  for (const [at, { input, budget, hash }] of world.journal.entries()) {
    if (hashOutput(handle(again, structuredClone(input), budget)) !== hash) throw new Fault(`input ${at} answers otherwise in a replay: ${JSON.stringify(input).slice(0, 300)}`);
    if (at % 100 === 99) again = restore(snapshot(again));
  }
  if (!Buffer.from(snapshot(again)).equals(snapshot(world.k))) throw new Fault("a replay ends with other bytes");
}
