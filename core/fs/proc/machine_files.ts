/** Files of /proc about the machine: what lies at which address and port, its timers, keys and algorithms (proc(5)). */
import { CAP_SYS_ADMIN } from "../../abi/capability.ts";
import type { Kernel } from "../../kernel.ts";
import { hex } from "../../lib/format.ts";
import { jiffies } from "../../time/jiffies.ts";
import { now } from "../../time/clock.ts";
import type { WalkContext } from "../fs_type.ts";
import { hasCapability } from "../permission.ts";
import { procDir, procFile } from "./registry.ts";

/** A range of addresses or ports; those inside another follow it. */
type Range = readonly [start: number, end: number, name: string, inner?: readonly Range[]];

/** Who may not know addresses sees zeros (r_show). */
function rangesText(ranges: readonly Range[], width: number, shown: boolean, indent = ""): string {
  return ranges.map(([start, end, name, inner = []]) => {
    const [from, to] = shown ? [start, end] : [0, 0];
    return `${indent}${hex(from, width)}-${hex(to, width)} : ${name}\n${rangesText(inner, width, shown, `${indent}  `)}`;
  }).join("");
}

const MIB = 1 << 20;
/** What the firmware keeps at the end of memory. */
const FIRMWARE = 0x2_0000;

function iomem(k: Kernel, ctx: WalkContext): string {
  const top = k.state.machine.ramMiB * MIB;
  const image: Range[] = [
    [16 * MIB, 30 * MIB + 0x1d31, "Kernel code"], [32 * MIB, 41 * MIB - 1, "Kernel rodata"], [42 * MIB, 44 * MIB + 0x4897f, "Kernel data"],
    [50 * MIB, 60 * MIB - 1, "Kernel bss"],
  ];
  const ranges: Range[] = [
    [0, 0xfff, "Reserved"], [0x1000, 0x9fbff, "System RAM"], [0x9fc00, 0x9ffff, "Reserved"], [0xa0000, 0xbffff, "PCI Bus 0000:00"],
    [0xc0000, 0xc9bff, "Video ROM"], [0xf0000, 0xfffff, "Reserved", [[0xf0000, 0xfffff, "System ROM"]]],
    [MIB, top - FIRMWARE - 1, "System RAM", image.filter(([, end]) => end < top - FIRMWARE)],
    [top - FIRMWARE, top - 1, "Reserved"], [top, 0xfebf_ffff, "PCI Bus 0000:00"], [0xfec0_0000, 0xfec0_03ff, "IOAPIC 0"],
    [0xfed0_0000, 0xfed0_03ff, "HPET 0"], [0xfee0_0000, 0xfee0_0fff, "Local APIC"], [0xfffc_0000, 0xffff_ffff, "Reserved"],
  ];
  return rangesText(ranges, 8, hasCapability(ctx.cred, CAP_SYS_ADMIN));
}
procFile("iomem", iomem);

const PORTS: readonly Range[] = [
  [0x0, 0xcf7, "PCI Bus 0000:00", [
    [0x0, 0x1f, "dma1"], [0x20, 0x21, "pic1"], [0x40, 0x43, "timer0"], [0x50, 0x53, "timer1"], [0x60, 0x60, "keyboard"], [0x64, 0x64, "keyboard"],
    [0x70, 0x77, "rtc0"], [0x80, 0x8f, "dma page reg"], [0xa0, 0xa1, "pic2"], [0xc0, 0xdf, "dma2"], [0xf0, 0xff, "fpu"], [0x3f8, 0x3ff, "serial"],
  ]],
  [0xcf8, 0xcff, "PCI conf1"], [0xd00, 0xffff, "PCI Bus 0000:00"],
];
procFile("ioports", (_k, ctx) => rangesText(PORTS, 4, hasCapability(ctx.cred, CAP_SYS_ADMIN)));

