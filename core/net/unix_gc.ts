/** Unix sockets that nobody can reach any more, for only messages under way hold them, in circles (net/unix/garbage.c). */
import type { Kernel } from "../kernel.ts";
import { detachFiles, putFiles } from "./scm.ts";
import { unixOf, type Socket } from "./socket.ts";
import { removeMessage } from "./unix_queue.ts";

/**
 * Empties the queues of sockets that hold each other and that no process and no kernel code holds: their files are put, and
 * released as the last of them goes. As Linux, only the close of a unix socket looks for them: a circle that is left by the
 * close of its last descriptor itself waits for the next.
 */
export function collectGarbage(k: Kernel): void {
  const { net } = k.state;
  if (net.inFlight.size === 0) return;
  const candidates = onlyInFlight(k);
  if (candidates.size === 0) return;
  const reached = new Set<number>();
  for (const { id, unix, held } of net.sockets.values()) if (unix !== null && held && !candidates.has(id)) reach(k, id, reached);
  const hit: number[] = [];
  for (const id of candidates) if (!reached.has(id)) empty(k, id, candidates, hit);
  putFiles(k, hit);
}

/** The socket of an open file, null of files of other kinds. */
function unixSocketOf(k: Kernel, file: number): Socket | null {
  const open = k.state.fs.files.get(file);
  const socket = open?.ops === "socket" ? k.state.net.sockets.get(open.private) : undefined;
  return socket?.unix == null ? null : socket;
}

/** Sockets all of whose file's holders are messages. */
function onlyInFlight(k: Kernel): Set<number> {
  const counts = new Map<number, number>();
  for (const { unix } of k.state.net.sockets.values()) {
    for (const { files } of unix?.queue ?? []) for (const file of files) counts.set(file, (counts.get(file) ?? 0) + 1);
  }
  const found = new Set<number>();
  for (const [file, count] of counts) {
    const socket = unixSocketOf(k, file);
    if (socket !== null && k.state.fs.files.get(file)?.refs === count) found.add(socket.id);
  }
  return found;
}

/** Marks a socket and all that can be received from it: sockets in its messages, connections that wait for accept, and theirs. */
function reach(k: Kernel, first: number, reached: Set<number>): void {
  const left = [first];
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    for (const { files, connection } of k.state.net.sockets.get(id)?.unix?.queue ?? []) {
      if (connection !== 0) left.push(connection);
      for (const file of files) {
        const socket = unixSocketOf(k, file);
        if (socket !== null) left.push(socket.id);
      }
    }
  }
}

/** Takes the messages that carry a candidate out of a socket's queue, and out of those of its connections; their files go to `hit`. */
function empty(k: Kernel, id: number, candidates: ReadonlySet<number>, hit: number[]): void {
  const socket = k.state.net.sockets.get(id);
  if (socket === undefined) return;
  const unix = unixOf(socket);
  for (const message of [...unix.queue]) {
    if (message.connection !== 0) empty(k, message.connection, candidates, hit);
    if (!message.files.some((file) => candidates.has(unixSocketOf(k, file)?.id ?? 0))) continue;
    removeMessage(k, unix, message, unix.queue.indexOf(message));
    hit.push(...detachFiles(k, message));
  }
}
