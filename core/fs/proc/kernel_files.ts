/** Files of /proc about the kernel as a whole (proc(5)). */
import { LINUX_BANNER } from "../../abi/release.ts";
import type { Kernel } from "../../kernel.ts";
import { centiseconds } from "../../lib/format.ts";
import { cpuAccount } from "../../sched/cpu_time.ts";
import { boottimeNs } from "../../time/clock.ts";
import { devicesText } from "../char_dev.ts";
import { fileSystemTypes } from "../fs_type.ts";
import { locksText } from "../locks.ts";
import { miscText } from "../misc.ts";
import { procDir, procFile, procLink } from "./registry.ts";

/** Seconds since boot, and seconds that all CPUs together were idle. */
function uptime(k: Kernel): string {
  const idleNs = k.state.sched.cpus.reduce((sum, cpu) => sum + cpuAccount(k, cpu).idle, 0);
  return `${centiseconds(boottimeNs(k))} ${centiseconds(idleNs)}\n`;
}

procFile("uptime", uptime);
procFile("version", () => `${LINUX_BANNER}\n`);
procFile("cmdline", ({ state: { machine } }) => `console=ttyS0${machine.ssmem === undefined ? "" : ` ssmem=${machine.ssmem}`}\n`);
procFile("devices", devicesText);
procFile("misc", miscText);
procFile("locks", locksText);
procFile("consoles", () => "ttyS0                -W- (EC p a)    4:64\n");
procFile("execdomains", () => "0-0\tLinux           \t[kernel]\n");
procFile("dma", () => " 4: cascade\n");
procFile("fb", () => "");
procFile("cgroups", () => "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
for (const name of ["acpi", "bus", "driver", "fs", "irq", "tty"]) procDir(name);
procDir("pressure");

/** Views have no self: they look through init's eyes. */
const ownLink = (name: string): void => procLink(name, (_k, ctx) => `${ctx.tid === 0 ? "1" : "self"}/${name}`);
ownLink("mounts");

procDir("net");

const STORED_TYPES = ["tmpfs", "devtmpfs", "ramfs"];
/** In the order in which the recorded kernel registered them; only types that exist here, and those without a mount of their own. */
const TYPE_ORDER = ["sysfs", "tmpfs", "proc", "devtmpfs", "debugfs", "sockfs", "pipefs", "ramfs"];

function filesystems(): string {
  const known = [...TYPE_ORDER, ...[...fileSystemTypes.keys(), ...STORED_TYPES].filter((name) => !TYPE_ORDER.includes(name))];
  return known.map((name) => `nodev\t${name}\n`).join("");
}
procFile("filesystems", filesystems);
