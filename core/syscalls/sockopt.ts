/** setsockopt(2) and getsockopt(2). */
import { EFAULT, EINVAL } from "../abi/errno.ts";
import { formatChoice } from "../abi/flags.ts";
import { allSocketOptions, SO_COOKIE, SO_PEERNAME, SOL_SOCKET, socketLevels, socketOptions } from "../abi/socket.ts";
import type { OpenFile } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { copyFromUser, copyToUser, getUser32, putUser32, type Addr } from "../mm/usercopy.ts";
import { getOption, setOption } from "../net/sock_options.ts";
import { socketOfFile } from "../net/socket_file.ts";
import type { Task } from "../sched/task.ts";
import { choice, fd, int32, type CallView } from "./args.ts";
import type { Rows } from "./row.ts";
import { addrlenIn, addrlenInOut, optvalIn, optvalOut, OPTVAL_ROOM } from "./socket_args.ts";

/** An option's name, shown as its level names it. */
const optname = {
  ...choice("optname", allSocketOptions),
  show: (register: number | bigint, view: CallView): string => formatChoice(socketOptions(int32(view.reg("level"))), int32(register)),
};

/** No option is longer; a longer length is cut, as the ones that read strings do. */
const LONGEST = 4096;

function sysSetsockopt(
  k: Kernel, task: Task, [file, level, option, optval, optlen]: [OpenFile | number, number, number, Addr, number],
): number {
  if (optlen < 0) return -EINVAL;
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  const bytes = copyFromUser(k, task, optval, Math.min(optlen, LONGEST));
  return typeof bytes === "number" ? bytes : setOption(k, task, socket, level, option, bytes);
}

function sysGetsockopt(
  k: Kernel, task: Task, [file, level, option, optval, optlen]: [OpenFile | number, number, number, Addr, Addr],
): number {
  const socket = socketOfFile(k, file);
  if (typeof socket === "number") return socket;
  const room = getUser32(k, task, optlen);
  if (room === null) return -EFAULT;
  if ((room | 0) < 0) return -EINVAL;
  const value = getOption(k, socket, level, option);
  if (typeof value === "number") return value;
  // As Linux: a cookie is given whole or not at all, and a peer's name fills the room.
  if (level === SOL_SOCKET && option === SO_COOKIE && room < value.length) return -EINVAL;
  if (level === SOL_SOCKET && option === SO_PEERNAME && room > value.length) return -EINVAL;
  const count = Math.min(room, value.length);
  if (count > 0 && copyToUser(k, task, optval, value.subarray(0, count)) < count) return -EFAULT;
  return putUser32(k, task, optlen, count) ? 0 : -EFAULT;
}

export const sockoptRows: Rows = {
  setsockopt: {
    x86_64: 54,
    args: [
      fd("sockfd"), choice("level", socketLevels), optname, optvalIn("optval", "optlen"),
      addrlenIn("optlen", "optval"),
    ],
    run: sysSetsockopt,
    partial: "options that need a network card and filters are ENOPROTOOPT; many others are only remembered",
  },
  getsockopt: {
    x86_64: 55,
    args: [
      fd("sockfd"), choice("level", socketLevels), optname, optvalOut("optval", "optlen"),
      addrlenInOut("optlen", "optval", OPTVAL_ROOM),
    ],
    run: sysGetsockopt,
  },
};
