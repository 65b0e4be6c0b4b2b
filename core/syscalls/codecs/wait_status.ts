/** The status word of wait4: returned as the number `wstatus` and, taken apart, as `status`. */
import { signalName } from "../../abi/signal.ts";
import { WCOREDUMP, WEXITSTATUS, WIFCONTINUED, WIFEXITED, WIFSIGNALED, WSTOPSIG, WTERMSIG } from "../../abi/wait.ts";
import type { Json } from "../../input.ts";
import { getI32 } from "../../lib/bytes.ts";
import { hex, structOut, type ArgType, type CallView } from "../args.ts";
import type { Codec } from "../codec.ts";
import { scalarOut } from "../vectors.ts";

/** `{ exited }`, `{ signaled }`, `{ stopped }` or `{ continued: true }`. */
export function statusJson(status: number): Json {
  if (WIFCONTINUED(status)) return { continued: true };
  if (WIFEXITED(status)) return { exited: WEXITSTATUS(status) };
  return WIFSIGNALED(status) ? { signaled: signalName(WTERMSIG(status)) } : { stopped: signalName(WSTOPSIG(status)) };
}

/** As strace writes it. */
export function showStatus(status: number): string {
  if (WIFCONTINUED(status)) return "{WIFCONTINUED(s)}";
  if (WIFEXITED(status)) return `{WIFEXITED(s) && WEXITSTATUS(s) == ${WEXITSTATUS(status)}}`;
  if (WIFSIGNALED(status)) {
    return `{WIFSIGNALED(s) && WTERMSIG(s) == ${signalName(WTERMSIG(status))}${WCOREDUMP(status) ? " && WCOREDUMP(s)" : ""}}`;
  }
  return `{WIFSTOPPED(s) && WSTOPSIG(s) == ${signalName(WSTOPSIG(status))}}`;
}

/** A child was found: only then has the call written anything. */
function found({ ret }: CallView): boolean {
  return typeof ret === "number" && ret > 0;
}

function wordAt(register: number | bigint, view: CallView): number | undefined {
  if (register === 0 || !found(view)) return undefined;
  const bytes = view.read(register, 4);
  return bytes.length < 4 ? undefined : getI32(bytes, 0);
}

export function waitStatus(name: string): ArgType {
  return {
    ...scalarOut(name, "i32"),
    kind: "out-wstatus",
    show(register, view) {
      const status = wordAt(register, view);
      if (register === 0) return "NULL";
      return status === undefined ? hex(register) : `[${showStatus(status)}]`;
    },
    output: wordAt,
    also(register, view) {
      const status = wordAt(register, view);
      return status === undefined ? undefined : { status: statusJson(status) };
    },
  };
}

/** A structure that is written only when a child was found. */
export function foundOut(name: string, codec: Codec): ArgType {
  const plain = structOut(name, codec);
  return {
    ...plain,
    show: (register, view) => (register === 0 ? "NULL" : found(view) ? plain.show(register, view) : hex(register)),
    output: (register, view) => (found(view) ? plain.output?.(register, view) : undefined),
  };
}
