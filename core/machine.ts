/** The machine that a session boots: what a caller may choose, its limits and its defaults. */

export interface MachineOptions {
  ramMiB?: number;
  swapMiB?: number;
  cpus?: number;
  hz?: number;
  clock?: "real" | "virtual";
  seed?: number;
  profile?: string;
  /** Modes that udev gives to device nodes as they appear: name → octal text such as "0666". */
  udev?: { [device: string]: string };
  /** How the system calls 320 and 321 are built: core/labs/ssmem/design.ts. */
  ssmem?: "fault" | "anon" | "seed";
}

/** What a caller did not choose is the default's, except that a machine without a word on ssmem has "fault". */
export type Machine = Required<Omit<MachineOptions, "ssmem">> & Pick<MachineOptions, "ssmem">;

export const DEFAULT_MACHINE: Machine = {
  ramMiB: 64, swapMiB: 64, cpus: 2, hz: 250, clock: "real", seed: 1, profile: "default", udev: {},
};

/** What a caller may ask for; the service checks it and `/v1/limits` shows it. */
export const MACHINE_LIMITS = {
  ramMiB: { min: 8, max: 256 },
  swapMiB: { min: 0, max: 256 },
  /** RAM and swap of one session together. */
  memoryMiB: 256,
  cpus: { min: 1, max: 8 },
  hz: [100, 250, 300, 1000],
} as const;
