/** An event stream as a client holds it: everything that came until it broke. */
import type { Session } from "../acceptance/client.ts";

export interface Stream {
  /** What came, once the stream has ended. */
  text(): Promise<string>;
  close(): void;
}

/** Opens the stream; it ends by close() or with the server. */
export function follow(session: Session, path: string, more: Record<string, string> = {}): Stream {
  const abort = new AbortController();
  const read = async (): Promise<string> => {
    let text = "";
    try {
      const response = await fetch(`${session.url}/v1/sessions/${session.id}${path}`, {
        headers: { Authorization: `Bearer ${session.token}`, Accept: "text/event-stream", ...more },
        signal: abort.signal,
      });
      if (!response.ok) throw new Error(`the stream answers ${response.status}: ${await response.text()}`);
      const decoder = new TextDecoder();
      for await (const chunk of response.body!) text += decoder.decode(chunk as Uint8Array, { stream: true });
    } catch (error) {
      if (text === "" && !abort.signal.aborted) throw error;
    }
    return text;
  };
  const text = read();
  text.catch(() => null); // told to whoever asks for the text
  return { text: () => text, close: () => abort.abort() };
}
