/** /proc/net/{tcp,udp,unix,sockstat}: the sockets of the machine as text (tcp_ipv4.c, udp.c, af_unix.c, net/ipv4/proc.c). */
import { SOL_TCP, TCP_KEEPIDLE } from "../abi/socket.ts";
import { procFile } from "../fs/proc/registry.ts";
import type { Kernel } from "../kernel.ts";
import { hashPointer } from "../lib/hash.ts";
import { now } from "../time/clock.ts";
import { inetOf, tcpOf, unixOf, type Socket } from "./socket.ts";
import type { TimeWait } from "./state.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_FIN_WAIT2, TCP_LISTEN, TCP_SYN_SENT, TCP_TIME_WAIT } from "./tcp_states.ts";

const TCP_WIDTH = 149;
const UDP_WIDTH = 127;
/** Ticks of a clock_t. */
const TICK_NS = 10_000_000;
/** tcp_keepalive_time, seconds. */
const KEEPIDLE = 7200;
/** __SO_ACCEPTCON, and the states of struct socket. */
const ACCEPTCON = 0x10000;
const STATES = { unconnected: 1, connecting: 2, connected: 3, disconnecting: 4 } as const;

const hex = (value: number, width: number): string => (value >>> 0).toString(16).toUpperCase().padStart(width, "0");

/** An address as these files have it: the bytes in memory order of a little-endian machine. */
function address(addr: number, port: number): string {
  const swapped = ((addr & 0xff) << 24) | ((addr & 0xff00) << 8) | ((addr >>> 8) & 0xff00) | (addr >>> 24);
  return `${hex(swapped, 8)}:${hex(port, 4)}`;
}

/** What %p prints for a socket: the same for a boot, telling nothing about where it lies. */
export function socketPointer(k: Kernel, id: number): string {
  const slab = 0xffff_8880_0000_0000n + BigInt(id) * 0x400n;
  return hashPointer(slab, { k0: k.state.machine.seed, k1: 0x736f_636b }).toString(16).padStart(16, "0");
}

/** Ticks until a silent peer is asked whether it still lives; on the loopback it answers, and the time begins again. */
function keepAliveTicks(k: Kernel, { options, tcp }: Socket): number {
  const idleNs = (options.stored.get(`${SOL_TCP}:${TCP_KEEPIDLE}`) ?? KEEPIDLE) * 1e9;
  return Math.ceil((idleNs - ((now(k) - (tcp?.keptSinceNs ?? 0)) % idleNs)) / TICK_NS);
}

function tcpRow(k: Kernel, index: number, socket: Socket): string {
  const inet = inetOf(socket);
  const tcp = tcpOf(socket);
  const listening = socket.sk === TCP_LISTEN;
  const receive = listening ? tcp.acceptQueue.length : tcp.receive.length + Number(tcp.finUnread);
  const kept = socket.options.keepAlive && tcp.timer === 0 && !listening && socket.sk !== TCP_CLOSE;
  const timer = kept ? 2 : tcp.timer === 0 ? 0 : socket.sk === TCP_SYN_SENT ? 1 : 2;
  const left = kept ? keepAliveTicks(k, socket) : tcp.timer === 0 ? 0 : Math.max(0, Math.ceil((tcp.expiresNs - now(k)) / TICK_NS));
  const peer = listening ? address(0, 0) : address(inet.peerAddr, inet.peerPort);
  const tail = listening ? "100 0 0 10 0" : "20 4 30 10 -1";
  const text = `${String(index).padStart(4)}: ${address(inet.localAddr, inet.localPort)} ${peer} ${hex(socket.sk, 2)} `
    + `${hex(tcp.send.length, 8)}:${hex(receive, 8)} ${hex(timer, 2)}:${hex(left, 8)} ${hex(tcp.retries, 8)} `
    + `${String(socket.uid).padStart(5)} ${"0".padStart(8)} ${socket.file === 0 ? 0 : socket.ino} 1 ${socketPointer(k, socket.id)} ${tail}`;
  return text.padEnd(TCP_WIDTH);
}

function timeWaitRow(k: Kernel, index: number, entry: Omit<TimeWait, "id" | "reuseAddr" | "reusePort" | "timer">, state = TCP_TIME_WAIT): string {
  const left = Math.max(0, Math.ceil((entry.expiresNs - now(k)) / TICK_NS));
  const text = `${String(index).padStart(4)}: ${address(entry.localAddr, entry.localPort)} ${address(entry.peerAddr, entry.peerPort)} `
    + `${hex(state, 2)} 00000000:00000000 03:${hex(left, 8)} 00000000 ${"0".padStart(5)} ${"0".padStart(8)} 0 3 0000000000000000`;
  return text.padEnd(TCP_WIDTH);
}

