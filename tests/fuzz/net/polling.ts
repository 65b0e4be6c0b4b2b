/** Steps that ask which files are ready: epoll, poll and select, by sleepers too. */
import { EPOLLET, EPOLLONESHOT, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM } from "../../../core/abi/epoll.ts";
import type { Json } from "../../../core/input.ts";
import type { Task } from "../../../core/sched/task.ts";
import { among, type Act } from "./act.ts";
import { fires, type Edges } from "./edges.ts";
import { maskOf, wants } from "./polls.ts";
import { Fault, type Answer, type Fd, type World } from "./world.ts";

const EVENTS = [
  "EPOLLIN", "EPOLLIN", "EPOLLIN|EPOLLET", "EPOLLIN|EPOLLET", "EPOLLIN|EPOLLOUT|EPOLLET", "EPOLLOUT", "EPOLLOUT|EPOLLET", "EPOLLIN|EPOLLONESHOT",
  "EPOLLIN|EPOLLRDHUP|EPOLLET", "EPOLLIN|EPOLLEXCLUSIVE", "EPOLLIN|EPOLLET|EPOLLEXCLUSIVE", "EPOLLIN|EPOLLOUT", "0",
];
const TIMEOUTS = [0, 0, 0, 0, 1, 1500, -1];
const POLLS = ["POLLIN", "POLLIN", "POLLIN|POLLOUT", "POLLOUT", "POLLRDHUP", "POLLIN|POLLPRI"];
const POLL_BITS: { [name: string]: number } = { POLLIN: 1, POLLPRI: 2, POLLOUT: 4, POLLRDHUP: 0x2000 };

export class Polling {
  private readonly world: World;
  private readonly edges: Edges;
  private nextData = 1;

  constructor(world: World, edges: Edges) {
    this.world = world;
    this.edges = edges;
  }

  take(task: Task, fds: Fd[], act: Act): void {
    const epolls = fds.filter(({ file }) => file.ops === "eventpoll");
    const epoll = among(epolls, act.other);
    switch (act.kind) {
      case "epoll": if (epolls.length < 4) this.world.call(task, "epoll_create1", {}); return;
      case "watch": return epoll === undefined ? this.world.call(task, "epoll_create1", {}) : this.watch(task, epoll, among(fds, act.fd) as Fd, act);
      case "wait": if (epoll !== undefined) this.wait(task, epoll, act); return;
      case "twice": if (epoll !== undefined) this.twice(task, epoll); return;
      case "poll": return this.poll(task, [among(fds, act.fd) as Fd, among(fds, act.other) as Fd], act);
      case "select": return this.select(task, [among(fds, act.fd) as Fd, among(fds, act.other) as Fd], act);
      default: throw new Error(act.kind);
    }
  }

  private watch(task: Task, epoll: Fd, { fd, file }: Fd, { size, flags }: Act): void {
    const { epollItems } = this.world.k.state.fs;
    const known = file.epolls.some((id) => epollItems.get(id)?.epoll === epoll.file.id && epollItems.get(id)?.fd === fd);
    const op = known ? (["EPOLL_CTL_MOD", "EPOLL_CTL_MOD", "EPOLL_CTL_DEL", "EPOLL_CTL_ADD"] as const)[size % 4] : "EPOLL_CTL_ADD";
    const data = this.nextData++;
    this.world.call(task, "epoll_ctl", { epfd: epoll.fd, op, fd, event: { events: EVENTS[flags % EVENTS.length], data } });
  }

  /** The items that an epoll_wait told. */
  private heard(answer: Answer): number[] {
    if (answer.errno !== null) return [];
    const items: number[] = [];
    for (const { data, eventsNumber } of (answer.events ?? []) as { data: number; eventsNumber: number }[]) {
      if (data === 0 || data >= this.nextData) throw new Fault(`${String(answer.strace)}: nobody asked for ${data}`);
      // One that has been changed or taken away since it was told is nobody's any more.
      const id = [...this.world.k.state.fs.epollItems.values()].find((item) => item.data === data)?.id ?? -data;
      if (items.includes(id)) throw new Fault(`${String(answer.strace)}: ${data} is told twice`);
      if (eventsNumber === 0) throw new Fault(`${String(answer.strace)}: ${data} is told for nothing`);
      items.push(id);
      this.edges.told.add(id);
    }
    return items;
  }

  private wait(task: Task, epoll: Fd, { size, flags }: Act): void {
    this.world.call(task, "epoll_wait", { epfd: epoll.fd, maxevents: [1, 2, 16][size % 3], timeout: TIMEOUTS[flags % TIMEOUTS.length] },
      (answer) => void this.heard(answer), { what: "epoll", file: epoll.file.id });
  }

  /** Two looks without anything between them: level-triggered items are told again, the others are not. */
  private twice(task: Task, epoll: Fd): void {
    const { k } = this.world;
    if ([...this.world.pending.values()].some(({ about }) => about.what === "epoll" && about.file === epoll.file.id)) return;
    const expected = [...k.state.fs.epollItems.values()].filter((item) => item.epoll === epoll.file.id && fires(item) && item.ready && wants(k, item) !== 0).map(({ id }) => id);
    const look = { call: "epoll_wait", args: { epfd: epoll.fd, maxevents: 64, timeout: 0 } satisfies Json };
    const before = new Map([...k.state.fs.epollItems.values()].map(({ id, events }) => [id, events]));
    const masks = expected.map((id) => maskOf(k, k.state.fs.epollItems.get(id)?.file ?? 0));
    this.world.batch(task, [look, look], ([first, second]) => {
      if (first === undefined || second === undefined) return;
      const [one, two] = [this.heard(first), this.heard(second)];
      if ([...one].sort().join() !== [...expected].sort().join()) throw new Fault(`${String(first.strace)}: and ready were items ${expected.join()} (${masks.join()})`);
      const again = one.filter((id) => ((before.get(id) ?? 0) & (EPOLLET | EPOLLONESHOT)) === 0);
      if ([...two].sort().join() !== [...again].sort().join()) throw new Fault(`${String(second.strace)}: a second look should have told items ${again.join()}`);
    });
  }

  private poll(task: Task, fds: Fd[], { flags, size }: Act): void {
    const events = [POLLS[flags % POLLS.length], POLLS[(flags >> 4) % POLLS.length]];
    const asked = fds.map(({ file }, at) => ({ file: file.id, events: events[at].split("|").reduce((bits, name) => bits | POLL_BITS[name], POLLERR | POLLHUP) }));
    this.world.call(task, "poll", { fds: fds.map(({ fd }, at) => ({ fd, events: events[at] })), timeout: TIMEOUTS[size % TIMEOUTS.length] }, undefined, { what: "poll", asked });
  }

  private select(task: Task, [one, other]: Fd[], { size }: Act): void {
    const asked = [{ file: one.file.id, events: POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR }, { file: other.file.id, events: POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR }];
    const timeout = [{ tv_sec: 0, tv_usec: 0 }, { tv_sec: 1, tv_usec: 0 }, null][size % 3];
    this.world.call(task, "select", { nfds: 64, readfds: [one.fd], writefds: [other.fd], timeout }, undefined, { what: "poll", asked });
  }
}
