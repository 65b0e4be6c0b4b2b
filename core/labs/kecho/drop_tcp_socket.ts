/** drop_tcp_socket: pairs of addresses written to /proc/net/drop_tcp_sock are connections to drop, those in TIME_WAIT above all. */
import { EIO } from "../../abi/errno.ts";
import { formatIpv4, parseIpv4 } from "../../abi/sockaddr.ts";
import { fileOperations } from "../../fs/file.ts";
import { bytesName } from "../../fs/names.ts";
import { procCreate, removeProcEntry } from "../../fs/proc/dynamic.ts";
import type { Kernel } from "../../kernel.ts";
import { copyFromUser } from "../../mm/usercopy.ts";
import { moduleDefinition } from "../../module/definition.ts";
import { socketPointer } from "../../net/proc.ts";
import type { Endpoint } from "../../net/ksocket.ts";
import { endTimeWait, tcpDone } from "../../net/tcp_close.ts";
import { TCP_LISTEN, TCP_TIME_WAIT } from "../../net/tcp_states.ts";
import { printk } from "../../sched/printk.ts";

const NAME = "drop_tcp_socket";
const PATH = "net/drop_tcp_sock";
const OPS = "kecho.drop_tcp_sock";
const OWNER_WRITES = 0o600;
const INFO = 6;
/** Bytes of one open file's pairs that are kept. */
const TEXT_MAX = 1 << 20;

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
  for (const entry of net.timeWaits.values()) {
    if (entry.localAddr !== from.addr || entry.localPort !== from.port || entry.peerAddr !== at.addr || entry.peerPort !== at.port) continue;
    tell(k, entry.id, from, at, TCP_TIME_WAIT);
    return endTimeWait(k, entry.id);
  }
  for (const socket of net.sockets.values()) {
    const { inet, tcp, sk } = socket;
    if (tcp === null || inet === null || sk === TCP_LISTEN) continue;
    if (inet.localAddr !== from.addr || inet.localPort !== from.port || inet.peerAddr !== at.addr || inet.peerPort !== at.port) continue;
    tell(k, socket.id, from, at, sk);
    return tcpDone(k, socket);
  }
}

/** Pairs up to the first that is malformed; the last word counts only when something follows it. */
function dropAll(k: Kernel, text: string): void {
  const words = [...text.matchAll(/(\S+)(?=\s)/g)].map(([word]) => word);
  for (let at = 0; at + 1 < words.length; at += 2) {
    const [from, to] = [parseEndpoint(words[at]), parseEndpoint(words[at + 1])];
    if (from === null || to === null) return;
    drop(k, from, to);
  }
}

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
  release: (k, _task, file) => {
    dropAll(k, (file.data as unknown as Pairs).text);
    return 0;
  },
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
