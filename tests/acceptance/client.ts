/** A small client of syslab, as a caller would write one from the documentation alone. */

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  requestId: string;
  errno?: string;
  errnoNumber?: number;
  errors?: { path: string; message: string }[];
}

/** A request that the service refused. */
export class Refused extends Error {
  readonly problem: Problem;
  readonly reply: Reply;
  constructor(problem: Problem, reply: Reply) {
    super(`${problem.status} ${problem.title}: ${problem.detail} ${JSON.stringify(problem.errors ?? "")}`);
    this.problem = problem;
    this.reply = reply;
  }
}

export interface Reply {
  status: number;
  headers: Headers;
  bytes: Buffer;
  text: string;
}

export interface AskOptions {
  json?: unknown;
  bytes?: Uint8Array;
  headers?: Record<string, string>;
  /** Prefer: wait, seconds. */
  wait?: number;
  /** Idempotency-Key. */
  key?: string;
  signal?: AbortSignal;
}

export interface Bytes {
  base64: string;
  text?: string;
}

/** What a call answers; the outputs stand under their man-page names. */
export interface Answer {
  state: "returned" | "sleeping" | "ended";
  ret: number;
  errno: string | null;
  errnoNumber?: number;
  message?: string;
  strace: string;
  ns: number;
  signal?: string;
  siCode?: string | number;
  faultAddr?: string;
  delivered?: string[];
  exited?: number;
  signaled?: string;
  pid?: number;
  callId: string;
  wchan: string;
  results?: Answer[];
  buf?: Bytes;
  pipefd?: [number, number];
  statbuf?: Record<string, number>;
  fds?: { fd: number; events: unknown; revents: unknown }[];
  readfds?: number[];
  writefds?: number[];
  arg?: Bytes;
  [output: string]: unknown;
}

export type Args = Record<string, unknown> | unknown[];

export interface Call {
  call: string | number;
  args?: Args;
}

