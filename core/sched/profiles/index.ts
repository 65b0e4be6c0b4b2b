/** Cost profiles by name: what work costs on an emulated machine, in ns. */
import { defaultFigures } from "./default.ts";

export interface CostProfile {
  /** Entering and leaving the kernel. */
  syscallNs: number;
  /** A step of kernel code that does nothing else. */
  stepNs: number;
  /** A step of a tool's own code. */
  programStepNs: number;
  /** A look at the clock by the vDSO, which is no system call. */
  vdsoNs: number;
  /** Copying one byte between user memory, page cache, pipe or socket. */
  copyPerByteNs: number;
  /** A minor page fault: trap, VMA lookup, page-table entry. */
  faultNs: number;
  /** Zeroing a fresh page. */
  pageZeroNs: number;
  /** Copying a page on write. */
  pageCopyNs: number;
  contextSwitchNs: number;
  /** A task runs on another CPU than before: what it used is in the old one's caches. */
  migrationNs: number;
  wakeNs: number;
  /** A timer or device interrupts a CPU: entry, acknowledgement, exit. */
  interruptNs: number;
  /** Putting bytes into a connection's send queue. */
  tcpSendNs: number;
  /** A TCP segment over loopback, down the stack, through the softirq, and into the receiver's queue. */
  tcpSegmentNs: number;
  /** Taking bytes off a connection: the receiving half of the stack, with its window updates. */
  tcpReceiveNs: number;
  /** A write to a regular file, beside the copy: finding or making the page, times, dirty marks. */
  fileWriteNs: number;
  /** Setting blocks aside, and cutting a file: a journal transaction each. */
  fallocateNs: number;
  truncateNs: number;
  /** One component of a path walk. */
  pathComponentNs: number;
  openNs: number;
  closeNs: number;
  /** Making, splitting or removing a VMA. */
  vmaNs: number;
  /** Setting or clearing one page-table entry. */
  pteNs: number;
  forkNs: number;
  exitNs: number;
  /** Making a thread, of a process or of the kernel, and its end. */
  threadNs: number;
  threadExitNs: number;
  /** Looking at a page that may be reclaimed. */
  scanPageNs: number;
  /** What a CPU does for one request to the disk, from asking to its end. */
  diskRequestNs: number;
  /** One 4 KiB transfer of the swap disk. */
  diskPageNs: number;
  /** A line of the log. */
  printkNs: number;
  /** A line on a screen: of the log on the console, of a program on a terminal. */
  consoleNs: number;
  /** A write to a terminal, beside what it takes to show its lines. */
  ttyWriteNs: number;
}

/** What a piece of work costs, what that is, and where the figure comes from. */
export interface Figure {
  ns: number;
  what: string;
  source: string;
}

export type Figures = { [name in keyof CostProfile]: Figure };

/** The bare numbers, as an object of one shape: they are read at every step. */
function numbers(f: Figures): CostProfile {
  return {
    syscallNs: f.syscallNs.ns,
    stepNs: f.stepNs.ns,
    programStepNs: f.programStepNs.ns,
    vdsoNs: f.vdsoNs.ns,
    copyPerByteNs: f.copyPerByteNs.ns,
    faultNs: f.faultNs.ns,
    pageZeroNs: f.pageZeroNs.ns,
    pageCopyNs: f.pageCopyNs.ns,
    contextSwitchNs: f.contextSwitchNs.ns,
    migrationNs: f.migrationNs.ns,
    wakeNs: f.wakeNs.ns,
    interruptNs: f.interruptNs.ns,
    tcpSendNs: f.tcpSendNs.ns,
    tcpSegmentNs: f.tcpSegmentNs.ns,
    tcpReceiveNs: f.tcpReceiveNs.ns,
    fileWriteNs: f.fileWriteNs.ns,
    fallocateNs: f.fallocateNs.ns,
    truncateNs: f.truncateNs.ns,
    pathComponentNs: f.pathComponentNs.ns,
    openNs: f.openNs.ns,
    closeNs: f.closeNs.ns,
    vmaNs: f.vmaNs.ns,
    pteNs: f.pteNs.ns,
    forkNs: f.forkNs.ns,
    exitNs: f.exitNs.ns,
    threadNs: f.threadNs.ns,
    threadExitNs: f.threadExitNs.ns,
    scanPageNs: f.scanPageNs.ns,
    diskRequestNs: f.diskRequestNs.ns,
    diskPageNs: f.diskPageNs.ns,
    printkNs: f.printkNs.ns,
    consoleNs: f.consoleNs.ns,
    ttyWriteNs: f.ttyWriteNs.ns,
  };
}

/** With their sources, by machine profile. */
export const figures: { [name: string]: Figures } = { default: defaultFigures };

export const profiles: { [name: string]: CostProfile } = { default: numbers(defaultFigures) };
