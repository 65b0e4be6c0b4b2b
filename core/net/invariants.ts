/** What must hold of the network between two inputs: counts that agree with what they count, and ids that lead somewhere. */
import type { Kernel } from "../kernel.ts";
import type { Socket } from "./socket.ts";
import { TCP_CLOSE, TCP_LISTEN } from "./tcp_states.ts";

/** What is broken, a sentence each; empty for a sound network. Pure, and slow: it looks at everything. */
export function netInvariants(k: Kernel): string[] {
  const { net } = k.state;
  const wrong: string[] = [];
  let memory = 0;
  const inFlight = new Map<number, number>();
  const allocated = new Map<number, number>();
  for (const [id, socket] of net.sockets) {
    if (socket.id !== id) wrong.push(`socket ${socket.id} is kept as ${id}`);
    if (socket.tcp !== null) memory += socket.tcp.send.length + socket.tcp.receive.length;
    if (socket.udp !== null) memory += [...socket.udp.queue, ...socket.udp.errors].reduce((sum, { truesize }) => sum + truesize, 0);
    for (const message of socket.unix?.queue ?? []) {
      memory += message.truesize;
      allocated.set(message.sender, (allocated.get(message.sender) ?? 0) + message.truesize);
      if (message.files.length > 0) inFlight.set(message.filesUid, (inFlight.get(message.filesUid) ?? 0) + message.files.length);
    }
    wrong.push(...fileProblems(k, socket), ...tcpProblems(k, socket), ...unixProblems(k, socket));
  }
  if (memory !== net.memory) wrong.push(`queues hold ${memory} bytes, and ${net.memory} are counted`);
  for (const socket of net.sockets.values()) {
    if (socket.unix !== null && socket.unix.allocated !== (allocated.get(socket.id) ?? 0)) {
      wrong.push(`socket ${socket.id} has ${allocated.get(socket.id) ?? 0} bytes under way, and ${socket.unix.allocated} are counted`);
    }
  }
  for (const uid of new Set([...inFlight.keys(), ...net.inFlight.keys()])) {
    if (inFlight.get(uid) !== net.inFlight.get(uid)) wrong.push(`uid ${uid} has ${inFlight.get(uid)} descriptors under way, and ${net.inFlight.get(uid)} are counted`);
  }
  return [...wrong, ...ports(k), ...names(k)];
}

function fileProblems(k: Kernel, { id, file, held }: Socket): string[] {
  if (file === 0) return [];
  const open = k.state.fs.files.get(file);
  return open?.ops === "socket" && open.private === id && held ? [] : [`socket ${id} says that file ${file} holds it`];
}

function tcpProblems(k: Kernel, { id, tcp, sk, held }: Socket): string[] {
  if (tcp === null) return [];
  const wrong: string[] = [];
  const peer = sk === TCP_CLOSE ? undefined : k.state.net.sockets.get(tcp.peer);
  if (peer?.tcp?.peer === id && peer.sk !== TCP_CLOSE && peer.held) {
    const [out, come] = [tcp.written - tcp.send.length, peer.tcp.taken + peer.tcp.receive.length];
    if (out !== come) wrong.push(`socket ${id} has sent ${out} bytes, and to socket ${peer.id} came ${come}`);
  }
  if (tcp.urgent !== null && tcp.urgent.at < tcp.taken) wrong.push(`socket ${id} has read beyond its urgent byte`);
  for (const { chunks, start, end, length } of [tcp.send, tcp.receive]) {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0) - start - (chunks.length === 0 ? 0 : chunks[chunks.length - 1].length - end);
    if (bytes !== length) wrong.push(`socket ${id} has a queue of ${bytes} bytes that says ${length}`);
  }
  for (const child of tcp.acceptQueue) {
    if (k.state.net.sockets.get(child)?.tcp?.parent !== id) wrong.push(`socket ${id} queues ${child}, which is no child of it`);
  }
  if (tcp.acceptQueue.length > 0 && sk !== TCP_LISTEN) wrong.push(`socket ${id} queues connections and does not listen`);
  if (tcp.timer !== 0 && k.state.time.timers.get(tcp.timer)?.arg !== id) wrong.push(`socket ${id} has timer ${tcp.timer}, which is not its own`);
  if (!held && tcp.parent === 0 && sk === TCP_CLOSE) wrong.push(`socket ${id} is closed and nobody's, and still there`);
  return wrong;
}

function unixProblems(k: Kernel, { id, unix }: Socket): string[] {
  if (unix === null) return [];
  const wrong: string[] = [];
  if (unix.peer !== 0 && k.state.net.sockets.get(unix.peer)?.unix == null) wrong.push(`socket ${id} is connected to ${unix.peer}, which is gone`);
  let refs = 0;
  for (const other of k.state.net.sockets.values()) if (other.unix?.peer === id) refs++;
  if (refs !== unix.peerRefs) wrong.push(`${refs} sockets are connected to socket ${id}, and ${unix.peerRefs} are counted`);
  if (unix.dead && refs === 0) wrong.push(`socket ${id} is dead and nobody's peer, and still there`);
  return wrong;
}

/** Every port lists exactly the sockets that hold it. */
function ports(k: Kernel): string[] {
  const { sockets, timeWaits, tcpPorts, udpPorts } = k.state.net;
  const wrong: string[] = [];
  const listed = (socket: Socket): boolean => {
    const port = socket.inet?.localPort ?? 0;
    return (socket.proto === "tcp" ? tcpPorts.get(port)?.sockets : udpPorts.get(port))?.includes(socket.id) ?? false;
  };
  for (const socket of sockets.values()) {
    if (socket.inet !== null && socket.inet.portHeld && !listed(socket)) wrong.push(`socket ${socket.id} holds port ${socket.inet.localPort}, which does not list it`);
  }
  for (const [port, users] of tcpPorts) {
    for (const id of users.sockets) if (sockets.get(id)?.inet?.localPort !== port || sockets.get(id)?.inet?.portHeld !== true) wrong.push(`TCP port ${port} lists socket ${id}`);
    const listeners = users.sockets.filter((id) => sockets.get(id)?.sk === TCP_LISTEN).length;
    if (listeners !== users.listeners) wrong.push(`TCP port ${port} has ${listeners} listeners, and ${users.listeners} are counted`);
    for (const id of users.timeWaits) if (timeWaits.get(id)?.localPort !== port) wrong.push(`TCP port ${port} lists connection ${id} in TIME_WAIT`);
  }
  for (const [port, ids] of udpPorts) for (const id of ids) if (sockets.get(id)?.inet?.localPort !== port) wrong.push(`UDP port ${port} lists socket ${id}`);
  return wrong;
}

function names(k: Kernel): string[] {
  const { sockets, unixAbstract, unixInodes } = k.state.net;
  const wrong: string[] = [];
  for (const [key, id] of unixAbstract) if (sockets.get(id)?.unix?.name !== key.slice(1)) wrong.push(`abstract name ${JSON.stringify(key)} leads to socket ${id}`);
  for (const [inode, id] of unixInodes) if (sockets.get(id)?.unix?.inode !== inode) wrong.push(`inode ${inode} leads to socket ${id}`);
  return wrong;
}
