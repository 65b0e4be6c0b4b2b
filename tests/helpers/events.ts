/** An event stream as a client holds it. */

export interface Told {
  id: string;
  event: string;
  // What a test digs in.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  data: any;
}

export class Follower {
  readonly events: Told[] = [];
  comments = 0;
  status = 0;
  ended = false;
  readonly #abort = new AbortController();
  #wake: (() => void)[] = [];
  #begun: Promise<void>;

  constructor(url: string, token: string | null, headers: Record<string, string> = {}) {
    this.#begun = new Promise((resolve) => void this.#read(url, token, headers, resolve));
  }

  /** Resolves when the answer's head is there. */
  begun(): Promise<void> {
    return this.#begun;
  }

  async #read(url: string, token: string | null, headers: Record<string, string>, begun: () => void): Promise<void> {
    try {
      const response = await fetch(url, {
        signal: this.#abort.signal,
        headers: { Accept: "text/event-stream", ...(token === null ? {} : { Authorization: `Bearer ${token}` }), ...headers },
      });
      this.status = response.status;
      begun();
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of response.body!) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          this.#take(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } catch {
      // The stream ends with the server, or as its reader wishes.
    }
    begun();
    this.ended = true;
    this.#tell();
  }

  #take(block: string): void {
    if (block.startsWith(":")) this.comments++;
    else {
      const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      this.events.push({ id: fields["id"]!, event: fields["event"]!, data: JSON.parse(fields["data"]!) as unknown });
    }
    this.#tell();
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Waits until what came fits, or the stream has ended. */
  async until(fits: (events: Told[]) => boolean): Promise<Told[]> {
    while (!fits(this.events) && !this.ended) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.events;
  }

  close(): void {
    this.#abort.abort();
  }
}
