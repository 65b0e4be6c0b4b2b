/** kfifo and circ_buf: sizes, full and empty, records, wrapping indices. */
import type { Kernel } from "../../../kernel.ts";
import { CIRC_CNT, CIRC_CNT_TO_END, CIRC_SPACE, CIRC_SPACE_TO_END } from "../../../lib/circ_buf.ts";
import { bytesName, nameBytes } from "../../../fs/names.ts";
import {
  kfifoAlloc, kfifoAvail, kfifoEsize, kfifoFree, kfifoGet, kfifoIn, kfifoInit, kfifoInitialized, kfifoIsEmpty, kfifoIsFull, kfifoLen, kfifoOut,
  kfifoOutPeek, kfifoPeek, kfifoPeekLen, kfifoPut, kfifoReset, kfifoSize, kfifoSkip, newKfifo,
} from "../../../lib/kfifo.ts";
import { P } from "./say.ts";

const character = (value: number | undefined): string => String.fromCharCode(value ?? 0);

function sizes(k: Kernel): void {
  for (const size of [0, 1, 2, 3, 64, 100, 4096, 4097, 5000]) {
    const fifo = newKfifo();
    const result = kfifoAlloc(fifo, size);
    const made = result === 0;
    P(k, "kfifo_alloc(%d) = %d size=%u esize=%u", size, result, made ? kfifoSize(fifo) : 0, made ? kfifoEsize(fifo) : 0);
  }
}

function bytes(k: Kernel): void {
  const fifo = newKfifo();
  kfifoAlloc(fifo, 8);
  P(k, "fresh len=%u avail=%u empty=%d full=%d", kfifoLen(fifo), kfifoAvail(fifo), kfifoIsEmpty(fifo), kfifoIsFull(fifo));
  P(k, "in(6)=%u len=%u avail=%u", kfifoIn(fifo, nameBytes("abcdef")), kfifoLen(fifo), kfifoAvail(fifo));
  P(k, "in(5) into 2 free=%u len=%u full=%d", kfifoIn(fifo, nameBytes("ghijk")), kfifoLen(fifo), kfifoIsFull(fifo));
  P(k, "in(1) when full=%u", kfifoIn(fifo, nameBytes("z")));
  const peeked = kfifoOutPeek(fifo, 3);
  P(k, "out_peek(3)=%u %.3s len=%u", peeked.length, bytesName(peeked), kfifoLen(fifo));
  const taken = kfifoOut(fifo, 3);
  P(k, "out(3)=%u %.3s len=%u", taken.length, bytesName(taken), kfifoLen(fifo));
  P(k, "put X=%d", kfifoPut(fifo, 0x58));
  const got = kfifoGet(fifo);
  P(k, "get=%d %c", got !== undefined, character(got));
  const next = kfifoPeek(fifo);
  P(k, "peek=%d %c", next !== undefined, character(next));
  kfifoSkip(fifo);
  P(k, "after skip len=%u", kfifoLen(fifo));
  const rest = kfifoOut(fifo, 64);
  P(k, "out(64)=%u %.*s empty=%d", rest.length, rest.length, bytesName(rest), kfifoIsEmpty(fifo));
  P(k, "get empty=%d", kfifoGet(fifo) !== undefined);
  P(k, "out empty=%u", kfifoOut(fifo, 1).length);
  kfifoIn(fifo, nameBytes("wrap-tes"));
  kfifoReset(fifo);
  P(k, "after reset len=%u", kfifoLen(fifo));
  kfifoFree(fifo);
  P(k, "after free size=%u initialized=%d", kfifoSize(fifo), kfifoInitialized(fifo));
}

function records(k: Kernel): void {
  const fifo = newKfifo({ recsize: 1 });
  kfifoInit(fifo, 16);
  P(k, "rec in(5)=%u len=%u avail=%u", kfifoIn(fifo, nameBytes("hello")), kfifoLen(fifo), kfifoAvail(fifo));
  P(k, "rec in(10) =%u (avail stays %u)", kfifoIn(fifo, nameBytes("worldworld")), kfifoAvail(fifo));
  P(k, "rec in(3)=%u peek_len=%u", kfifoIn(fifo, nameBytes("abc")), kfifoPeekLen(fifo));
  P(k, "rec out(2)=%u (rest of record dropped) next peek_len=%u", kfifoOut(fifo, 2).length, kfifoPeekLen(fifo));
}

function integers(k: Kernel): void {
  const fifo = newKfifo({ esize: 4 });
  kfifoAlloc(fifo, 4);
  for (let i = 0; i < 6; i++) P(k, "int fifo put %u=%d", i * 10, kfifoPut(fifo, i * 10));
  P(k, "int fifo len=%u size=%u esize=%zu", kfifoLen(fifo), kfifoSize(fifo), kfifoEsize(fifo));
}

export function testKfifo(k: Kernel): void {
  sizes(k);
  bytes(k);
  records(k);
  integers(k);
}

export function testCircBuf(k: Kernel): void {
  for (let h = 0; h < 8; h += 3) {
    for (let t = 0; t < 8; t += 2) {
      P(k, "CIRC h=%d t=%d size=8 CNT=%d SPACE=%d CNT_TO_END=%d SPACE_TO_END=%d", h, t, CIRC_CNT(h, t, 8), CIRC_SPACE(h, t, 8), CIRC_CNT_TO_END(h, t, 8), CIRC_SPACE_TO_END(h, t, 8));
    }
  }
}
