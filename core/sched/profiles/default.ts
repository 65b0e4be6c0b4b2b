/** The default machine: an x86-64 laptop of about 2020 under Linux 5.x, the kind that the first report measured on. */
import type { Figures } from "./index.ts";

export const defaultFigures: Figures = {
  syscallNs: {
    ns: 170,
    what: "Entering and leaving the kernel for a call that does nothing.",
    source: "A bare getpid in a loop of C on the recording host, 169 ns with page-table isolation.",
  },
  stepNs: {
    ns: 5,
    what: "One step of kernel code through its table: a predicted branch or two.",
    source: "An estimate at 3 GHz; it is there so that no loop is free.",
  },
  programStepNs: {
    ns: 400,
    what: "What a tool computes between two of its calls: a few thousand instructions of its own and of the C library.",
    source: "An estimate: yes of coreutils, which does nothing but fill a buffer and write it, writes about two million times a second.",
  },
  vdsoNs: {
    ns: 25,
    what: "A look at the clock by code that the kernel maps into every program: a counter is read and scaled.",
    source: "gettimeofday in a loop of C on machines of today: 20 to 40 ns.",
  },
  copyPerByteNs: {
    ns: 0.1,
    what: "A cached memcpy with its access checks, 10 GB/s.",
    source: "bw_mem of lmbench on laptops of 2020 lies between 8 and 12 GB/s.",
  },
  faultNs: {
    ns: 500,
    what: "Trap, search of the mapping, page-table entry; the page itself is extra.",
    source: "The first report's mmap slave spends about a microsecond a touched page; half of it is the trap.",
  },
  pageZeroNs: {
    ns: 130,
    what: "Clearing 4 KiB at about 30 GB/s.",
    source: "memset of a cached page in a loop of C: 30 to 130 ns, by machine.",
  },
  pageCopyNs: {
    ns: 400,
    what: "Copying 4 KiB at the speed of other copies.",
    source: "Follows from copyPerByteNs.",
  },
  contextSwitchNs: {
    ns: 1200,
    what: "Saving one task and loading another, with the caches of the first levels that it lost.",
    source: "lat_ctx of lmbench for two small processes lies between 1 and 2 µs on such machines.",
  },
  migrationNs: {
    ns: 2500,
    what: "A task runs on another CPU than before: what it used is fetched from the old one's caches.",
    source: "An estimate: some thirty lines of a small working set, 80 ns each from another core.",
  },
  wakeNs: {
    ns: 300,
    what: "Taking a sleeper off its queues and onto a run queue.",
    source: "Waking a futex that somebody waits on costs the waker a few hundred ns more than one that nobody does.",
  },
  interruptNs: {
    ns: 500,
    what: "Entry, acknowledgement and exit of a timer or device interrupt; the handler is extra.",
    source: "An estimate from the trap's half of a page fault, which takes the same way in and out.",
  },
  tcpSendNs: {
    ns: 500,
    what: "Putting bytes into a connection's send queue.",
    source: "The first report's clean cells: 2.1 to 2.5 µs for read, write and send of 512 bytes, about half of the send in the queue.",
  },
  tcpSegmentNs: {
    ns: 600,
    what: "A segment's way over loopback: down the stack, the softirq, the receiver's queue. Bytes that join a queue are spared it.",
    source: "The other half of the same cells.",
  },
  tcpReceiveNs: {
    ns: 1200,
    what: "Taking bytes off a connection, with its window updates.",
    source: "The report's slave takes about half a microsecond a chunk longer than its master.",
  },
  fileWriteNs: {
    ns: 450,
    what: "A write to a regular file, beside its copy: finding or making the page, times, dirty marks.",
    source: "Buffered writes of 512 bytes to ext4 on such machines take about 0.6 µs, the copy and the call included.",
  },
  fallocateNs: {
    ns: 5000,
    what: "Setting blocks aside: a journal transaction.",
    source: "The report's mmap slave needs 15 to 20 µs a page where its master needs 6 to 9; the call that only it makes is this one.",
  },
  truncateNs: {
    ns: 58_000,
    what: "Cutting a file: a journal transaction and its pages.",
    source: "The report's mmap slave takes 0.115 ms for a file of four bytes, and nothing else that it does can be much of that.",
  },
  pathComponentNs: {
    ns: 60,
    what: "One component of a path that the cache knows.",
    source: "stat of nine components and of two differ by 165 ns each on a busy virtual machine of today; a laptop's own core takes about a third.",
  },
  openNs: {
    ns: 500,
    what: "A file object, its descriptor and its checks; the path is extra.",
    source: "lat_syscall open of lmbench, an open and a close of a cached file, lies near 1 µs on such machines, calls included.",
  },
  closeNs: {
    ns: 150,
    what: "Giving a descriptor back.",
    source: "The rest of the same figure.",
  },
  vmaNs: {
    ns: 1800,
    what: "Making, splitting or removing a mapping.",
    source: "The report's mmap master makes two mappings and one fault for each page that it sends, and takes 6.5 µs for all of it; lmbench finds 2 to 4 µs for an mmap and a munmap of a few pages.",
  },
  pteNs: {
    ns: 40,
    what: "Setting or clearing one page-table entry, with its share of the flush.",
    source: "An estimate: a store and a tenth of an invlpg.",
  },
  forkNs: {
    ns: 40_000,
    what: "A process beside its pages: task, descriptors, mappings.",
    source: "lat_proc fork of lmbench, with exit and wait, lies between 70 and 150 µs on such machines.",
  },
  exitNs: {
    ns: 30_000,
    what: "Taking a process down beside its pages.",
    source: "The rest of the same figure.",
  },
  threadNs: {
    ns: 5000,
    what: "Making a thread, which shares what a process would copy.",
    source: "A thread that is created, run and joined takes 19 µs on a machine of today where a fork, an exit and a wait take 180; its two switches and its stack are extra.",
  },
  threadExitNs: {
    ns: 2500,
    what: "Taking a thread down, which is not the last of its process.",
    source: "The rest of the same figure.",
  },
  scanPageNs: {
    ns: 200,
    what: "Finding the entries of one page, whether it was used, and moving it between lists.",
    source: "An estimate: a handful of cache misses.",
  },
  diskRequestNs: {
    ns: 6000,
    what: "The block layer's work for one request, with its interrupt.",
    source: "Data sheets and measurements of such disks with 4 KiB requests show a core busy at 150,000 to 200,000 of them a second.",
  },
  diskPageNs: {
    ns: 80_000,
    what: "4 KiB at random from a SATA disk of the time.",
    source: "Data sheets of such disks name 10,000 to 13,000 random reads a second at a queue depth of one.",
  },
  printkNs: {
    ns: 1200,
    what: "A line of the log: formatted twice, put into the ring, its readers told of by an interrupt of one's own.",
    source: "A module that prints in a loop on a machine of today whose console shows no such lines: 0.7 to 1.5 µs a line.",
  },
  consoleNs: {
    ns: 6800,
    what: "A screen shows a line: the console one of the log, if its level is below kernel.printk's first number (dmesg -n), a terminal one of a program.",
    source: "One printed page descriptor is most of the 14 µs that the report's mmap master takes longer for one chunk. Terminal programs take from a third of a microsecond to a hundred for a line.",
  },
  ttyWriteNs: {
    ns: 1600,
    what: "A write to a terminal: the line discipline, the buffer, waking who reads it.",
    source: "CPU time of lines of 5 to 105 bytes written in a loop of C to a terminal whose reader does nothing with them: 1.4 to 2.1 µs, the call included.",
  },
};
