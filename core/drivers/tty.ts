/** Terminals as far as a machine without a screen has them: the console takes what is written. */
import { EAGAIN } from "../abi/errno.ts";
import { POLLOUT, POLLWRNORM } from "../abi/epoll.ts";
import { O_NONBLOCK } from "../abi/fcntl.ts";
import { fileOperations } from "../fs/file.ts";
import { sleepOn } from "../sched/wait_queue.ts";

/** Nobody types: a reader sleeps until a signal. */
fileOperations("console", {
  read: (_k, _task, file) => ((file.flags & O_NONBLOCK) !== 0 ? -EAGAIN : sleepOn([], { wchan: "n_tty_read" })),
  write: (_k, _task, _file, _buf, count) => count,
  poll: () => ({ mask: POLLOUT | POLLWRNORM, queues: [] }),
});

