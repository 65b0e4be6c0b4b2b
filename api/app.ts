/** The express application: what every request passes, then its route. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import express, { type Express } from "express";
import helmet, { type HelmetOptions } from "helmet";
import type { Logger } from "pino";
import { Problem, notFound } from "./errors.ts";
import { hostCheck, type HostCheck } from "./hosts.ts";
import { HEADER_BYTES, LIMITS } from "./limits.ts";
import { answerMalformed, urlTooLong } from "./malformed.ts";
import { mount, newRequestId, type Door } from "./mount.ts";
import { send } from "./reply.ts";
import { routes } from "./routes/index.ts";
import type { Services } from "./services.ts";
import { problemReply } from "./sessions/work.ts";

/** What node reads of a request before its body: more than any may have, so that we see what was too long. */
const READ_BYTES = 16 * HEADER_BYTES;

export interface AppOptions {
  services: Services;
  log: Logger;
  /** The listening address and further names for Host headers. */
  host: string;
  hosts: string[];
  /** How often event streams show that they live, in milliseconds; 15 s when left out. */
  commentMs?: number;
}

const SECURITY: HelmetOptions = {
  contentSecurityPolicy: { directives: { "upgrade-insecure-requests": null, "style-src": ["'self'", "'unsafe-inline'"] } },
  strictTransportSecurity: false, // the service speaks plain HTTP; whoever puts TLS before it says so there
};

/** What helmet sets, which is the same for every answer. */
function securityHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  const recorder = { setHeader: (name: string, value: string) => void (headers[name] = value), removeHeader() {} };
  helmet(SECURITY)({} as never, recorder as never, () => {});
  return headers;
}

interface App {
  app: Express;
  /** The API without express around it. */
  door: Door;
  /** What every answer has. */
  headers: Record<string, string>;
}

export function createApp({ services, log, host, hosts, commentMs }: AppOptions): App {
  const check = hostCheck(host, hosts);
  const headers = securityHeaders();
  const door = mount({ routes, services, hosts: check, log, headers, commentMs });
  const app = express();
  app.disable("x-powered-by");
  app.use("/docs", (_req, res, next) => next(void res.setHeaders(new Map(Object.entries(headers)))), guarded(check), docs());
  app.use((req, res) => door(req, res));
  return { app, door, headers };
}

/**
 * An HTTP server for the app. The API's requests do not go through express: that takes four times as long as all of ours
 * (measured: 90 µs of 110 for an echo), and nothing of it is used.
 */
export function createHttpServer(options: AppOptions): Server {
  const { app, door, headers } = createApp(options);
  const answer: RequestListener = (req, res) => {
    if (/^\/docs(?![^/?])/.test(req.url!)) app(req, res);
    else door(req, res);
  };
  const server = createServer({ maxHeaderSize: READ_BYTES, keepAliveTimeout: 65_000, headersTimeout: 30_000, requestTimeout: 300_000, requireHostHeader: false }, answer);
  server.on("checkExpectation", answer); // an expectation that is not ours to meet is ignored
  answerMalformed(server, headers, newRequestId);
  server.maxHeadersCount = 0; // by bytes, and none is dropped in silence
  server.maxConnections = 10_000;
  return server;
}

/** The documentation answers to its own names only, like the rest; what it has not is a problem document like elsewhere. */
function guarded(hosts: HostCheck): express.RequestHandler {
  return (req, res, next) => {
    const id = newRequestId();
    const refuse = (problem: Problem): void => send(res, problemReply(problem, id), { "X-Request-Id": id });
    try {
      hosts.check(req.headers.host, req.headers.origin);
      if (req.originalUrl.length > LIMITS.urlBytes) throw urlTooLong();
      if (req.method !== "GET" && req.method !== "HEAD") throw new Problem(405, "not-found", `${req.originalUrl} takes GET, HEAD.`, { headers: { Allow: "GET, HEAD" } });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return refuse(error);
    }
    res.setHeader("X-Request-Id", id);
    next();
  };
}

/** Swagger UI from the installed package: no network is needed. */
function docs(): express.Router {
  const router = express.Router();
  const assets = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  router.get("/swagger-initializer.js", (_req, res) => {
    res.type("text/javascript").send(INITIALIZER);
  });
  router.get("/", (req, res, next) => (req.originalUrl.split("?")[0] === "/docs" ? res.redirect(308, "/docs/") : next()));
  router.use(express.static(assets, { index: "index.html", maxAge: "1h" }));
  router.use((req, res) => {
    const id = newRequestId();
    send(res, problemReply(notFound(`There is no ${req.originalUrl}.`), id), { "X-Request-Id": id });
  });
  return router;
}

const INITIALIZER = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.yaml",
    dom_id: "#swagger-ui",
    deepLinking: true,
    docExpansion: "none",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: "StandaloneLayout",
    validatorUrl: null,
  });
};
`;
