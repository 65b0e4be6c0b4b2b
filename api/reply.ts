/** Writes an answer: status, headers, and one form of body. */
import type { ServerResponse } from "node:http";
import type { Reply } from "./route.ts";
import { openEventStream } from "./sse.ts";

const JSON_TYPE = "application/json; charset=utf-8";

/**
 * @param headers what every answer has; the reply's own come on top
 * @param commentMs how often an event stream shows that it lives
 */
export function send(res: ServerResponse, reply: Reply, headers: Record<string, string | number>, commentMs?: number): void {
  if (reply.headers !== undefined) Object.assign(headers, reply.headers);
  if (reply.events !== undefined) {
    sendEvents(res, reply, headers, commentMs);
    return;
  }
  const body = bodyOf(reply);
  if (body !== undefined) {
    headers["Content-Type"] = reply.contentType ?? mediaType(reply);
    headers["Content-Length"] = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  }
  res.writeHead(reply.status, headers);
  if (reply.status >= 400 && !res.req.complete) endAfterBody(res, body);
  else res.end(body);
}

/** A client that is refused may be sending still: it reads its answer when it is done, or the connection is closed in a while. */
const LINGER_MS = 5_000;

/** The whole answer leaves at once; what the client still sends is dropped, and only then may the connection be closed. */
function endAfterBody(res: ServerResponse, body: string | Uint8Array | undefined): void {
  const end = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  timer.unref();
  if (body === undefined) res.flushHeaders();
  else res.write(body);
  res.req.once("close", end).once("end", end).resume();
}

function bodyOf(reply: Reply): string | Uint8Array | undefined {
  if (reply.serialized !== undefined) return reply.serialized;
  if (reply.json !== undefined) return JSON.stringify(reply.json);
  return reply.text ?? reply.bytes;
}

function mediaType(reply: Reply): string {
  if (reply.text !== undefined) return "text/plain; charset=utf-8";
  return reply.bytes === undefined ? JSON_TYPE : "application/octet-stream";
}

function sendEvents(res: ServerResponse, reply: Reply, headers: Record<string, string | number>, commentMs: number | undefined): void {
  res.writeHead(reply.status, {
    ...headers, "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
  });
  if (res.req.method === "HEAD" || res.destroyed) {
    // Nobody will read it, and what was kept for it must be given back: it begins and stops.
    reply.events!({ send() {}, close() {} })();
    res.end();
    return;
  }
  let stop: (() => void) | null = null;
  let ended = false;
  const sink = openEventStream(res, () => {
    ended = true;
    stop?.();
  }, commentMs);
  stop = reply.events!(sink);
  if (ended) stop();
}
