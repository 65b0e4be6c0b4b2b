/** A snapshot's bytes: what the service must know of the moment, then the core's state. */
import type { RingEvent } from "./session.ts";

export interface ContentHeader {
  /** The row that the state includes, in the session that it was taken in. */
  seq: number;
  /** Work was left. */
  more: boolean;
  /** That session's last restore before. */
  restoredSeq: number;
  /** Its last events, and the one before them: followers go on after a restart. */
  events: RingEvent[];
  ringStart: { seq: number; index: number };
}

export const CONTENT_FORMAT = 1;
/** Events that a snapshot carries along. */
export const EVENTS_KEPT = 200;

export function writeContent(header: ContentHeader, state: Uint8Array): Uint8Array {
  const head = Buffer.from(JSON.stringify(header));
  const content = new Uint8Array(4 + head.length + state.length);
  new DataView(content.buffer).setUint32(0, head.length);
  content.set(head, 4);
  content.set(state, 4 + head.length);
  return content;
}

export function readContent(content: Uint8Array): { header: ContentHeader; state: Uint8Array } {
  const length = new DataView(content.buffer, content.byteOffset).getUint32(0);
  const header = JSON.parse(Buffer.from(content.subarray(4, 4 + length)).toString()) as ContentHeader;
  return { header, state: content.slice(4 + length) };
}
