/** Laying a call's buffers into the scratch area, as a C library lays them on the stack. */
import { PAGE_SIZE } from "../abi/limits.ts";
import { SCRATCH_BASE } from "../mm/space.ts";
import type { Scratch, Task } from "../sched/task.ts";
import type { Block, Placed } from "./args.ts";
import type { Reference } from "./json.ts";

const ALIGN = 16;

interface Piece {
  bytes: Uint8Array | null;
  size: number;
  at: number;
  block: Block | null;
}

/** Turns a reference into a number; undefined when it cannot. */
export type Resolve<Of> = (of: Of, reference: Reference) => number | bigint | undefined;

/**
 * Lays all blocks and rooms into one scratch area that ends at a page's end, the largest last, so that a count above a
 * buffer runs into the unmapped page behind it. Answers the registers; undefined when a reference cannot be resolved.
 */
export function place<Of>(task: Task, placed: Placed[], resolve: Resolve<Of>, of: Of): (number | bigint)[] | undefined {
  const registers: (number | bigint)[] = [];
  let buffers = 0;
  for (let at = 0; at < placed.length; at++) {
    const arg = placed[at];
    if (typeof arg !== "object") registers.push(arg);
    else if ("ref" in arg) {
      const value = resolve(of, arg);
      if (value === undefined) return undefined;
      registers.push(value);
    } else {
      buffers++;
      registers.push(0);
    }
  }
  if (buffers > 0) placeBuffers(task, placed, registers);
  return registers;
}

function placeBuffers(task: Task, placed: Placed[], registers: (number | bigint)[]): void {
  const pieces: Piece[] = [];
  const pieceOf: (Piece | undefined)[] = placed.map((arg) =>
    (typeof arg !== "object" || "ref" in arg ? undefined : collect(arg, pieces)));
  task.scratch = layOut(pieces);
  for (let at = 0; at < placed.length; at++) {
    const piece = pieceOf[at];
    if (piece !== undefined) registers[at] = task.scratch.base + piece.at;
  }
}

/** Where an area of `size` bytes begins, so that it ends at a page's end. */
function baseFor(size: number): number {
  return SCRATCH_BASE + ((PAGE_SIZE - (size % PAGE_SIZE)) % PAGE_SIZE);
}

function collect(arg: Block | { room: number }, pieces: Piece[]): Piece {
  const piece: Piece = "room" in arg
    ? { bytes: null, size: arg.room, at: 0, block: null }
    : { bytes: arg.bytes, size: arg.bytes.length, at: 0, block: arg };
  pieces.push(piece);
  return piece;
}

function layOut(pieces: Piece[]): Scratch {
  const [only] = pieces;
  if (pieces.length === 1 && only.block?.pointers === undefined) {
    return { base: baseFor(only.size), bytes: only.bytes ?? new Uint8Array(only.size) };
  }
  const inner = new Map<Block, Piece>();
  for (const piece of pieces) {
    for (const { to } of piece.block?.pointers ?? []) {
      if (typeof to === "object") inner.set(to, collect(to, pieces));
    }
  }
  const last = pieces.reduce((largest, piece) => (piece.size >= largest.size ? piece : largest));
  const ordered = [...pieces.filter((piece) => piece !== last), last];
  let total = 0;
  for (const piece of ordered) {
    piece.at = total;
    total += piece === last ? piece.size : Math.ceil(piece.size / ALIGN) * ALIGN;
  }
  const base = baseFor(total);
  const bytes = new Uint8Array(total);
  for (const { bytes: source, at, block } of ordered) {
    if (source !== null) bytes.set(source, at);
    for (const pointer of block?.pointers ?? []) {
      const piece = typeof pointer.to === "object" ? inner.get(pointer.to) : undefined;
      const address = piece === undefined ? (pointer.to as number | bigint) : base + piece.at;
      new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at + pointer.at, BigInt.asUintN(64, BigInt(address)), true);
    }
  }
  return { base, bytes };
}
