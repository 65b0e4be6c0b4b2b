/** The service in this process, on a database of its own, listening; every answer is held to the contract. */
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import request from "supertest";
import { createHttpServer } from "../../api/app.ts";
import { openService, type Service, type ServiceOptions } from "../../api/service.ts";
import { contractBreach } from "./contract.ts";
import { holdToContract } from "./hold.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Method = "get" | "post" | "put" | "patch" | "delete" | "head";

export interface Ask {
  json?: unknown;
  /** A body as it is, with its type. */
  raw?: string | Buffer;
  type?: string;
  headers?: Record<string, string>;
  token?: string | null;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  // What a test digs in; the contract was checked before.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  body: any;
  text: string;
  bytes: Buffer;
}

export class TestService {
  readonly url: string;
  readonly service: Service;
  readonly directory: string;
  readonly #server: Server;
  readonly #ownsDirectory: boolean;
  /** Answers that the contract does not allow, whoever asked. */
  readonly #breaches: string[];

  private constructor(service: Service, server: Server, directory: string, ownsDirectory: boolean) {
    this.service = service;
    this.#breaches = holdToContract(server);
    this.#server = server;
    this.directory = directory;
    this.#ownsDirectory = ownsDirectory;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** @param directory of a service that was stopped before: the database in it is opened again */
  static async start(options: Partial<ServiceOptions> & { hosts?: string[]; commentMs?: number } = {}, directory?: string): Promise<TestService> {
    const folder = directory ?? mkdtempSync(join(tmpdir(), "syslab-api-"));
    const log = pino({ level: "silent" });
    const { hosts = [], commentMs, ...rest } = options;
    const service = await openService({ databaseUrl: `file:${join(folder, "syslab.db")}`, log, ...rest });
    const server = createHttpServer({ services: service.services, log, host: "127.0.0.1", hosts, ...(commentMs === undefined ? {} : { commentMs }) });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TestService(service, server, folder, directory === undefined);
  }

  /** Stops; the directory stays for another start when `keep`. */
  async stop({ keep = false } = {}): Promise<void> {
    this.#server.close();
    await this.service.close();
    this.#server.closeAllConnections();
    if (!keep && this.#ownsDirectory) rmSync(this.directory, { recursive: true, force: true });
    if (this.#breaches.length > 0) throw new Error(`answers off the contract:\n${this.#breaches.splice(0).slice(0, 5).join("\n")}`);
  }

  async ask(method: Method, path: string, { json, raw, type, headers = {}, token }: Ask = {}): Promise<Answer> {
    let asked = request(this.url)[method](path).buffer(true).parse(collect);
    if (token !== undefined && token !== null) asked = asked.set("Authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers)) asked = asked.set(name, value);
    if (raw !== undefined) {
      if (type !== undefined) asked = asked.set("Content-Type", type);
      asked = asked.serialize((body: unknown) => body as string).send(raw as string);
    } else if (json !== undefined) asked = asked.set("Content-Type", "application/json").serialize((body: unknown) => body as string).send(JSON.stringify(json));
    const response = await asked;
    const bytes = Buffer.isBuffer(response.body) ? response.body : Buffer.alloc(0);
    const text = bytes.toString();
    const contentType = response.headers["content-type"] as string | undefined;
    const body: unknown = contentType !== undefined && /json/.test(contentType) && text !== "" ? JSON.parse(text) : null;
    const answer: Answer = { status: response.status, headers: response.headers as Record<string, string>, body, text, bytes };
    if (method !== "head") {
      const breach = contractBreach(method, path, response.status, contentType, body);
      if (breach !== null) throw new Error(breach);
    }
    return answer;
  }

  /** A session and its owner's token. */
  async session(body: Record<string, unknown> = { machine: { clock: "virtual" } }, options: Ask = {}): Promise<TestSession> {
    const answer = await this.ask("post", "/v1/sessions", { json: body, ...options });
    if (answer.status !== 201) throw new Error(`POST /v1/sessions: ${answer.status} ${answer.text}`);
    return new TestSession(this, answer.body.id as string, answer.body.token as string);
  }
}

function collect(response: unknown, done: (error: Error | null, body: Buffer) => void): void {
  const stream = response as NodeJS.ReadableStream;
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
  stream.on("end", () => done(null, Buffer.concat(chunks)));
}

/** A session as one of its members sees it. */
export class TestSession {
  readonly service: TestService;
  readonly id: string;
  readonly token: string;
  readonly uid: number;
  readonly memberId: string;

  constructor(service: TestService, id: string, token: string, uid = 0, memberId = "") {
    this.service = service;
    this.id = id;
    this.token = token;
    this.uid = uid;
    this.memberId = memberId;
  }

  get path(): string {
    return `/v1/sessions/${this.id}`;
  }

  ask(method: Method, path: string, options: Ask = {}): Promise<Answer> {
    return this.service.ask(method, this.path + path, { token: this.token, ...options });
  }

  /** The same session on a service that was started again. */
  on(service: TestService): TestSession {
    return new TestSession(service, this.id, this.token, this.uid, this.memberId);
  }

  async member(role: string, name: string = role): Promise<TestSession> {
    const { status, body, text } = await this.ask("post", "/members", { json: { name, role } });
    if (status !== 201) throw new Error(`POST members: ${status} ${text}`);
    return new TestSession(this.service, this.id, body.token as string, body.uid as number, body.id as string);
  }

  async process(body: Record<string, unknown> = {}): Promise<number> {
    const { status, body: made, text } = await this.ask("post", "/processes", { json: body });
    if (status !== 201) throw new Error(`POST processes: ${status} ${text}`);
    return made.pid as number;
  }

  call(pid: number, call: string | number, args: unknown = {}, options: Ask = {}): Promise<Answer> {
    return this.ask("post", `/processes/${pid}/syscalls/${call}`, { json: args, ...options });
  }

  /** A call that must succeed: its answer. */
  async must(pid: number, call: string, args: unknown = {}): Promise<Answer["body"]> {
    const { status, body, text } = await this.call(pid, call, args);
    if (status !== 200 || body.errno !== null) throw new Error(`${call}: ${status} ${text}`);
    return body;
  }

  batch(pid: number, calls: unknown[], options: Ask & { onError?: string } = {}): Promise<Answer> {
    const { onError = "stop", ...rest } = options;
    return this.ask("post", `/processes/${pid}/syscalls`, { json: { calls, onError }, ...rest });
  }
}

export const wait = (seconds: number) => ({ headers: { Prefer: `wait=${seconds}` } });
