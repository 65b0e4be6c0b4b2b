/** SO_TIMESTAMP and its kin: when a message came, told beside it (__sock_recv_timestamp). */
import {
  SO_TIMESTAMP_NEW, SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_NEW, SO_TIMESTAMPNS_OLD, SOL_SOCKET,
} from "../abi/socket.ts";
import type { Kernel } from "../kernel.ts";
import { putU64 } from "../lib/bytes.ts";
import type { ControlMessage } from "./message.ts";
import { storedOption, type Socket } from "./socket.ts";

/** Only one of them is on at a time. */
export const TIMESTAMPS: readonly number[] = [SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_OLD, SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW];

/** The message for something that came at kernel time `arrivedNs`, when the socket asks for one. */
export function timestamp(k: Kernel, socket: Socket, arrivedNs: number): ControlMessage[] {
  if (socket.options.stored.size === 0) return [];
  const type = TIMESTAMPS.find((option) => storedOption(socket, SOL_SOCKET, option) !== 0);
  if (type === undefined) return [];
  const realNs = BigInt(Math.floor(arrivedNs)) + k.state.time.realtimeOffsetNs;
  const data = new Uint8Array(16);
  putU64(data, 0, realNs / 1_000_000_000n);
  const micros = type === SO_TIMESTAMP_OLD || type === SO_TIMESTAMP_NEW;
  putU64(data, 8, (realNs % 1_000_000_000n) / (micros ? 1000n : 1n));
  return [{ level: SOL_SOCKET, type, data }];
}
