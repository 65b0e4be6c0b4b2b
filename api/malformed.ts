/** What never becomes a request: HTTP that cannot be read is answered by a problem document too, on the bare connection. */
import { STATUS_CODES, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { Problem } from "./errors.ts";
import { HEADER_BYTES, LIMITS } from "./limits.ts";

/** The client may still be sending: closing at once would take the answer away from it. */
const LINGER_MS = 1_000;

interface ParseError extends Error {
  code?: string;
  /** What node's parser tells of where it stopped. */
  rawPacket?: Buffer;
}

/** Far beyond all limits, only the last packet is left to tell by: no line has ended in one that is all URL. */
function isLongUrl({ rawPacket }: ParseError): boolean {
  return rawPacket !== undefined && !rawPacket.includes("\n");
}

function problemOf(error: ParseError): Problem {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW": return isLongUrl(error) ? urlTooLong() : headersTooLarge();
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW": return new Problem(413, "too-large", "The extensions of a chunk are too long.");
    case "ERR_HTTP_REQUEST_TIMEOUT": return new Problem(408, "interrupted", "The request did not arrive in time.");
    default: return new Problem(400, "invalid", `The request is not HTTP/1.1: ${error.message}.`);
  }
}

export function urlTooLong(): Problem {
  return new Problem(414, "too-large", `A URL may have ${LIMITS.urlBytes} bytes.`);
}

export function headersTooLarge(): Problem {
  return new Problem(431, "too-large", `The header section may have ${HEADER_BYTES} bytes.`);
}

/** Answers what the server cannot read, once a connection. */
export function answerMalformed(server: Server, headers: Record<string, string>, newRequestId: () => string): void {
  const answered = new WeakSet<Duplex>();
  const refuse = (socket: Duplex, problem: Problem): void => {
    if (answered.has(socket)) return;
    answered.add(socket);
    if (!socket.writable) return void socket.destroy();
    const id = newRequestId();
    const body = JSON.stringify(problem.toDocument(id));
    const lines = Object.entries({
      ...headers, "X-Request-Id": id, "Content-Type": "application/problem+json", "Content-Length": String(Buffer.byteLength(body)), Connection: "close",
    }).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}\r\n${lines}\r\n${body}`);
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
  server.on("clientError", (error: ParseError, socket) => {
    const { _httpMessage: answer } = socket as Duplex & { _httpMessage?: ServerResponse | null };
    // Gone, or in the middle of an answer: there is nobody to tell.
    if (error.code === "ECONNRESET" || answer?.headersSent === true) return void socket.destroy();
    refuse(socket, problemOf(error));
  });
  server.on("connect", (_req, socket) => {
    socket.on("error", () => socket.destroy()); // node has taken its own listener off, and an error that nobody hears ends the process
    refuse(socket, new Problem(405, "not-found", "This server is no proxy."));
  });
}
