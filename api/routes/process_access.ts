/** Whose process it is: checked before anything else about a request is. */
import { mayDrive, type Caller } from "../auth.ts";
import { forbidden, notFound } from "../errors.ts";
import type { Services } from "../services.ts";
import { memberOf, processView, type Kernel } from "../sessions/core.ts";

export function noProcess(pid: number) {
  return notFound(`There is no process ${pid}.`);
}

/** @throws Problem 404 where there is no such process, 403 where it is another's */
export function requireOwn(kernel: Kernel, caller: Caller, pid: number): void {
  const member = memberOf(kernel, pid);
  // The kernel's own processes have no member either; the usual one has.
  if (member === "" && processView(kernel, pid) === null) throw noProcess(pid);
  if (!mayDrive(caller, member)) throw forbidden(`Process ${pid} belongs to another member.`);
}

/** The check of routes that drive a process. */
export function drives(
  { params, caller }: { params: { sid: string; pid: number }; caller: Caller }, { sessions }: Services,
): void | Promise<void> {
  // Most sessions are in memory, and nothing has to be waited for.
  const session = sessions.find(params.sid);
  if (!(session instanceof Promise) && session.live !== null) {
    requireOwn(session.live.kernel, caller, params.pid);
    return;
  }
  return sessions.look(params.sid, (kernel) => requireOwn(kernel, caller, params.pid));
}