/** A name, a driver and what else /proc/crypto says of an algorithm. */
function algorithm(fields: { [name: string]: string | number }): string {
  const common = { module: "kernel", priority: 100, refcnt: 1, selftest: "passed", internal: "no" };
  const { name, driver, ...rest } = fields;
  return `${Object.entries({ name, driver, ...common, ...rest }).map(([key, value]) => `${key.padEnd(12)} : ${value}`).join("\n")}\n\n`;
}
const hash = (name: string, blocksize: number, digestsize: number): string =>
  algorithm({ name, driver: `${name}-generic`, type: "shash", blocksize, digestsize });
procFile("crypto", () => hash("sha256", 64, 32) + hash("sha224", 64, 28) + hash("sha1", 64, 20) + hash("crc32c", 1, 4)
  + algorithm({ name: "aes", driver: "aes-generic", type: "cipher", blocksize: 16, "min keysize": 16, "max keysize": 32 }));

/** Keys are not offered (add_key is ENOSYS): root has those that the kernel made for itself. */
procFile("key-users", () => "    0:     2 1/1 1/1000000 9/25000000\n");
procFile("keys", () => "");
procFile("mtrr", () => "", { mode: 0o644 });

/** Writing asks for nothing that this kernel would do: sync, help and the like pass without a trace. */
procFile("sysrq-trigger", () => "", { mode: 0o200, write: (_k, _task, text) => text.length });
procDir("dynamic_debug");
procFile("dynamic_debug/control", () => "# filename:lineno [module]function flags format\n", { mode: 0o644, write: (_k, _task, text) => text.length });

const CLOCKS = ["ktime_get", "ktime_get_real", "ktime_get_boottime", "ktime_get_clocktai"];
const CLOCK_BASES = 8;

/** The bases of a CPU's high-resolution timers, hard ones and soft ones; which timers wait there is not told. */
function clockBases(k: Kernel): string {
  const { realtimeOffsetNs, suspendedNs } = k.state.time;
  const offsets = [0n, realtimeOffsetNs, BigInt(suspendedNs), realtimeOffsetNs];
  let text = "";
  for (let index = 0; index < CLOCK_BASES; index++) {
    text += ` clock ${index}:\n  .base:       ${hex(0, 16)}\n  .index:      ${index}\n  .resolution: 1 nsecs\n`
      + `  .get_time:   ${CLOCKS[index % CLOCKS.length]}\n  .offset:     ${offsets[index % CLOCKS.length]} nsecs\nactive timers:\n`;
  }
  return text;
}

function timerList(k: Kernel): string {
  const nowNs = now(k);
  let text = `Timer List Version: v0.9\nHRTIMER_MAX_CLOCK_BASES: ${CLOCK_BASES}\nnow at ${nowNs} nsecs\n\n`;
  const numbers = (rows: readonly [string, number | string][]): string => rows.map(([name, value]) => `  .${name.padEnd(15)}: ${value}\n`).join("");
  for (const { id } of k.state.sched.cpus) {
    text += `cpu: ${id}\n${clockBases(k)}`;
    text += numbers([["expires_next", "9223372036854775807 nsecs"], ["hres_active", 1], ["nr_events", 0], ["nr_retries", 0], ["nr_hangs", 0],
      ["max_hang_time", 0], ["nohz_mode", 2], ["last_tick", "0 nsecs"], ["tick_stopped", 0], ["idle_jiffies", 0], ["idle_calls", 0],
      ["idle_sleeps", 0], ["idle_entrytime", `${nowNs} nsecs`], ["idle_waketime", "0 nsecs"], ["idle_exittime", "0 nsecs"],
      ["idle_sleeptime", "0 nsecs"], ["iowait_sleeptime", "0 nsecs"], ["last_jiffies", 0], ["next_timer", 0], ["idle_expires", "0 nsecs"]]);
    text += `jiffies: ${jiffies(k)}\n\n`;
  }
  return text;
}
procFile("timer_list", timerList, { mode: 0o400 });
