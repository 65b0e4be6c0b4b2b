/** pipe(2). */
import { EFAULT, EINVAL } from "../abi/errno.ts";
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK, pipe2Flags } from "../abi/fcntl.ts";
import { installFd, putFd, takeFd } from "../fs/fd_table.ts";
import { fput, type Addr } from "../fs/file.ts";
import { createPipe } from "../fs/pipe.ts";
import type { Kernel } from "../kernel.ts";
import { putU32 } from "../lib/bytes.ts";
import { copyToUser } from "../mm/usercopy.ts";
import type { Task } from "../sched/task.ts";
import { flags } from "./args.ts";
import type { Rows } from "./row.ts";
import { scalarOut } from "./vectors.ts";

function sysPipe2(k: Kernel, task: Task, [pipefd, how]: [Addr, number]): number {
  if ((how & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return -EINVAL;
  const ends = createPipe(k, task, how);
  if (typeof ends === "number") return ends;
  const { reader, writer } = ends;
  const first = takeFd(k, task);
  const second = first < 0 ? first : takeFd(k, task);
  const bytes = new Uint8Array(8);
  putU32(bytes, 0, first);
  putU32(bytes, 4, second);
  const failure = second < 0 ? second : copyToUser(k, task, pipefd, bytes) < 8 ? -EFAULT : 0;
  if (failure !== 0) {
    if (first >= 0) putFd(k, task, first);
    if (second >= 0) putFd(k, task, second);
    fput(k, reader);
    fput(k, writer);
    return failure;
  }
  const cloexec = (how & O_CLOEXEC) !== 0;
  installFd(k, task, first, reader, cloexec);
  installFd(k, task, second, writer, cloexec);
  return 0;
}

export const pipeRows: Rows = {
  pipe: { x86_64: 22, args: [scalarOut("pipefd", "i32", 2)], run: (k, task, [pipefd]: [Addr]) => sysPipe2(k, task, [pipefd, 0]) },
  pipe2: { x86_64: 293, args: [scalarOut("pipefd", "i32", 2), flags("flags", pipe2Flags)], run: sysPipe2 },
};
