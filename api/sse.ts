/** Server-sent events: one sink a follower, a comment while nothing happens, and an end for a reader that falls behind. */
import type { ServerResponse } from "node:http";
import { LIMITS } from "./limits.ts";

/** How often a stream shows that it lives. */
export const COMMENT_MS = 15_000;

export interface EventSink {
  /** One event; `data` is JSON text, which has no line breaks. */
  send(id: string, event: string, data: string): void;
  close(): void;
}

/**
 * Turns a response whose head is written into a sink.
 * @param ended called once, when either side ends the stream
 */
export function openEventStream(res: ServerResponse, ended: () => void, commentMs = COMMENT_MS): EventSink {
  const comment = setInterval(() => write(": \n\n"), commentMs);
  comment.unref();
  res.once("close", () => {
    clearInterval(comment);
    ended();
  });

  function write(text: string): void {
    if (res.writableEnded || res.destroyed) return;
    res.write(text);
    // The reader does not read: what it missed is in the ring, and its next Last-Event-ID asks for it.
    if (res.writableLength > LIMITS.streamBacklogBytes) res.destroy();
  }

  write(": \n\n");
  return {
    send: (id, event, data) => write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`),
    close: () => {
      if (!res.writableEnded) res.end();
    },
  };
}
