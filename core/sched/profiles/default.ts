/** The default machine: an x86-64 laptop of about 2020 under Linux 5.x, the kind that the first report measured on. */
import type { CostProfile } from "./index.ts";

export const defaultProfile: CostProfile = {
  // 169 ns were measured for a bare getpid on the recording host, rounded for the page-table isolation of a 2020 laptop.
  syscallNs: 170,
  // One call through a table costs a predicted branch or two.
  stepNs: 5,
  // 10 GB/s, a cached memcpy with its access checks.
  copyPerByteNs: 0.1,
  // The first report's mmap slave spends about a microsecond a touched page; half of it is the trap.
  faultNs: 500,
  // 4 KiB at about 30 GB/s.
  pageZeroNs: 130,
  pageCopyNs: 400,
  // lmbench figures for two small processes on such a machine lie between 1 and 2 µs.
  contextSwitchNs: 1200,
  wakeNs: 300,
  // The report's clean cells: 2.1 to 2.5 µs for read, write and send of 512 bytes.
  tcpSegmentNs: 1100,
  pathComponentNs: 60,
  openNs: 500,
  closeNs: 150,
  vmaNs: 600,
  pteNs: 40,
  forkNs: 40_000,
  exitNs: 30_000,
  // A SATA disk of the time: 4 KiB at random in 80 µs.
  diskPageNs: 80_000,
  printkNs: 900,
};
