/** One step of the net machine as numbers that are chosen before it: left out of a walk, it changes no other step's choices. */
import type { Chance } from "../chance.ts";

const WEIGHTS = [
  [8, "socket"], [6, "bind"], [6, "listen"], [12, "connect"], [16, "accept"], [5, "unconnect"], [6, "pair"], [3, "pipe"], [3, "eventfd"],
  [70, "send"], [70, "receive"], [14, "sendto"], [14, "pass"], [14, "take"], [8, "write"], [8, "read"], [5, "shutdown"], [7, "close"],
  [4, "dup"], [4, "fork"], [1, "exit"], [1, "kill"], [8, "option"], [6, "ask"], [4, "nonblock"], [6, "interrupt"], [4, "signal"],
  [10, "advance"], [4, "epoll"], [24, "watch"], [30, "wait"], [8, "twice"], [12, "poll"], [6, "select"], [3, "together"], [1, "restart"], [1, "drain"], [2, "round"], [8, "join"], [7, "serve"],
] as const;

export type Kind = (typeof WEIGHTS)[number][1];

export interface Act {
  kind: Kind;
  /** Which process, which of its descriptors, and another one. */
  who: number;
  fd: number;
  other: number;
  size: number;
  flags: number;
  /** How much of the work is done at a time. */
  budget: number;
}

const BUDGETS = [200_000, 200_000, 200_000, 1000, 17, 1];
const SIZES = [1, 4, 7, 60, 60, 300, 300, 300, 1000, 1000, 4096, 4096, 5000, 5000, 20_000, 20_000, 70_000, 200_000, 1_000_000];

export function anyAct(c: Chance): Act {
  const size = c.pick(SIZES);
  return {
    kind: c.weighted(WEIGHTS), who: c.below(1 << 16), fd: c.below(1 << 16), other: c.below(1 << 16), size: 1 + c.below(size),
    flags: c.below(1 << 16), budget: c.pick(BUDGETS),
  };
}

/** One of a list by a number of the act; undefined of an empty one. */
export function among<T>(list: readonly T[], number: number): T | undefined {
  return list[number % list.length];
}

/** Whether a thing happens that does `percent` times of a hundred, by a number of the act and a place in it. */
export function often(number: number, place: number, percent: number): boolean {
  return (Math.imul(number + 1, 2654435761 + place * 40503) >>> 8) % 100 < percent;
}
