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
  // Li, Ding and Shen ("Quantifying the cost of context switch", 2007) find a few µs for a small working set that must be fetched again.
  migrationNs: 2500,
  wakeNs: 300,
  // An interrupt of the local APIC timer with its handler takes around half a microsecond of such a CPU (cyclictest, perf on idle laptops).
  interruptNs: 500,
  // The report's clean cells: 2.1 to 2.5 µs for read, write and send of 512 bytes; of the send about half is the segment's way,
  // which bytes that join a queue are spared.
  tcpSendNs: 500,
  tcpSegmentNs: 600,
  // As the sending half: the report's slave takes about half a microsecond a chunk longer than its master.
  tcpReceiveNs: 1200,
  // Buffered writes of 512 bytes to ext4 on such machines take about 0.6 µs, the copy and the call included.
  fileWriteNs: 450,
  // The report's mmap slave needs 15 to 20 µs a page where its master needs 6 to 9; the call that only it makes is this one.
  fallocateNs: 5000,
  // The report's mmap slave takes 0.115 ms for a file of four bytes, and nothing else that it does can be much of that.
  truncateNs: 58_000,
  pathComponentNs: 60,
  openNs: 500,
  closeNs: 150,
  // The report's mmap master makes two mappings and one fault for each page that it sends, and takes 6.5 µs for all of it;
  // lmbench finds 2 to 4 µs for an mmap and a munmap of a few pages on such machines.
  vmaNs: 1800,
  pteNs: 40,
  forkNs: 40_000,
  exitNs: 30_000,
  // A SATA disk of the time: 4 KiB at random in 80 µs.
  diskPageNs: 80_000,
  // With a console; one printed page descriptor is most of the 14 µs that the report's mmap master takes longer for one chunk.
  printkNs: 8000,
};
