/** All families of system calls; a new family is a file and a line here. */
import { credRows } from "./cred.ts";
import { direntRows } from "./dirent.ts";
import { eventfdRows } from "./eventfd.ts";
import { eventpollRows } from "./eventpoll.ts";
import { fdRows } from "./fd.ts";
import { ipcRows } from "./ipc.ts";
import { itimerRows } from "./itimer.ts";
import { memoryRows } from "./memory.ts";
import { mmapRows } from "./mmap.ts";
import { moduleRows } from "./module.ts";
import { openRows } from "./open.ts";
import { pipeRows } from "./pipe.ts";
import { pollRows } from "./poll.ts";
import { processRows } from "./process.ts";
import { readWriteRows } from "./read_write.ts";
import type { Rows } from "./row.ts";
import { signalRows } from "./signal.ts";
import { socketRows } from "./socket.ts";
import { socketMsgRows } from "./socket_msg.ts";
import { sockoptRows } from "./sockopt.ts";
import { timeRows } from "./time.ts";
import { waitRows } from "./wait.ts";

export const families: Rows[] = [
  credRows, direntRows, eventfdRows, eventpollRows, fdRows, ipcRows, itimerRows, memoryRows, mmapRows, moduleRows,
  openRows, pipeRows, pollRows, processRows, readWriteRows, signalRows, socketRows, socketMsgRows, sockoptRows,
  timeRows, waitRows,
];
