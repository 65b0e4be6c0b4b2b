/** A process's memory: a debugger's look, and stores by the process itself. */
import { z } from "zod";
import { Problem, invalid } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { defineRoute } from "../route.ts";
import { Count, ProcessParams, SLEEPING } from "../schemas.ts";
import { readMemory } from "../sessions/core.ts";
import { drives } from "./process_access.ts";

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
  description: "A forbidden store is 422 with `signal`, `siCode`, `address` and `stored`, and the process lives; `onFault=signal` delivers the signal.",
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
      if (answer?.state === "ended") {
        throw new Problem(422, "invalid", `The store killed the process: ${answer.signaled ?? "it exited"}.`, { members: { signal: answer.signaled } });
      }
      if (answer?.state === "returned" && "strace" in answer && answer.signal !== undefined) {
        const { signal, siCode, faultAddr, stored } = answer;
        throw new Problem(422, "invalid", `The store faults at ${String(faultAddr)}: ${signal} (${String(siCode)}).`, {
          members: { signal, siCode, address: faultAddr, stored },
        });
      }
      return { status: 204 as const };
    },
  }),
});

export const memoryRoutes = [getMemory, putMemory];
