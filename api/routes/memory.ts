/** A process's memory: a debugger's look, and stores by the process itself. */
import { z } from "zod";
import { Problem, errnoProblem, invalid } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute } from "../route.ts";
import { Count, ProcessParams, SLEEPING } from "../schemas.ts";
import { readMemory, type CallAnswer } from "../sessions/core.ts";
import { drives } from "./process_access.ts";

const EINTR = 4;

const tag = "Memory";
const path = "/v1/sessions/{sid}/processes/{pid}/memory";
const Address = z.string().regex(/^(0[xX][0-9a-fA-F]{1,16}|\d{1,20})$/, "is a number or \"0x…\"")
  .meta({ description: "A number or \"0x…\"", examples: ["0x7f0000001000"] });

export const getMemory = defineRoute({
  id: "readMemory", method: "get", path, tag, access: "memory", summary: "A debugger's view of the bytes: no fault is counted",
  params: ProcessParams,
  query: z.object({ address: Address, length: Count(LIMITS.rawBufferBytes) }),
  responses: { 200: { description: "The bytes", bytes: true } },
  problems: { 422: "Nothing is mapped there" },
  check: drives,
  handle: ({ params, query }, { sessions }) => sessions.look(params.sid, (kernel) => {
    const bytes = readMemory(kernel, params.pid, BigInt(query.address), query.length);
    if (bytes === null) throw invalid(`Not all of ${query.length} bytes at ${query.address} is mapped.`, [{ path: "/query/address", message: "is not mapped" }]);
    return { status: 200 as const, bytes };
  }),
});

export const putMemory = defineRoute({
  id: "storeMemory", method: "put", path, tag, access: "memory", holds: LIMITS.wait.default,
  summary: "The process stores the body's bytes, with the faults it takes",
  description: "A forbidden store is 422 with `signal`, `siCode`, `address` and `stored`, and the process lives; `onFault=signal` delivers the signal, and `ended` says that the process died of it.",
  params: ProcessParams,
  query: z.object({ address: Address, onFault: z.enum(["report", "signal"]).default("report") }),
  body: { rawBytes: LIMITS.rawBufferBytes, description: "The bytes to store" },
  responses: { 204: { description: "They are stored" }, 202: SLEEPING },
  check: drives,
  handle: ({ params, query, body, request }, { sessions }) => sessions.act(params.sid, {
    request,
    input: () => ({
      type: "store", callId: sessions.newCallId(), pid: params.pid, address: `0x${BigInt(query.address).toString(16)}`,
      base64: Buffer.from(body).toString("base64"), onFault: query.onFault,
    }),
    reply({ answer }) {
      if (answer?.state === "ended") throw endedProblem(answer);
      if (answer?.state === "returned" && "strace" in answer) {
        const { signal, siCode, faultAddr, stored, errnoNumber } = answer;
        if (signal !== undefined) {
          throw new Problem(422, "invalid", `The store faults at ${String(faultAddr)}: ${signal} (${String(siCode)}).`, {
            members: { signal, siCode, address: faultAddr, stored },
          });
        }
        if (errnoNumber !== undefined) throw errnoProblem(errnoNumber);
      }
      return { status: 204 as const };
    },
  }),
});

/** The process died inside the store: of its fault, or of what somebody else sent it meanwhile. */
function endedProblem({ signaled, siCode, faultAddr, stored }: Extract<CallAnswer, { state: "ended" }>): Problem {
  if (siCode === undefined) return errnoProblem(EINTR, `The process ended before the store was done: ${signaled ?? "it exited"}.`);
  return new Problem(422, "invalid", `The store killed the process at ${String(faultAddr)}: ${String(signaled)} (${siCode}).`, {
    members: { signal: signaled, siCode, address: faultAddr, stored, ended: true },
  });
}

export const memoryRoutes = [getMemory, putMemory];
