/** What the network keeps: sockets by id, who holds which port and name, and connections that wait out their time. */
import { newLoopback, type NetDevice } from "./device.ts";
import { newMib, type Mib } from "./mib.ts";
import type { Socket } from "./socket.ts";
import type { SynBurst } from "./syn_flood.ts";

/** A connection in TIME_WAIT: its port stays taken for a minute, its socket is gone. */
export interface TimeWait {
  id: number;
  localAddr: number;
  localPort: number;
  peerAddr: number;
  peerPort: number;
  reuseAddr: boolean;
  reusePort: boolean;
  timer: number;
  expiresNs: number;
}

/** Who uses a TCP port. */
export interface PortUsers {
  sockets: number[];
  timeWaits: number[];
  /** How many of the sockets listen. */
  listeners: number;
  /** All who have the port have it by connecting without one: more may, to other places (tb->fastreuse of -1). */
  byConnect: boolean;
}

export interface NetState {
  /** The loopback first. */
  devices: NetDevice[];
  mib: Mib;
  sockets: Map<number, Socket>;
  timeWaits: Map<number, TimeWait>;
  tcpPorts: Map<number, PortUsers>;
  udpPorts: Map<number, number[]>;
  /** Unix sockets by bound name: `<type>\0<name>` for the abstract name space, the inode's id for files. */
  unixAbstract: Map<string, number>;
  unixInodes: Map<number, number>;
  /** By listener, since SYNs that it had dropped first came again. */
  synBursts: Map<number, SynBurst>;
  /** Bytes that all queues hold together. */
  memory: number;
  /** Descriptors under way in messages, by the uid that sent them. */
  inFlight: Map<number, number>;
  /** Bytes that a kernel receive has brought, by tid, until the caller's next step takes them. */
  received: Map<number, Uint8Array>;
  nextSocket: number;
  nextTimeWait: number;
  /** Where the search for a free ephemeral port goes on: for bind and listen odd ports, for connect even ones. */
  nextBindPort: number;
  nextConnectPort: number;
  /** Begins far from those of TCP, as random ports would: nobody meets a UDP socket where a TCP one was. */
  nextUdpPort: number;
  /** Next automatic abstract name (five hexadecimal digits). */
  nextUnixName: number;
}

/** TCP_TIMEWAIT_LEN */
export const TIMEWAIT_NS = 60_000_000_000;
/** tcp_max_tw_buckets, as a kernel of 64 MiB has it; beyond it connections skip TIME_WAIT. */
export const TIMEWAITS_MAX = 4096;
/** The ports that sockets are given which ask for none, as long as ip_local_port_range says nothing else. */
export const LOCAL_PORT_FIRST = 32768;
export const LOCAL_PORT_LAST = 60999;

export function netInit(): NetState {
  return {
    devices: [newLoopback()], mib: newMib(), sockets: new Map(), timeWaits: new Map(), tcpPorts: new Map(), udpPorts: new Map(),
    unixAbstract: new Map(), unixInodes: new Map(), synBursts: new Map(), memory: 0, inFlight: new Map(), received: new Map(),
    nextSocket: 1, nextTimeWait: 1, nextBindPort: LOCAL_PORT_FIRST + 1, nextConnectPort: LOCAL_PORT_FIRST,
    nextUdpPort: (LOCAL_PORT_FIRST + LOCAL_PORT_LAST + 1) >> 1, nextUnixName: 1,
  };
}
