/** drop_tcp_socket: pairs of addresses written to /proc/net/drop_tcp_sock are connections to drop, those in TIME_WAIT above all. */
import { EIO } from "../../abi/errno.ts";
import { formatIpv4, parseIpv4 } from "../../abi/sockaddr.ts";
import { fileOperations } from "../../fs/file.ts";
import { bytesName } from "../../fs/names.ts";
import { procCreate, removeProcEntry } from "../../fs/proc/dynamic.ts";
import type { Kernel } from "../../kernel.ts";
import { must } from "../../lib/assert.ts";
import { copyFromUser } from "../../mm/usercopy.ts";
import { moduleDefinition } from "../../module/definition.ts";
import { socketPointer } from "../../net/proc.ts";
import type { Endpoint } from "../../net/ksocket.ts";
import { endTimeWait, tcpDone } from "../../net/tcp_close.ts";
import { inetOf, socketOf } from "../../net/socket.ts";
import { TCP_LISTEN, TCP_TIME_WAIT } from "../../net/tcp_states.ts";
import { printk } from "../../sched/printk.ts";
import { enter, steps, to } from "../../sched/steps.ts";

const NAME = "drop_tcp_socket";
const PATH = "net/drop_tcp_sock";
const OPS = "kecho.drop_tcp_sock";
const OWNER_WRITES = 0o600;
const INFO = 6;
/** Bytes of one open file's pairs that are kept. */
const TEXT_MAX = 1 << 16;

interface Pairs {
  text: string;
}

/** `127.0.0.1:12345`. Differs from Linux: there is no IPv6 here, whose addresses name nothing. */
function parseEndpoint(word: string): Endpoint | null {
  const [address, port, more] = word.split(":");
  const addr = parseIpv4(address);
  return addr === undefined || more !== undefined || !/^\d{1,5}$/.test(port ?? "") ? null : { addr, port: Number(port) };
}

const shown = ({ addr, port }: Endpoint): string => `${formatIpv4(addr)}:${port}`;

function tell(k: Kernel, id: number, from: Endpoint, at: Endpoint, state: number): void {
  printk(k, INFO, `Drop socket:${socketPointer(k, id)} (${shown(from)} -> ${shown(at)}) state ${state}`);
}

/** Drops the connection from one address to the other, if there is one. */
function drop(k: Kernel, from: Endpoint, at: Endpoint): void {
  const { net } = k.state;
  const users = net.tcpPorts.get(from.port);
  if (users === undefined) return;
  for (const id of users.timeWaits) {
    const { localAddr, peerAddr, peerPort } = must(net.timeWaits, id);
    if (localAddr !== from.addr || peerAddr !== at.addr || peerPort !== at.port) continue;
    tell(k, id, from, at, TCP_TIME_WAIT);
    return endTimeWait(k, id);
  }
  for (const id of users.sockets) {
    const socket = socketOf(k, id);
    const { localAddr, peerAddr, peerPort } = inetOf(socket);
    if (socket.sk === TCP_LISTEN || localAddr !== from.addr || peerAddr !== at.addr || peerPort !== at.port) continue;
    tell(k, id, from, at, socket.sk);
    return tcpDone(k, socket);
  }
}

/** Pairs that one step drops. */
const AT_ONCE = 16;

/** Pairs up to the first that is malformed; the last word counts only when something follows it. */
const dropAll = steps<{ words: string[] }>("kecho.drop_all", {
  some: (k, _task, { locals }) => {
    const { words } = locals;
    for (let at = 0; at < 2 * AT_ONCE; at += 2) {
      const [from, peer] = [parseEndpoint(words[at] ?? ""), parseEndpoint(words[at + 1] ?? "")];
      if (from === null || peer === null) return 0;
      drop(k, from, peer);
    }
    locals.words = words.slice(2 * AT_ONCE);
    return to("some");
  },
});

/** Words that something follows. */
const wordsOf = (text: string): string[] => [...text.matchAll(/(\S+)(?=\s)/g)].map(([word]) => word);

fileOperations(OPS, {
  owner: NAME,
  open: (_k, _task, file) => {
    file.data = { text: "" } satisfies Pairs;
    return 0;
  },
  read: () => -EIO,
  write: (k, task, file, buf, count) => {
    const bytes = copyFromUser(k, task, buf, Math.min(count, TEXT_MAX));
    if (typeof bytes === "number") return bytes;
    const pairs = file.data as unknown as Pairs;
    pairs.text = (pairs.text + bytesName(bytes)).slice(0, TEXT_MAX);
    return count;
  },
  release: (_k, _task, file) => enter(dropAll, { words: wordsOf((file.data as unknown as Pairs).text) }),
});

moduleDefinition({
  name: NAME,
  license: "Dual MIT/GPL",
  author: ["National Cheng Kung University, Taiwan"],
  description: "Drop TCP TIME-WAIT sockets",
  version: "0.1",
  infoOrder: ["version", "description", "author", "license"],
  depends: [],
  srcversion: "9086679F7ACA813995E42D3",
  size: 16384,
  initSize: 4096,
  params: [],
  exports: [],
  imports: [],
  variants: {
    corrected: {
      defects: [],
      init: (k) => {
        procCreate(k, PATH, OWNER_WRITES, OPS);
        return 0;
      },
      exit: (k) => {
        removeProcEntry(k, PATH);
        return 0;
      },
    },
  },
});
