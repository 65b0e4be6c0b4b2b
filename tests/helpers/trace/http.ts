/** A session of a running server as the machine that a scenario is played on: API.md's routes and nothing else. */
import type { CallAnswer, Json } from "../../../core/input.ts";
import type { Machine } from "./player.ts";

export interface Server {
  /** Such as http://127.0.0.1:3000 */
  url: string;
  /** Needed where creating sessions needs it. */
  adminToken?: string;
}

interface Problem {
  title?: string;
  detail?: string;
}

async function request(method: string, url: string, token: string | undefined, body?: Json, headers: { [name: string]: string } = {}): Promise<Response> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.ok) return response;
  const text = await response.text();
  throw new Error(`${method} ${url}: ${response.status} ${problemText(text)}`);
}

function problemText(text: string): string {
  try {
    const { title, detail } = JSON.parse(text) as Problem;
    return `${title ?? ""}: ${detail ?? ""}`;
  } catch {
    return text.slice(0, 200);
  }
}

/** What the kernel is asked between two looks at a sleeping call, ms. */
const TICK_MS = 10;

export class HttpMachine implements Machine {
  private readonly base: string;
  private readonly token: string;

  private constructor(base: string, token: string) {
    this.base = base;
    this.token = token;
  }

  /** A fresh session whose clock moves only when it is told to. */
  static async open({ url, adminToken }: Server): Promise<HttpMachine> {
    const root = url.replace(/\/+$/, "");
    const response = await request("POST", `${root}/v1/sessions`, adminToken, { name: "trace", machine: { clock: "virtual" } });
    const { id, token } = (await response.json()) as { id: string; token: string };
    return new HttpMachine(`${root}/v1/sessions/${encodeURIComponent(id)}`, token);
  }

  async close(): Promise<void> {
    await request("DELETE", this.base, this.token);
  }

  private async json<T>(method: string, path: string, body?: Json, headers?: { [name: string]: string }): Promise<T> {
    return (await (await request(method, `${this.base}${path}`, this.token, body, headers)).json()) as T;
  }

  async createProcess(): Promise<number> {
    return (await this.json<{ pid: number }>("POST", "/processes", {})).pid;
  }

  call(pid: number, call: string, args: { [name: string]: Json }): Promise<CallAnswer> {
    const access = call === "load" || call === "store";
    return this.json("POST", `/processes/${pid}/syscalls/${call}`, access ? { ...args, onFault: "report" } : args, { prefer: "wait=0" });
  }

  async wait(_pid: number, callId: string, ms: number): Promise<CallAnswer> {
    const path = `/calls/${encodeURIComponent(callId)}`;
    const look = (): Promise<CallAnswer> => this.json("GET", path, undefined, { prefer: "wait=0" });
    for (let waited = 0; waited < ms; waited += TICK_MS) {
      const answer = await look();
      if (answer.state !== "sleeping") return answer;
      await this.json("POST", "/clock/advance", { ms: TICK_MS });
    }
    return look();
  }

  async signalCount(pid: number, signal: string): Promise<number> {
    const { signals } = await this.json<{ signals: { [name: string]: number } }>("GET", `/processes/${pid}`);
    return signals[signal] ?? 0;
  }

  async maps(pid: number): Promise<string> {
    return (await request("GET", `${this.base}/fs/proc/${pid}/maps`, this.token)).text();
  }
}
