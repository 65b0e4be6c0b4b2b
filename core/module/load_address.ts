/** Where modules are placed: the first gap of the modules' part of the address space that holds them. */
import type { Kernel } from "../kernel.ts";
import { coreSize } from "./query.ts";

/** As the recorded kernel placed its first one. */
const FIRST = 0xffff_ffff_c033_e000n;
/** A page between two modules catches who runs over the end. */
const GUARD = 4096n;

/** An address for `size` bytes, a multiple of a page. */
export function placeModule(k: Kernel, size: number): bigint {
  const taken = [...k.state.modules.loaded.values()].sort((a, b) => (a.loadAddr < b.loadAddr ? -1 : 1));
  let at = FIRST;
  for (const module of taken) {
    if (at + BigInt(size) + GUARD <= module.loadAddr) break;
    at = module.loadAddr + BigInt(coreSize(module)) + GUARD;
  }
  return at;
}
