/** What the network counts for /proc/net/snmp and netstat (include/net/snmp.h). */
export interface Mib {
  tcpActiveOpens: number;
  tcpPassiveOpens: number;
  tcpAttemptFails: number;
  tcpEstabResets: number;
  tcpOutRsts: number;
  tcpSegs: number;
  /** SYNs that were sent again, and those among them that had been before. */
  tcpSynRetrans: number;
  tcpLostRetransmits: number;
  /** SYNs beyond what may be half open. */
  synCookies: number;
  listenOverflows: number;
  udpInDatagrams: number;
  udpNoPorts: number;
  udpOutDatagrams: number;
  udpRcvbufErrors: number;
}

export function newMib(): Mib {
  return {
    tcpActiveOpens: 0, tcpPassiveOpens: 0, tcpAttemptFails: 0, tcpEstabResets: 0, tcpOutRsts: 0, tcpSegs: 0, tcpSynRetrans: 0, tcpLostRetransmits: 0,
    synCookies: 0, listenOverflows: 0, udpInDatagrams: 0, udpNoPorts: 0, udpOutDatagrams: 0, udpRcvbufErrors: 0,
  };
}
