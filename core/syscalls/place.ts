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

/**
 * Lays all blocks and rooms into one scratch area that ends at a page's end, the largest last, so that a count above a
 * buffer runs into the unmapped page behind it. Answers the registers; `resolve` turns references into numbers, undefined
 * when it cannot, and then so does this.
 */
export function place(
  task: Task, placed: Placed[], resolve: (reference: Reference) => number | bigint | undefined,
): (number | bigint)[] | undefined {
  const registers: (number | bigint)[] = [];
  const pieces: Piece[] = [];
  const pieceOf: (Piece | undefined)[] = [];
  for (const [at, arg] of placed.entries()) {
    if (typeof arg !== "object") registers[at] = arg;
    else if ("ref" in arg) {
      const value = resolve(arg);
      if (value === undefined) return undefined;
      registers[at] = value;
    } else {
      pieceOf[at] = collect(arg, pieces);
      registers[at] = 0;
    }
  }
  if (pieces.length === 0) return registers;
  task.scratch = layOut(pieces);
  for (const [at, piece] of pieceOf.entries()) if (piece !== undefined) registers[at] = task.scratch.base + piece.at;
  return registers;
}

function collect(arg: Block | { room: number }, pieces: Piece[]): Piece {
  const piece: Piece = "room" in arg
    ? { bytes: null, size: arg.room, at: 0, block: null }
    : { bytes: arg.bytes, size: arg.bytes.length, at: 0, block: arg };
  pieces.push(piece);
  return piece;
}

function layOut(pieces: Piece[]): Scratch {
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
  const base = SCRATCH_BASE + ((PAGE_SIZE - (total % PAGE_SIZE)) % PAGE_SIZE);
  const bytes = pieces.length === 1 && last.bytes !== null ? last.bytes : new Uint8Array(total);
  for (const { bytes: source, at, block } of ordered) {
    if (source !== null && source !== bytes) bytes.set(source, at);
    for (const pointer of block?.pointers ?? []) {
      const piece = typeof pointer.to === "object" ? inner.get(pointer.to) : undefined;
      const address = piece === undefined ? (pointer.to as number | bigint) : base + piece.at;
      new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(at + pointer.at, BigInt.asUintN(64, BigInt(address)), true);
    }
  }
  return { base, bytes };
}
