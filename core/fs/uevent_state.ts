/** What is kept of the messages about objects that came and went. */

export interface Uevent {
  sequence: number;
  /** Kernel time, ns. */
  ns: number;
  action: string;
  /** Below /sys: "/devices/virtual/simrupt/simrupt". */
  path: string;
  subsystem: string;
  /** Further lines, such as MAJOR=10. */
  env: string[];
}

export interface UeventState {
  /** How many there were: /sys/kernel/uevent_seqnum. */
  sequence: number;
  recent: Uevent[];
}

export const ueventInit = (): UeventState => ({ sequence: 0, recent: [] });
