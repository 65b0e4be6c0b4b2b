/** kecho: an echo server in the kernel, one work item a connection. */
import { AF_INET, INADDR_ANY, IPPROTO_TCP, SHUT_RDWR, SO_REUSEPORT, SOCK_STREAM, SOL_SOCKET, SOL_TCP, TCP_NODELAY } from "../../abi/socket.ts";
import { SIGTERM } from "../../abi/signal.ts";
import { destroyWorkqueue } from "../../irq/flush.ts";
import { allocWorkqueue, WQ_UNBOUND } from "../../irq/workqueue.ts";
import type { Kernel } from "../../kernel.ts";
import { must } from "../../lib/assert.ts";
import { moduleDefinition, type ParamSpec } from "../../module/definition.ts";
import type { Module } from "../../module/state.ts";
import { kernelBind, kernelListen, kernelSetsockopt, kernelShutdown, sockCreateKern, sockRelease } from "../../net/ksocket.ts";
import { getTaskStruct, kthreadRun, kthreadStop, putTaskStruct } from "../../process/kthread.ts";
import { sendSignalToTask } from "../../sched/signal.ts";
import { enter, NEXT, steps } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import { echoServerDaemon } from "./echo_server.ts";
import { complain, lab, NAME, say, type Kecho } from "./lab.ts";
import "./drop_tcp_socket.ts";

const VERSION = "0.1";
const READ_ONLY = 0o444;

/** The listening socket, or an errno; each step says how it went. */
function openListen(k: Kernel, task: Task, port: number, backlog: number): number {
  const socket = sockCreateKern(k, task, AF_INET, SOCK_STREAM, IPPROTO_TCP);
  if (socket < 0) {
    complain(k, `socket create error = ${socket}`);
    return socket;
  }
  say(k, "socket create ok....");
  const steps: [what: string, ok: string, make: () => number][] = [
    ["setsockopt tcp_nodelay setting error", "", () => kernelSetsockopt(k, task, socket, SOL_TCP, TCP_NODELAY, 1)],
    ["setsockopt SO_REUSEPORT setting error", "setsockopt ok....", () => kernelSetsockopt(k, task, socket, SOL_SOCKET, SO_REUSEPORT, 1)],
    ["socket bind error", "socket bind ok....", () => kernelBind(k, task, socket, { addr: INADDR_ANY, port })],
    ["socket listen error", "socket listen ok....", () => kernelListen(k, task, socket, backlog)],
  ];
  for (const [what, ok, make] of steps) {
    const error = make();
    if (error < 0) {
      complain(k, `${what} = ${error}`);
      sockRelease(k, task, socket);
      return error;
    }
    if (ok !== "") say(k, ok);
  }
  return socket;
}

/** Everything but the daemon: 0 or an errno, with nothing left behind. */
function prepare(k: Kernel, { params, data }: Module, task: Task): number {
  const listener = openListen(k, task, Number(params.port), Number(params.backlog));
  if (listener < 0) {
    complain(k, "listen socket open error");
    return listener;
  }
  const workqueue = allocWorkqueue(k, NAME, params.bench === true ? 0 : WQ_UNBOUND, 0, NAME);
  if (workqueue < 0) {
    complain(k, "cannot allocate workqueue");
    sockRelease(k, task, listener);
    return workqueue;
  }
  Object.assign(data, { listener, workqueue, daemon: 0, stopped: false, connections: [] } satisfies Kecho);
  return 0;
}

const init = steps<{ module: string }>("kecho.init", {
  prepare: (k, task) => {
    const error = prepare(k, must(k.state.modules.loaded, NAME), task);
    return error < 0 ? error : NEXT;
  },
  start: (k, task) => {
    const data = lab(k);
    data.daemon = kthreadRun(k, echoServerDaemon, { index: 0 }, NAME);
    if (data.daemon > 0) {
      // A signal may end it long before rmmod asks for it.
      getTaskStruct(k, data.daemon);
      return 0;
    }
    complain(k, "cannot start server daemon");
    sockRelease(k, task, data.listener);
    return enter(destroyWorkqueue, { wq: data.workqueue });
  },
  failed: (k) => lab(k).daemon,
});

const exit = steps<{ module: string }>("kecho.exit", {
  signal: (k) => {
    const task = k.state.sched.tasks.get(lab(k).daemon);
    if (task !== undefined) sendSignalToTask(k, task, SIGTERM);
    return NEXT;
  },
  stop: (k) => enter(kthreadStop, { tid: lab(k).daemon }),
  close: (k, task) => {
    const { listener, daemon } = lab(k);
    putTaskStruct(k, daemon);
    kernelShutdown(k, listener, SHUT_RDWR);
    sockRelease(k, task, listener);
    return NEXT;
  },
  destroy: (k) => enter(destroyWorkqueue, { wq: lab(k).workqueue }),
  end: (k) => {
    say(k, "module successfully removed ");
    return 0;
  },
});

const param = (name: string, type: ParamSpec["type"], initial: ParamSpec["default"]): ParamSpec => ({ name, type, default: initial, perm: READ_ONLY });

const defects = [
  "connections that have ended keep their sockets and records until rmmod",
  "an answer ends at the first NUL of the message",
  "a daemon that was killed leaves its listening socket, which nobody serves",
  "the console shows what is told of each message, which takes longer than the echo",
];

moduleDefinition({
  name: NAME,
  license: "Dual MIT/GPL",
  author: ["National Cheng Kung University, Taiwan"],
  description: "Fast echo server in kernel",
  version: VERSION,
  infoOrder: ["version", "description", "author", "license"],
  depends: [],
  srcversion: "7861FC605277BDDD832A3D9",
  size: 16384,
  initSize: 4096,
  params: [param("port", "ushort", 12345), param("backlog", "ushort", 128), param("bench", "bool", false)],
  exports: [],
  imports: [],
  variants: {
    corrected: { defects: [], init, exit },
    seed: { defects, init, exit },
    upstream: { defects, init, exit },
  },
});