/** One request. A status of 400 and above is thrown as Refused. */
export async function ask(url: string, token: string | null, method: string, path: string, options: AskOptions = {}): Promise<Reply> {
  const headers: Record<string, string> = { ...options.headers };
  if (token !== null) headers["Authorization"] = `Bearer ${token}`;
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  else if (options.bytes !== undefined) headers["Content-Type"] ??= "application/octet-stream";
  if (options.wait !== undefined) headers["Prefer"] = `wait=${options.wait}`;
  if (options.key !== undefined) headers["Idempotency-Key"] = options.key;
  const response = await fetch(url + path, {
    method,
    headers,
    body: options.json !== undefined ? JSON.stringify(options.json) : options.bytes,
    signal: options.signal,
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const reply: Reply = { status: response.status, headers: response.headers, bytes, text: bytes.toString("utf8") };
  if (response.status >= 400) throw new Refused(problemOf(reply), reply);
  return reply;
}

function problemOf(reply: Reply): Problem {
  if (reply.headers.get("content-type")?.startsWith("application/problem+json")) return JSON.parse(reply.text) as Problem;
  return { type: "about:blank", title: "no problem document", status: reply.status, detail: reply.text, requestId: "" };
}

/** The problem that a request is refused with; an accepted one is an error. */
export async function refusal(request: Promise<unknown>): Promise<Problem> {
  try {
    await request;
  } catch (error) {
    if (error instanceof Refused) return error.problem;
    throw error;
  }
  throw new Error("the request was accepted");
}

export interface SessionView {
  id: string;
  name: string;
  token: string;
  machine: Record<string, unknown>;
}

export type Machine = Record<string, unknown>;

/** A new session, as its owner. */
export async function newSession(url: string, machine: Machine = { clock: "virtual" }, more: Record<string, unknown> = {}): Promise<Session> {
  const reply = await ask(url, null, "POST", "/v1/sessions", { json: { name: "acceptance", machine, ...more } });
  const view = JSON.parse(reply.text) as SessionView;
  return new Session(url, view.id, view.token);
}

/** One member's view of a session. */
export class Session {
  /** Where the server listens; another after a restart. */
  url: string;
  readonly id: string;
  readonly token: string;
  constructor(url: string, id: string, token: string) {
    this.url = url;
    this.id = id;
    this.token = token;
  }

  ask(method: string, path: string, options?: AskOptions): Promise<Reply> {
    return ask(this.url, this.token, method, `/v1/sessions/${this.id}${path}`, options);
  }

  async json<T>(method: string, path: string, options?: AskOptions): Promise<T> {
    return JSON.parse((await this.ask(method, path, options)).text) as T;
  }

  async process(body: { comm?: string; uid?: number; parent?: number } = {}): Promise<Process> {
    const { pid } = await this.json<{ pid: number }>("POST", "/processes", { json: body });
    return new Process(this, pid);
  }

  /** The process or thread of that id, made earlier or by fork. */
  at(pid: number): Process {
    return new Process(this, pid);
  }

  async member(name: string, role: "student" | "assistant" | "observer"): Promise<Session & { uid: number }> {
    const { token, uid } = await this.json<{ token: string; uid: number }>("POST", "/members", { json: { name, role } });
    return Object.assign(new Session(this.url, this.id, token), { uid });
  }

  insmod(name: string, variant?: string, params?: unknown): Promise<Reply> {
    return this.ask("POST", "/modules", { json: { name, ...(variant === undefined ? {} : { variant }), ...(params === undefined ? {} : { params }) } });
  }

  rmmod(name: string): Promise<Reply> {
    return this.ask("DELETE", `/modules/${name}`);
  }

  async lsmod(): Promise<string> {
    return (await this.ask("GET", "/modules", { headers: { Accept: "text/plain" } })).text;
  }

  /** The log's lines without their time stamps. */
  async dmesg(): Promise<string[]> {
    const { text } = await this.ask("GET", "/dmesg");
    return text.split("\n").filter((line) => line !== "").map((line) => line.replace(/^\[ *\d+\.\d{6}\] /, ""));
  }

  put(path: string, bytes: Uint8Array): Promise<Reply> {
    return this.ask("PUT", `/fs${path}`, { bytes });
  }

  async cat(path: string): Promise<Buffer> {
    return (await this.ask("GET", `/fs${path}`)).bytes;
  }

  /** A call as it stands, or its end if that comes within `wait` seconds. */
  callState(callId: string, wait = 0): Promise<Answer> {
    return this.json("GET", `/calls/${callId}`, { wait });
  }

  /** The end of a call, however long it takes. */
  async ended(answer: Answer): Promise<Answer> {
    while (answer.state === "sleeping") answer = await this.callState(answer.callId, 60);
    return answer;
  }
}

/** A process that this client drives. */
export class Process {
  readonly session: Session;
  readonly pid: number;
  constructor(session: Session, pid: number) {
    this.session = session;
    this.pid = pid;
  }

  /** One call; it may answer that it sleeps. */
  call(name: string | number, args: Args = {}, options: AskOptions = {}): Promise<Answer> {
    return this.session.json("POST", `/processes/${this.pid}/syscalls/${name}`, { ...options, json: Array.isArray(args) ? { args } : args });
  }

  /** One call that must succeed: its return value. */
  async must(name: string, args: Args = {}): Promise<number> {
    const answer = await this.call(name, args);
    if (answer.state !== "returned" || answer.errno !== null) throw new Error(`${name}: ${answer.strace ?? JSON.stringify(answer)}`);
    return answer.ret;
  }

  /** Calls in one trip, to their end, however long they sleep. */
  async batch(calls: Call[], options: AskOptions & { onError?: "stop" | "continue" } = {}): Promise<Answer[]> {
    const { onError = "stop", ...rest } = options;
    const answer = await this.session.json<Answer>("POST", `/processes/${this.pid}/syscalls`, { ...rest, json: { calls, onError } });
    return (await this.session.ended(answer)).results ?? [];
  }

  /** The same, and every call must succeed. */
  async mustBatch(calls: Call[], options: AskOptions = {}): Promise<Answer[]> {
    const results = await this.batch(calls, options);
    const bad = results.find((result) => result.state !== "returned" || result.errno !== null);
    if (bad !== undefined || results.length !== calls.length) {
      throw new Error(`call ${results.length - 1} of ${calls.length}: ${bad?.strace ?? JSON.stringify(results.at(-1))}`);
    }
    return results;
  }

  async readMemory(address: number | string, length: number): Promise<Buffer> {
    return (await this.session.ask("GET", `/processes/${this.pid}/memory?address=${address}&length=${length}`)).bytes;
  }

  writeMemory(address: number | string, bytes: Uint8Array): Promise<Reply> {
    return this.session.ask("PUT", `/processes/${this.pid}/memory?address=${address}`, { bytes });
  }

  signal(signal: string): Promise<Reply> {
    return this.session.ask("POST", `/processes/${this.pid}/signals`, { json: { signal } });
  }

  view(): Promise<{ pid: number; call: Answer | null; signals: Record<string, number> }> {
    return this.session.json("GET", `/processes/${this.pid}`);
  }
}

export function bytesOf(bytes: Bytes | undefined): Buffer {
  if (bytes === undefined) throw new Error("the answer has no bytes");
  return Buffer.from(bytes.base64, "base64");
}

/** Deterministic bytes that no run of zeros or repetition hides errors in (xorshift32). */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let x = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    bytes[at] = x >>> 8;
  }
  return bytes;
}
