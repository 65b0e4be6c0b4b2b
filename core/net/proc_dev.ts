/** /proc/net/{dev,route,snmp,netstat,protocols …}: devices, what was counted, and protocols (net-procfs.c, fib_trie.c, net/ipv4/proc.c, sock.c). */
import { procFile } from "../fs/proc/registry.ts";
import { NET_RX_SOFTIRQ } from "../irq/state.ts";
import type { Kernel } from "../kernel.ts";
import { isLoopbackDevice, netmask, type NetDevice } from "./device.ts";
import { TCP_CLOSE_WAIT, TCP_ESTABLISHED } from "./tcp_states.ts";

const hex = (value: number, width: number): string => (value >>> 0).toString(16).padStart(width, "0");
const HEX = (value: number): string => hex(value, 8).toUpperCase();
/** An address as its bytes lie in memory. */
const swapped = (addr: number): string => HEX(((addr & 0xff) << 24) | ((addr & 0xff00) << 8) | ((addr >>> 8) & 0xff00) | (addr >>> 24));

function devText(k: Kernel): string {
  const pad = (value: number, width: number): string => String(value).padStart(width);
  const row = ({ name, rxBytes, rxPackets, txBytes, txPackets }: NetDevice): string =>
    `${name.padStart(6)}: ${pad(rxBytes, 7)} ${pad(rxPackets, 7)}    0    0    0     0          0         0 ${pad(txBytes, 8)} ${pad(txPackets, 7)}`
    + "    0    0    0     0       0          0\n";
  return "Inter-|   Receive                                                |  Transmit\n"
    + " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
    + k.state.net.devices.map(row).join("");
}

/** Networks that a device leads to; the local ones stand in another table. */
function routeText(k: Kernel): string {
  const lines = ["Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"];
  for (const device of k.state.net.devices) {
    if (isLoopbackDevice(device)) continue;
    for (const { addr, prefix } of device.addresses) {
      const mask = netmask(prefix);
      lines.push(`${device.name}\t${swapped(addr & mask)}\t00000000\t0001\t0\t0\t0\t${swapped(mask)}\t0\t0\t0`);
    }
  }
  return lines.map((line) => `${line.padEnd(127)}\n`).join("");
}

/** Two lines a table, as netstat(8) reads them: names, and numbers. */
function table(name: string, values: { [counter: string]: number }): string {
  return `${name}: ${Object.keys(values).join(" ")}\n${name}: ${Object.values(values).join(" ")}\n`;
}

/** Counters of which none ever moves here. */
function zeros(names: string): { [counter: string]: number } {
  return Object.fromEntries(names.split(" ").map((name) => [name, 0]));
}

const UDP_NAMES = "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors";

function snmpText(k: Kernel): string {
  const { mib, devices, sockets } = k.state.net;
  const rx = devices.reduce((sum, { rxPackets }) => sum + rxPackets, 0);
  const tx = devices.reduce((sum, { txPackets }) => sum + txPackets, 0);
  let established = 0;
  for (const { tcp, sk } of sockets.values()) if (tcp !== null && (sk === TCP_ESTABLISHED || sk === TCP_CLOSE_WAIT)) established++;
  return table("Ip", {
    Forwarding: 2, DefaultTTL: 64, InReceives: rx, ...zeros("InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards"),
    InDelivers: rx, OutRequests: tx, ...zeros("OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates"),
  }) + table("Icmp", zeros("InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps "
    + "InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs "
    + "OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps"))
    + table("Tcp", {
      RtoAlgorithm: 1, RtoMin: 200, RtoMax: 120_000, MaxConn: -1, ActiveOpens: mib.tcpActiveOpens, PassiveOpens: mib.tcpPassiveOpens,
      AttemptFails: mib.tcpAttemptFails, EstabResets: mib.tcpEstabResets, CurrEstab: established, InSegs: mib.tcpSegs,
      OutSegs: mib.tcpSegs - mib.tcpSynRetrans, RetransSegs: mib.tcpSynRetrans, InErrs: 0, OutRsts: mib.tcpOutRsts, InCsumErrors: 0,
    })
    + table("Udp", {
      ...zeros(UDP_NAMES), InDatagrams: mib.udpInDatagrams, NoPorts: mib.udpNoPorts, InErrors: mib.udpRcvbufErrors, OutDatagrams: mib.udpOutDatagrams,
      RcvbufErrors: mib.udpRcvbufErrors,
    }) + table("UdpLite", zeros(UDP_NAMES));
}

