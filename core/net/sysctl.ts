/** /proc/sys/net: what may be set of the network, and what is fixed here (ip-sysctl.rst; values as Linux 6.1 boots with). */
import { SOMAXCONN } from "../abi/socket.ts";
import { procFile } from "../fs/proc/registry.ts";
import { sysctlInteger, sysctlIntegers, sysctlList, sysctlValue } from "../fs/proc/sysctl.ts";
import type { Kernel } from "../kernel.ts";
import { LOCAL_PORT_FIRST, LOCAL_PORT_LAST, TIMEWAITS_MAX } from "./state.ts";

const READ_ONLY = 0o444;
const PORT_MAX = 65535;
const UNPRIVILEGED_PORT = 1024;
const PORT_RANGE = "net/ipv4/ip_local_port_range";
const DEFAULT_RANGE = [LOCAL_PORT_FIRST, LOCAL_PORT_LAST] as const;

sysctlInteger("net/core/somaxconn", { value: SOMAXCONN, min: 0 });
sysctlInteger("net/ipv4/tcp_syn_retries", { value: 6, min: 1, max: 127 });
// Linux keeps it in jiffies, of which an int has room for so many seconds at 250 a second.
sysctlInteger("net/ipv4/tcp_fin_timeout", { value: 60, max: Math.floor(0x7fff_ffff / 250) });
sysctlIntegers(PORT_RANGE, DEFAULT_RANGE, 0o644, ([first, last]) => first >= UNPRIVILEGED_PORT && first <= last && last <= PORT_MAX);

/** The longest accept queue that listen(2) grants. */
export const somaxconn = (k: Kernel): number => sysctlValue(k, "net/core/somaxconn");

/** How often a SYN is repeated that nobody answers. */
export const synRetries = (k: Kernel): number => sysctlValue(k, "net/ipv4/tcp_syn_retries");

/** tcp_fin_timeout as it was set, seconds. */
export const finTimeoutShown = (k: Kernel): number => sysctlValue(k, "net/ipv4/tcp_fin_timeout");

/** Seconds that the end which nobody holds any more waits for its peer's FIN: three and a half times the least retransmission timeout, or more. */
export const finTimeout = (k: Kernel): number => Math.max(0.7, finTimeoutShown(k));

/** First and last of the ports that are given. */
export function localPorts(k: Kernel): readonly number[] {
  return sysctlList(k, PORT_RANGE, DEFAULT_RANGE);
}

/** What the code knows as constants: shown, and not to be changed. */
const FIXED: { [path: string]: number } = {
  "core/rmem_default": 212_992, "core/rmem_max": 212_992, "core/wmem_default": 212_992, "core/wmem_max": 212_992,
  "ipv4/ip_forward": 0, "ipv4/ip_nonlocal_bind": 0, "ipv4/ip_unprivileged_port_start": UNPRIVILEGED_PORT, "ipv4/ip_default_ttl": 64,
  "ipv4/tcp_abort_on_overflow": 0, "ipv4/tcp_syncookies": 1, "ipv4/tcp_timestamps": 1, "ipv4/tcp_window_scaling": 1, "ipv4/tcp_sack": 1,
  "ipv4/tcp_tw_reuse": 2, "ipv4/tcp_keepalive_time": 7200, "ipv4/tcp_keepalive_intvl": 75, "ipv4/tcp_keepalive_probes": 9,
  "ipv4/tcp_retries1": 3, "ipv4/tcp_retries2": 15, "ipv4/tcp_synack_retries": 5, "ipv4/tcp_max_tw_buckets": TIMEWAITS_MAX, "unix/max_dgram_qlen": 10,
};
for (const [path, value] of Object.entries(FIXED)) sysctlInteger(`net/${path}`, { value, mode: READ_ONLY });
sysctlIntegers("net/ipv4/tcp_rmem", [4096, 131_072, 6_291_456]);
sysctlIntegers("net/ipv4/tcp_wmem", [4096, 16_384, 4_194_304]);
procFile("sys/net/ipv4/tcp_congestion_control", () => "cubic\n");
procFile("sys/net/ipv4/tcp_available_congestion_control", () => "reno cubic\n");
