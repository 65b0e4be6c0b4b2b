/** The daemon accepts, and gives each connection a work item that echoes until the client leaves. */
import { SHUT_RDWR } from "../../abi/socket.ts";
import { SIGKILL, SIGTERM } from "../../abi/signal.ts";
import { utf8DecodeLossy } from "../../lib/bytes.ts";
import { flushWork } from "../../irq/flush.ts";
import { queueWork } from "../../irq/queue_work.ts";
import { freeWork, initWork, type WorkLocals } from "../../irq/work.ts";
import type { Kernel } from "../../kernel.ts";
import {
  kernelAccept, kernelReceive, kernelReceived, kernelRecvmsg, kernelSend, kernelSendmsg, kernelShutdown, sockRelease,
} from "../../net/ksocket.ts";
import { allowSignal, kthreadShouldStop } from "../../process/kthread.ts";
import { enter, NEXT, steps, to } from "../../sched/steps.ts";
import type { Task } from "../../sched/task.ts";
import { signalPending } from "../../sched/wait_queue.ts";
import { complain, defects, lab, NAME, say, trace } from "./lab.ts";

const BUF_SIZE = 4096;

/** A message as `%s` shows it. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return utf8DecodeLossy(end < 0 ? bytes : bytes.subarray(0, end));
}

interface ServeLocals extends WorkLocals {
  bytes?: Uint8Array;
  /** The same as the log shows it. */
  text?: string;
}

export const echoServerWorker = steps<ServeLocals>("kecho.echo_server_worker", {
  receive: (k, _task, { locals: { arg } }) => {
    if (lab(k).stopped) return to("leave");
    trace(k, "start get response");
    return enter(kernelRecvmsg, kernelReceive(k, arg, BUF_SIZE - 1, 0));
  },
  received: (k, task, { ret, locals }) => {
    const bytes = ret > 0 ? kernelReceived(k, task) : new Uint8Array(0);
    const text = textOf(bytes);
    trace(k, `get request = ${text}`);
    if (ret <= 0) {
      if (ret < 0) complain(k, `get request error = ${ret}`);
      return to("leave");
    }
    locals.bytes = bytes;
    locals.text = text;
    return NEXT;
  },
  send: (k, _task, { locals }) => {
    const bytes = locals.bytes ?? new Uint8Array(0);
    trace(k, "start send request.");
    const end = defects(k).cutsAtNul ? bytes.indexOf(0) : -1;
    return enter(kernelSendmsg, kernelSend(k, locals.arg, end < 0 ? bytes.slice() : bytes.slice(0, end), 0));
  },
  sent: (k, _task, { ret, locals }) => {
    trace(k, `send request = ${locals.text ?? ""}`);
    if (ret >= 0) return to("receive");
    complain(k, `send request error = ${ret}`);
    return NEXT;
  },
  leave: (k, task, { locals: { work, arg } }) => {
    kernelShutdown(k, arg, SHUT_RDWR);
    const data = lab(k);
    if (defects(k).keepsEnded || data.stopped) return 0;
    data.connections = data.connections.filter((one) => one.work !== work);
    release(k, task, { work, socket: arg });
    return 0;
  },
});

function release(k: Kernel, task: Task, { work, socket }: { work: number; socket: number }): void {
  sockRelease(k, task, socket);
  freeWork(k, work);
}

interface DaemonLocals {
  /** Connections that are waited for at the end. */
  index: number;
}

export const echoServerDaemon = steps<DaemonLocals>("kecho.echo_server_daemon", {
  begin: (k, task) => {
    allowSignal(k, task, SIGKILL);
    allowSignal(k, task, SIGTERM);
    return NEXT;
  },
  accept: (k, task) => (kthreadShouldStop(k, task) ? to("stop") : enter(kernelAccept, { socket: lab(k).listener, flags: 0 })),
  accepted: (k, task, { ret }) => {
    const socket = Number(ret);
    if (socket < 0) {
      if (signalPending(task)) return NEXT;
      complain(k, `socket accept error = ${socket}`);
      return to("accept");
    }
    const data = lab(k);
    const work = initWork(k, echoServerWorker.name, { arg: socket, owner: NAME });
    data.connections.push({ work, socket });
    queueWork(k, data.workqueue, work);
    return to("accept");
  },
  stop: (k, _task, { locals }) => {
    say(k, "daemon shutdown in progress...");
    const data = lab(k);
    data.stopped = true;
    if (!defects(k).keepsListening) kernelShutdown(k, data.listener, SHUT_RDWR);
    locals.index = 0;
    return NEXT;
  },
  next: (k, _task, { locals }) => {
    const one = lab(k).connections.at(locals.index);
    if (one === undefined) return to("done");
    kernelShutdown(k, one.socket, SHUT_RDWR);
    return enter(flushWork, { work: one.work });
  },
  free: (k, task, { locals }) => {
    const one = lab(k).connections[locals.index++];
    release(k, task, one);
    return to("next");
  },
  done: (k) => {
    lab(k).connections = [];
    return 0;
  },
});
