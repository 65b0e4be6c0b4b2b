/** Feeding a journal again: what a restart of the service does, and what every kernel must answer alike to. */
import { boot, handle, restore, snapshot } from "../../core/index.ts";
import type { Kernel } from "../../core/kernel.ts";
import { expect } from "vitest";
import type { CoreMachine, Fed } from "./core.ts";

/** Boots the machine's kernel anew. */
export function bootAgain(machine: CoreMachine): Kernel {
  return boot(machine.boot).kernel;
}

/** Feeds `journal` to a kernel, each output compared with the one of the first time; `between` may put another kernel in its place. */
export function replay(kernel: Kernel, journal: readonly Fed[], between: (k: Kernel, at: number) => Kernel = (k) => k): Kernel {
  let k = kernel;
  for (const [at, { input, budget, output }] of journal.entries()) {
    k = between(k, at);
    expect(handle(k, structuredClone(input), budget), `output of input ${at}: ${JSON.stringify(input)}`).toEqual(output);
  }
  return k;
}

/** The same kernel by way of its bytes. */
export function copy(k: Kernel): Kernel {
  return restore(snapshot(k));
}

/** Whether two kernels are equal to the byte; told by the first field that differs. */
export function expectSame(one: Kernel, other: Kernel): void {
  if (Buffer.from(snapshot(one)).equals(snapshot(other))) return;
  expect(one.state).toEqual(other.state);
  // Equal to vitest, and yet other bytes: an order of a map, or -0.
  for (const room of Object.keys(one.state) as (keyof Kernel["state"])[]) {
    expect([...Object.entries(one.state[room] as object)].map(([name, value]) => [name, text(value)]), room)
      .toEqual([...Object.entries(other.state[room] as object)].map(([name, value]) => [name, text(value)]));
  }
  expect.fail("other bytes");
}

function text(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner instanceof Map) return { map: [...(inner as Map<unknown, unknown>)] };
    if (typeof inner === "bigint") return `${inner}n`;
    return ArrayBuffer.isView(inner) ? Buffer.from(inner.buffer, inner.byteOffset, inner.byteLength).toString("base64") : inner;
  });
}
