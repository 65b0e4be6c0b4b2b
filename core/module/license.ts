/** Which licenses let a module use GPL-only symbols (license_is_gpl_compatible of linux/license.h). */

const GPL_COMPATIBLE = ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

/** A module without MODULE_LICENSE counts as this. */
export const UNSPECIFIED_LICENSE = "unspecified";

export function isGplCompatible(license: string): boolean {
  return GPL_COMPATIBLE.includes(license);
}
