/** Reads a request's body, within its limit. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { Problem, tooMany } from "./errors.ts";
import { parseJson } from "./json.ts";

const EMPTY = Buffer.alloc(0);

export function tooLarge(limit: number): Problem {
  return new Problem(413, "too-large", `The body may have ${limit} bytes.`);
}

/** Refuses what says beforehand that it is too large. @throws Problem 413 */
export function checkDeclaredLength(req: IncomingMessage, limit: number): void {
  const declared = req.headers["content-length"];
  if (declared !== undefined && Number(declared) > limit) throw tooLarge(limit);
}

/** Whether the body says how long it is; one that does not must be read to know. */
export function isChunked(req: IncomingMessage): boolean {
  return req.headers["transfer-encoding"] !== undefined;
}

/** Bytes of bodies that may be on their way at the same time, all requests together. */
const ARRIVING_BYTES = 512 << 20;
let arriving = 0;

/** The whole body. Rejects with Problem 413 above `limit`, 429 where too much arrives at once, 400 when the client goes away before its end. */
export function readBody(req: IncomingMessage, limit: number): Promise<Buffer> {
  if (req.headers["content-length"] === "0" || (req.headers["content-length"] === undefined && !isChunked(req))) {
    return Promise.resolve(EMPTY);
  }
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] | null = [];
    let length = 0;
    const refuse = (problem: Problem): void => {
      chunks = null; // the rest is read and dropped, so that the answer arrives
      arriving -= length;
      reject(problem);
    };
    req.on("data", (chunk: Buffer) => {
      if (chunks === null) return;
      length += chunk.length;
      arriving += chunk.length;
      chunks.push(chunk);
      if (length > limit) refuse(tooLarge(limit));
      else if (arriving > ARRIVING_BYTES) refuse(tooMany("More arrives at once than fits into memory.", 1));
    });
    req.on("end", () => {
      if (chunks === null) return;
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
      chunks = null; // arrived: the close that follows is no failure
      arriving -= length;
    });
    req.on("error", () => {}); // it is closed next, and that tells
    req.on("close", () => {
      if (chunks !== null) refuse(new Problem(400, "invalid", "The body ended before its length."));
    });
  });
}

const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

/**
 * A JSON body as a value; an empty one is an empty object.
 * @throws Problem 415 for another type or an encoding, 400 for what is not JSON, 422 for a number that would be rounded
 */
export function parseBody(req: IncomingMessage, bytes: Buffer): unknown {
  const encoding = req.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new Problem(415, "unsupported-media", `Bodies are not decompressed; this one says Content-Encoding: ${encoding}.`);
  }
  if (bytes.length === 0) return {};
  const type = req.headers["content-type"];
  if (type !== "application/json" && !(type !== undefined && JSON_TYPE.test(type))) {
    throw new Problem(415, "unsupported-media",
      `This takes Content-Type: application/json (curl --json); the request says ${type ?? "nothing"}.`);
  }
  if (!isUtf8(bytes)) throw new Problem(400, "invalid", "The body is not UTF-8.");
  return parseJson(bytes.toString("utf8"));
}
