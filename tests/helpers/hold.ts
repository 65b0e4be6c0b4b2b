/** Holds every answer of a server to openapi.yaml, whichever client it goes to. */
import type { OutgoingHttpHeaders, Server, ServerResponse } from "node:http";
import { contractBreach } from "./contract.ts";

/** Watches what leaves the server; the array fills with what the contract does not allow. */
export function holdToContract(server: Server): string[] {
  const breaches: string[] = [];
  server.prependListener("request", (req, res) => {
    // The documentation's files are no part of the contract.
    if (/^\/docs(?![^/?])/.test(req.url!)) return;
    const sent = record(res);
    res.once("finish", () => {
      const type = sent.headers["content-type"];
      const method = req.method!.toLowerCase();
      if (method === "head") return;
      let body: unknown = null;
      if (type !== undefined && /json/.test(type)) body = JSON.parse(Buffer.concat(sent.chunks).toString()) as unknown;
      const breach = contractBreach(method, req.url!, res.statusCode, type, body) ?? headersBreach(method, req.url!, res.statusCode, sent.headers, body);
      if (breach !== null) breaches.push(breach);
    });
  });
  return breaches;
}

interface Sent {
  headers: Record<string, string>;
  chunks: Buffer[];
}

/** What is written to the response, as it is written. */
function record(res: ServerResponse): Sent {
  const sent: Sent = { headers: {}, chunks: [] };
  const { writeHead, write, end } = res;
  const take = (chunk: unknown): void => {
    if (typeof chunk === "string" || chunk instanceof Uint8Array) sent.chunks.push(Buffer.from(chunk as string));
  };
  res.writeHead = ((status: number, headers: OutgoingHttpHeaders) => {
    for (const [name, value] of Object.entries(headers)) sent.headers[name.toLowerCase()] = String(value);
    return writeHead.call(res, status, headers);
  }) as typeof res.writeHead;
  res.write = ((...args: Parameters<typeof write>) => {
    take(args[0]);
    return write.apply(res, args);
  }) as typeof res.write;
  res.end = ((...args: Parameters<typeof end>) => {
    take(args[0]);
    return end.apply(res, args);
  }) as typeof res.end;
  return sent;
}

/** What API.md says of headers. */
function headersBreach(method: string, url: string, status: number, headers: Record<string, string>, body: unknown): string | null {
  const told = `${method} ${url.slice(0, 200)} ${status}`;
  const problem = headers["content-type"] === "application/problem+json" ? (body as { requestId: string }) : null;
  if (headers["x-request-id"] === undefined || (problem !== null && problem.requestId !== headers["x-request-id"])) return `${told} has no request id, or another than its document`;
  if ((status === 201 || status === 202) && !url.includes("/fs/") && headers["location"] === undefined) return `${told} has no Location`;
  if (status === 401 && headers["www-authenticate"] === undefined) return `${told} has no WWW-Authenticate`;
  if (status === 429 && headers["retry-after"] === undefined) return `${told} has no Retry-After`;
  if (status === 405 && headers["allow"] === undefined) return `${told} has no Allow`;
  if (url.startsWith("/v1/sessions") && headers["cache-control"] !== "no-store") return `${told} may be stored`;
  if (Object.keys(headers).some((name) => name.startsWith("access-control"))) return `${told} has a CORS header`;
  return null;
}
