/** What happened, told to followers of the event stream. */
import type { KernelEvent } from "../input.ts";
import type { Kernel } from "../kernel.ts";

export function emit(k: Kernel, event: KernelEvent): void {
  k.turn.events.push(event);
}
