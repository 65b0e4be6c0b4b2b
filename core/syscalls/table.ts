/** All families of system calls; a new family is a file and a line here. */
import { ipcRows } from "./ipc.ts";
import { memoryRows } from "./memory.ts";
import { mmapRows } from "./mmap.ts";
import { moduleRows } from "./module.ts";
import type { Rows } from "./row.ts";
import { socketRows } from "./socket.ts";
import { socketMsgRows } from "./socket_msg.ts";
import { sockoptRows } from "./sockopt.ts";

export const families: Rows[] = [
  ipcRows, memoryRows, mmapRows, moduleRows, socketRows, socketMsgRows, sockoptRows,
];
