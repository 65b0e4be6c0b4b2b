/** Which names this server answers to: a page elsewhere must not reach it through a visitor's browser. */
import { Problem, forbidden } from "./errors.ts";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
/** Distinct headers that are remembered as good; more are checked anew. */
const REMEMBERED = 1_000;

export interface HostCheck {
  /** @throws Problem 421 for a foreign Host, 403 for an Origin that is not this host */
  check(host: string | undefined, origin: string | undefined): void;
}

/** `host` is the listening address; `allowed` are further names, with or without a port. */
export function hostCheck(host: string, allowed: string[]): HostCheck {
  const names = new Set([...LOOPBACK, host.includes(":") && !host.startsWith("[") ? `[${host}]` : host, ...allowed].map(lower));
  const good = new Set<string>();
  return {
    check(header, origin) {
      if (header === undefined || !good.has(header)) {
        const name = lower(header ?? "");
        if (!names.has(name) && !names.has(withoutPort(name))) {
          throw new Problem(421, "forbidden", `This server does not answer for the host "${header ?? ""}"; SYSLAB_HOSTS can name it.`);
        }
        if (good.size < REMEMBERED) good.add(header!);
      }
      if (origin !== undefined && !isSameHost(origin, header!)) {
        throw forbidden(`Requests from the origin "${origin}" are not taken.`);
      }
    },
  };
}

function lower(name: string): string {
  return name.trim().toLowerCase();
}

function withoutPort(name: string): string {
  return name.replace(/:\d*$/, "");
}

function isSameHost(origin: string, host: string): boolean {
  const match = /^https?:\/\/(.+)$/i.exec(origin);
  return match !== null && lower(match[1]!) === lower(host);
}
