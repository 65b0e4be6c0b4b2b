/** struct rusage from what a process has used. */
import { encodeStruct } from "../../abi/layout.ts";
import { rusageLayout } from "../../abi/resource.ts";
import type { Usage } from "../../process/cputime.ts";

function timeval(ns: number): { tv_sec: number; tv_usec: number } {
  return { tv_sec: Math.floor(ns / 1e9), tv_usec: Math.floor((ns % 1e9) / 1000) };
}

/** ru_maxrss is in KiB. */
export function rusageBytes({ utimeNs, stimeNs, minFlt, majFlt, voluntarySwitches, involuntarySwitches, maxRssPages }: Usage): Uint8Array {
  return encodeStruct(rusageLayout, {
    ru_utime: timeval(utimeNs), ru_stime: timeval(stimeNs), ru_maxrss: maxRssPages * 4, ru_minflt: minFlt, ru_majflt: majFlt,
    ru_nvcsw: voluntarySwitches, ru_nivcsw: involuntarySwitches,
  });
}