const TCP_EXT = "SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled RcvPruned OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter "
  + "TW TWRecycled TWKilled PAWSActive PAWSEstab DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows ListenDrops TCPHPHits TCPPureAcks TCPHPAcks "
  + "TCPRenoRecovery TCPSackRecovery TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo TCPPartialUndo TCPDSACKUndo TCPLossUndo "
  + "TCPLostRetransmit TCPRenoFailures TCPSackFailures TCPLossFailures TCPFastRetrans TCPSlowStartRetrans TCPTimeouts TCPLossProbes TCPLossProbeRecovery "
  + "TCPRenoRecoveryFail TCPSackRecoveryFail TCPRcvCollapsed TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv TCPAbortOnData "
  + "TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard "
  + "TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPSackShifted TCPSackMerged TCPSackShiftFallback "
  + "TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop "
  + "TCPRetransFail TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail "
  + "TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow TCPFastOpenCookieReqd TCPFastOpenBlackhole TCPSpuriousRtxHostQueues "
  + "BusyPollRxPackets TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent TCPHystartTrainDetect "
  + "TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2 "
  + "TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive TCPMTUPFail TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed "
  + "TCPZeroWindowDrop TCPRcvQDrop TCPWqueueTooBig TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs TCPDSACKIgnoredDubious "
  + "TCPMigrateReqSuccess TCPMigrateReqFailure";
const IP_EXT = "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets "
  + "OutBcastOctets InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps";

function netstatText(k: Kernel): string {
  const { mib, devices } = k.state.net;
  const sum = (of: (device: NetDevice) => number): number => devices.reduce((total, device) => total + of(device), 0);
  return table("TcpExt", {
    ...zeros(TCP_EXT), SyncookiesSent: mib.synCookies, TCPReqQFullDoCookies: mib.synCookies, ListenOverflows: mib.listenOverflows,
    ListenDrops: mib.listenOverflows, TCPTimeouts: mib.tcpSynRetrans, TCPSynRetrans: mib.tcpSynRetrans, TcpTimeoutRehash: mib.tcpSynRetrans,
    TCPLostRetransmit: mib.tcpLostRetransmits,
  }) + table("IpExt", {
    ...zeros(IP_EXT), InOctets: sum(({ rxBytes }) => rxBytes), OutOctets: sum(({ txBytes }) => txBytes), InNoECTPkts: sum(({ rxPackets }) => rxPackets),
  });
}

/** Name, size of a socket's record, largest header, whether a slab of its own, and which operations there are (struct proto). */
const PROTOCOLS: readonly [name: string, size: number, memory: boolean, maxhdr: number, operations: string, of: string][] = [
  ["UNIX-STREAM", 960, false, 0, "y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  y  n  n", "unix_stream"],
  ["UNIX", 960, false, 0, "y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n", "unix_dgram unix_seqpacket"],
  ["UDP", 1072, true, 0, "y  y  y  n  y  y  y  n  y  y  y  y  y  n  n  y  y  y  n", "udp"],
  ["TCP", 2184, true, 256, "y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y", "tcp"],
];

function protocolsText(k: Kernel): string {
  let text = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n";
  for (const [name, size, memory, maxhdr, operations, of] of PROTOCOLS) {
    const among = of.split(" ");
    let sockets = 0;
    let bytes = 0;
    for (const { proto, tcp, udp } of k.state.net.sockets.values()) {
      if (!among.includes(proto)) continue;
      sockets++;
      bytes += (udp?.allocated ?? 0) + (tcp === null ? 0 : tcp.send.length + tcp.receive.length);
    }
    text += `${name.padEnd(9)} ${String(size).padStart(4)} ${String(sockets).padStart(6)}  ${String(memory ? Math.ceil(bytes / 4096) : -1).padStart(6)}   `
      + `${name === "TCP" ? "no" : "NI"}   ${String(maxhdr).padStart(6)}   yes  kernel      ${operations}\n`;
  }
  return text;
}

function softnetText(k: Kernel): string {
  return k.state.irq.cpus.map(({ softirqs }, cpu) => `${hex(softirqs[NET_RX_SOFTIRQ], 8)} ${"00000000 ".repeat(11)}${hex(cpu, 8)}\n`).join("");
}

/** The only group of a device is that of all hosts. */
function igmpText(k: Kernel): string {
  return "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" + k.state.net.devices.map(({ index, name }) =>
    `${index}\t${name.padEnd(10)}: ${"1".padStart(5)}      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n`).join("");
}

const DATAGRAMS = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";

procFile("net/dev", devText);
procFile("net/route", routeText);
procFile("net/snmp", snmpText);
procFile("net/netstat", netstatText);
procFile("net/protocols", protocolsText);
procFile("net/softnet_stat", softnetText);
procFile("net/igmp", igmpText);
procFile("net/dev_mcast", () => "");
procFile("net/arp", () => "IP address       HW type     Flags       HW address            Mask     Device\n");
procFile("net/rt_cache", () => `${"Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\tHHUptod\tSpecDst".padEnd(127)}\n`);
procFile("net/mcfilter", () => "Idx Device        MCA        SRC    INC    EXC\n");
procFile("net/psched", () => "000003e8 00000040 000f4240 3b9aca00\n");
procFile("net/ptype", () => "Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n");
procFile("net/raw", () => `${DATAGRAMS}\n`);
procFile("net/icmp", () => `${DATAGRAMS.padEnd(127)}\n`);
procFile("net/udplite", () => `${` ${DATAGRAMS}`.padEnd(127)}\n`);