/** As Linux: an orphan whose FIN was acknowledged is no socket any more, but a small record beside those in TIME_WAIT. */
function inFinWait2({ sk, held, tcp }: Socket): boolean {
  return sk === TCP_FIN_WAIT2 && !held && tcp?.parent === 0;
}

/** Sockets that TCP knows: those with a port, and orphans. Listeners come first, as their table is walked first. */
function tcpText(k: Kernel): string {
  const { net } = k.state;
  const lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode".padEnd(TCP_WIDTH)];
  const known = [...net.sockets.values()].filter(({ proto, inet }) => proto === "tcp" && inet?.portHeld === true);
  const shown = [...known.filter(({ sk }) => sk === TCP_LISTEN), ...known.filter(({ sk, inet }) => sk !== TCP_LISTEN && inet?.peerPort !== 0)];
  for (const socket of shown) {
    const waits = inFinWait2(socket);
    lines.push(waits ? timeWaitRow(k, lines.length - 1, { ...inetOf(socket), expiresNs: tcpOf(socket).expiresNs }, TCP_FIN_WAIT2) : tcpRow(k, lines.length - 1, socket));
  }
  for (const entry of net.timeWaits.values()) lines.push(timeWaitRow(k, lines.length - 1, entry));
  return `${lines.join("\n")}\n`;
}

function udpText(k: Kernel): string {
  const header = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
  const lines = [header.padEnd(UDP_WIDTH)];
  for (const socket of k.state.net.sockets.values()) {
    if (socket.udp === null || socket.inet?.portHeld !== true) continue;
    const { localAddr, localPort, peerAddr, peerPort } = socket.inet;
    const text = `${String(localPort % 1024).padStart(5)}: ${address(localAddr, localPort)} ${address(peerAddr, peerPort)} ${hex(socket.sk, 2)} `
      + `00000000:${hex(socket.udp.allocated, 8)} 00:00000000 00000000 ${String(socket.uid).padStart(5)} ${"0".padStart(8)} ${socket.ino} 2 `
      + `${socketPointer(k, socket.id)} ${socket.udp.drops}`;
    lines.push(text.padEnd(UDP_WIDTH));
  }
  return `${lines.join("\n")}\n`;
}

function unixText(k: Kernel): string {
  let text = "Num       RefCount Protocol Flags    Type St Inode Path\n";
  for (const socket of k.state.net.sockets.values()) {
    if (socket.unix === null || socket.unix.dead) continue;
    const unix = unixOf(socket);
    const graft = socket.file !== 0;
    const connected = socket.sk === TCP_ESTABLISHED;
    const state = graft ? (connected ? STATES.connected : STATES.unconnected) : connected ? STATES.connecting : STATES.disconnecting;
    const refs = 2 + unix.peerRefs + unix.queue.length;
    text += `${socketPointer(k, socket.id)}: ${hex(refs, 8)} 00000000 ${hex(socket.sk === TCP_LISTEN ? ACCEPTCON : 0, 8)} `
      + `${hex(socket.type, 4)} ${hex(state, 2)} ${String(socket.ino).padStart(5)}${nameText(unix.name)}\n`;
  }
  return text;
}

/** " /path", or " @name" with an at sign for every NUL. */
function nameText(name: string | null): string {
  return name === null ? "" : ` ${name.replaceAll("\0", "@")}`;
}

function sockstatText(k: Kernel): string {
  const { net } = k.state;
  const counts = { used: 0, tcp: 0, orphan: 0, waits: net.timeWaits.size, alloc: 0, tcpBytes: 0, udp: 0, udpBytes: 0 };
  for (const socket of net.sockets.values()) {
    if (socket.held) counts.used++;
    if (inFinWait2(socket)) counts.waits++;
    else if (socket.proto === "tcp") {
      counts.alloc++;
      // A port alone does not count: the socket listens, or has a connection.
      if (socket.sk !== TCP_CLOSE) counts.tcp++;
      if (!socket.held && tcpOf(socket).parent === 0) counts.orphan++;
      counts.tcpBytes += tcpOf(socket).send.length + tcpOf(socket).receive.length;
    } else if (socket.udp !== null) {
      if (socket.inet?.portHeld === true) counts.udp++;
      counts.udpBytes += socket.udp.allocated;
    }
  }
  const pages = (bytes: number): number => Math.ceil(bytes / 4096);
  return `sockets: used ${counts.used}\n`
    + `TCP: inuse ${counts.tcp} orphan ${counts.orphan} tw ${counts.waits} alloc ${counts.alloc} mem ${pages(counts.tcpBytes)}\n`
    + `UDP: inuse ${counts.udp} mem ${pages(counts.udpBytes)}\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n`;
}

procFile("net/tcp", tcpText);
procFile("net/udp", udpText);
procFile("net/unix", unixText);
procFile("net/sockstat", sockstatText);

