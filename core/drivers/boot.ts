/** Devices at boot: the numbers that a default kernel registers, and those devices that exist here. */
import { ENODEV } from "../abi/errno.ts";
import { MKDEV, VDA } from "../abi/dev_t.ts";
import { MS_NOEXEC, MS_NOSUID, MS_RELATIME } from "../abi/mount.ts";
import { S_IFBLK, S_IFDIR } from "../abi/stat.ts";
import { makeDirectories } from "../fs/boot.ts";
import { attachMount, newSuperBlock } from "../fs/mount.ts";
import { assert } from "../lib/assert.ts";
import { PTY_MAX } from "./pty.ts";
import type { Kernel } from "../kernel.ts";
import { cdevAdd, registerChrdevRegion } from "../fs/char_dev.ts";
import { classCreate, deviceCreate } from "../fs/class.ts";
import { devtmpfsCreate } from "../fs/devtmpfs.ts";
import { debugfsCreateFile } from "../fs/debugfs/debugfs.ts";
import { fileOperations } from "../fs/file.ts";
import { bootMisc, miscRegister } from "../fs/misc.ts";

/**
 * /proc/devices of the recorded kernel: major, first minor, count, name. Those above 233 took dynamic numbers as they
 * came, so that the first module gets 246.
 */
const REGIONS: readonly [number, number, number, string][] = [
  [1, 0, 256, "mem"], [4, 0, 1, "/dev/vc/0"], [4, 1, 63, "tty"], [4, 64, 4, "ttyS"], [5, 0, 1, "/dev/tty"], [5, 1, 1, "/dev/console"],
  [5, 2, 1, "/dev/ptmx"], [7, 0, 256, "vcs"], [13, 0, 1024, "input"], [29, 0, 256, "fb"], [128, 0, 1048576, "ptm"],
  [136, 0, 1048576, "pts"], [153, 0, 256, "spi"], [254, 0, 256, "gpiochip"], [253, 0, 256, "tpm"], [252, 0, 256, "dax"],
  [251, 0, 16, "rtc"], [250, 0, 16, "pps"], [249, 0, 16, "ptp"], [248, 0, 256, "bsg"], [247, 0, 256, "cxl"],
];

/** Class, major, minor, name and mode of the devices that open here; the operations bear the name. */
const DEVICES: readonly [string, number, number, string, number][] = [
  ["mem", 1, 3, "null", 0o666], ["mem", 1, 5, "zero", 0o666], ["mem", 1, 7, "full", 0o666], ["mem", 1, 8, "random", 0o666],
  ["mem", 1, 9, "urandom", 0o666], ["mem", 1, 11, "kmsg", 0o644],
  ["tty", 5, 0, "tty", 0o666], ["tty", 5, 2, "ptmx", 0o666], ["tty", 5, 1, "console", 0], ["tty", 4, 64, "ttyS0", 0],
];
const OPERATIONS: { [name: string]: string } = { ttyS0: "console" };

/** The misc devices of the recorded kernel in the order in which they came; the dynamic ones took 127, 126 and 125. */
const MISC: readonly { minor: number; name: string; node?: string }[] = [
  { minor: 127, name: "vga_arbiter" }, { minor: 183, name: "hw_random", node: "hwrng" }, { minor: 231, name: "snapshot" },
  { minor: 126, name: "userfaultfd" }, { minor: 228, name: "hpet" }, { minor: 1, name: "psaux" }, { minor: 125, name: "cpu_dma_latency" },
];

/** Nodes whose hardware this machine lacks. */
fileOperations("absent", { open: () => -ENODEV });

/** /dev/pts, where the slaves of pseudoterminals stand. */
function mountPts(k: Kernel): void {
  const at = makeDirectories(k, "/dev/pts", S_IFDIR | 0o755, 0);
  assert(typeof at === "object", "/dev/pts cannot be made");
  attachMount(k, newSuperBlock(k, "devpts", { options: "mode=620,ptmxmode=666" }), at, { flags: MS_NOSUID | MS_NOEXEC | MS_RELATIME, source: "devpts" });
}

/** Registers them all; the tree with /dev is there. */
export function bootDrivers(k: Kernel): void {
  for (const [major, minor, count, name] of REGIONS) registerChrdevRegion(k, MKDEV(major, minor), count, name);
  bootMisc(k);
  debugfsCreateFile(k, "uevents", 0o400, "debugfs.uevents");
  for (const name of ["mem", "tty"]) classCreate(k, name);
  for (const [className, major, minor, name, mode] of DEVICES) {
    cdevAdd(k, MKDEV(major, minor), 1, OPERATIONS[name] ?? name);
    deviceCreate(k, className, MKDEV(major, minor), name, { mode });
  }
  cdevAdd(k, MKDEV(136, 0), PTY_MAX, "pts");
  mountPts(k);
  if (k.state.machine.swapMiB > 0) devtmpfsCreate(k, "vda", 0o660, VDA, S_IFBLK);
  for (const { minor, name, node } of MISC) miscRegister(k, { minor, name, ops: "absent", node });
}
