/** The express application: what every request passes, then its route. */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import express, { type Express } from "express";
import helmet from "helmet";
import type { Logger } from "pino";
import { pinoHttp } from "pino-http";
import { hostCheck, type HostCheck } from "./hosts.ts";
import { mount } from "./mount.ts";
import { routes } from "./routes/index.ts";
import type { Services } from "./services.ts";

export interface AppOptions {
  services: Services;
  log: Logger;
  /** The listening address and further names for Host headers. */
  host: string;
  hosts: string[];
}

export function createApp({ services, log, host, hosts }: AppOptions): Express {
  const app = express();
  const check = hostCheck(host, hosts);
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(requestIds);
  app.use(pinoHttp({
    logger: log,
    genReqId: (req) => req.id,
    customLogLevel: (_req, res) => (res.statusCode === 500 || res.statusCode === 503 ? "error" : "info"),
    customErrorObject: (_req, _res, _error, { req, res, responseTime }) => ({ req, res, responseTime }),
    // One short line a request; the rest is in the metrics.
    serializers: { req: ({ id, method, url }: { id: string; method: string; url: string }) => ({ id, method, url }), res: ({ statusCode }: { statusCode: number }) => ({ statusCode }) },
  }));
  app.use(helmet({
    contentSecurityPolicy: { directives: { "upgrade-insecure-requests": null, "style-src": ["'self'", "'unsafe-inline'"] } },
    strictTransportSecurity: false, // the service speaks plain HTTP; whoever puts TLS before it says so there
  }));
  app.use("/docs", docs(check));
  app.use(mount(routes, services, check));
  return app;
}

/** An HTTP server for the app: the header section may be as long as the longest URL, and something more. */
export function createHttpServer(app: Express): Server {
  const server = createServer({ maxHeaderSize: 64 << 10, keepAliveTimeout: 65_000, requestTimeout: 300_000 }, app);
  server.maxConnections = 10_000;
  return server;
}

const RUN = randomBytes(6).toString("base64url");
let requests = 0;

const requestIds: express.RequestHandler = (req, res, next) => {
  req.id = `${RUN}-${(requests++).toString(36)}`;
  res.setHeader("X-Request-Id", req.id);
  next();
};

/** Swagger UI from the installed package: no network is needed. */
function docs(hosts: HostCheck): express.Router {
  const router = express.Router();
  const assets = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  router.use((req, res, next) => {
    try {
      hosts.check(req.headers.host, req.headers.origin);
      next();
    } catch {
      res.status(421).end();
    }
  });
  router.get("/swagger-initializer.js", (_req, res) => {
    res.type("text/javascript").send(INITIALIZER);
  });
  router.get("/", (req, res, next) => (req.originalUrl.split("?")[0] === "/docs" ? res.redirect(308, "/docs/") : next()));
  router.use(express.static(assets, { index: "index.html", maxAge: "1h" }));
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
