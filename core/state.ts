/** The whole state of a kernel, one sub-state a room. Plain data: no functions, no class instances, ids instead of references. */
import type { Machine } from "./machine.ts";
import type { SchedState } from "./sched/state.ts";
import type { LogState } from "./sched/printk.ts";
import type { TimeState } from "./time/state.ts";
import type { IrqState } from "./irq/state.ts";
import type { MmState } from "./mm/state.ts";
import type { FsState } from "./fs/state.ts";
import type { NetState } from "./net/state.ts";
import type { IpcState } from "./ipc/state.ts";
import type { ProcessState } from "./process/state.ts";
import type { ModuleState } from "./module/state.ts";
import type { DriverState } from "./drivers/state.ts";
import type { CallState } from "./syscalls/state.ts";
import type { RngState } from "./lib/rng.ts";

export interface KernelState {
  machine: Machine;
  rng: RngState;
  log: LogState;
  sched: SchedState;
  time: TimeState;
  irq: IrqState;
  mm: MmState;
  fs: FsState;
  net: NetState;
  ipc: IpcState;
  process: ProcessState;
  drivers: DriverState;
  modules: ModuleState;
  /** Calls that sleep and the answers of those that did; the trace ring. */
  calls: CallState;
  /** Statics of things outside modules that a lab keeps in the core kernel, by name: plain records. */
  labs: Map<string, object>;
}
