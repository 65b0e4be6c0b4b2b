/** All families of system calls; a new family is a file and a line here. */
import { credRows } from "./cred.ts";
import { direntRows } from "./dirent.ts";
import { eventfdRows } from "./eventfd.ts";
import { eventpollRows } from "./eventpoll.ts";
import { fcntlRows } from "./fcntl.ts";
import { fdRows } from "./fd.ts";
import { futexRows } from "./futex.ts";
import { inotifyRows } from "./inotify.ts";
import { ioctlRows } from "./ioctl.ts";
import { ipcRows } from "./ipc.ts";
import { itimerRows } from "./itimer.ts";
import { lockRows } from "./locks.ts";
import { memoryRows } from "./memory.ts";
import { miscRows } from "./misc.ts";
import { mmapRows } from "./mmap.ts";
import { moduleRows } from "./module.ts";
import { mountRows } from "./mount.ts";
import { namespaceRows } from "./namespace.ts";
import { openRows } from "./open.ts";
import { pidfdRows } from "./pidfd.ts";
import { pipeRows } from "./pipe.ts";
import { pollRows } from "./poll.ts";
import { prctlRows } from "./prctl.ts";
import { processRows } from "./process.ts";
import { processVmRows } from "./process_vm.ts";
import { readWriteRows } from "./read_write.ts";
import { resourceRows } from "./resource.ts";
import type { Rows } from "./row.ts";
import { sendfileRows } from "./sendfile.ts";
import { signalRows } from "./signal.ts";
import { socketRows } from "./socket.ts";
import { socketMsgRows } from "./socket_msg.ts";
import { sockoptRows } from "./sockopt.ts";
import { ssmemRows } from "./ssmem.ts";
import { statRows } from "./stat.ts";
import { swapRows } from "./swap.ts";
import { timeRows } from "./time.ts";
import { waitRows } from "./wait.ts";
import { xattrRows } from "./xattr.ts";

export const families: Rows[] = [
  credRows, direntRows, eventfdRows, eventpollRows, fcntlRows, fdRows, futexRows, inotifyRows, ioctlRows, ipcRows,
  itimerRows, lockRows, memoryRows, miscRows, mmapRows, moduleRows, mountRows, namespaceRows, openRows, pidfdRows, pipeRows,
  pollRows, prctlRows, processRows, processVmRows, readWriteRows, resourceRows, sendfileRows, signalRows, socketRows, socketMsgRows,
  sockoptRows, ssmemRows, statRows, swapRows, timeRows, waitRows, xattrRows,
];
