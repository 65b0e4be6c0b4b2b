/** What an allocation may do to succeed (include/linux/gfp_types.h), and how a warning names it. */

export const __GFP_DMA = 0x1;
export const __GFP_ZERO = 0x100;
export const __GFP_DIRECT_RECLAIM = 0x400;
/** Says nothing when the allocation fails. */
export const __GFP_NOWARN = 0x2000;
export const __GFP_NORETRY = 0x10000;
export const __GFP_COMP = 0x40000;
export const __GFP_ACCOUNT = 0x400000;

/** May sleep, start reclaim, and use file systems: what nearly everybody passes. */
export const GFP_KERNEL = 0xcc0;
/** May not sleep, and may use the reserve. */
export const GFP_ATOMIC = 0xa20;
export const GFP_NOWAIT = 0x800;
export const GFP_USER = 0x100cc0;

/** The longer names first: what they cover is not told again. */
const NAMES: readonly [flags: number, name: string][] = [
  [GFP_USER, "GFP_USER"], [GFP_KERNEL, "GFP_KERNEL"], [GFP_ATOMIC, "GFP_ATOMIC"], [GFP_NOWAIT, "GFP_NOWAIT"],
  [__GFP_DMA, "__GFP_DMA"], [__GFP_ZERO, "__GFP_ZERO"], [__GFP_DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM"], [__GFP_NOWARN, "__GFP_NOWARN"],
  [__GFP_NORETRY, "__GFP_NORETRY"], [__GFP_COMP, "__GFP_COMP"], [__GFP_ACCOUNT, "__GFP_ACCOUNT"],
];

/** `0x40cc0(GFP_KERNEL|__GFP_COMP)`, as %#x(%pGg) prints it. */
export function gfpText(gfp: number): string {
  const names: string[] = [];
  let rest = gfp;
  for (const [flags, name] of NAMES) {
    if ((rest & flags) !== flags) continue;
    names.push(name);
    rest &= ~flags;
  }
  if (rest !== 0 || names.length === 0) names.push(`0x${rest.toString(16)}`);
  return `0x${gfp.toString(16)}(${names.join("|")})`;
}
