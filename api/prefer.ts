/** The Prefer header (RFC 7240): how long a request may be held. */
import { invalid } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/**
 * The seconds of `wait=`, or null when the header has none.
 * @throws Problem 422 beyond the limits
 */
export function preferredWait(header: string | string[] | undefined): number | null {
  if (header === undefined) return null;
  for (const preference of String(header).split(/[,;]/)) {
    const match = /^\s*wait\s*=\s*"?([^"]*?)"?\s*$/i.exec(preference);
    if (match === null) continue;
    const text = match[1]!;
    if (/^\d{1,9}$/.test(text) && Number(text) <= LIMITS.wait.max) return Number(text);
    const message = `wait takes 0 to ${LIMITS.wait.max} seconds`;
    throw invalid(`Prefer: ${message}; the request says "${text.slice(0, 40)}".`, [{ path: "/headers/prefer", message }]);
  }
  return null;
}
