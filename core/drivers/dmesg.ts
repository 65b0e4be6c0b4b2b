/** The log as dmesg(1) of util-linux prints it. */
import type { Kernel } from "../kernel.ts";
import { logTime } from "../lib/format.ts";
import type { LogRecord } from "../sched/printk.ts";

const FACILITIES = ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/** Lines after the first stand under the text, and what cannot be printed is \xNN. */
function laidOut(prefix: string, text: string): string {
  let escaped = "";
  for (const char of text) {
    const code = char.charCodeAt(0);
    const plain = (code >= 32 && code !== 127) || (code >= 9 && code <= 13);
    escaped += plain ? char : `\\x${code.toString(16).padStart(2, "0")}`;
  }
  return prefix + escaped.replaceAll("\n", `\n${" ".repeat(prefix.length)}`);
}

/** `[    3.447092] text` */
export function dmesgLine({ ns, text }: LogRecord): string {
  return laidOut(`[${logTime(ns)}] `, text);
}

/** As `dmesg -x`: `kern  :warn  : [    3.447092] text`. */
export function dmesgDecodedLine({ facility, level, ns, text }: LogRecord): string {
  return laidOut(`${(FACILITIES[facility] ?? String(facility)).padEnd(6)}:${LEVELS[level].padEnd(6)}: [${logTime(ns)}] `, text);
}

/** As `dmesg -r`: `<4>[    3.447092] text`; the number holds facility and level. */
export function dmesgRawLine({ facility, level, ns, text }: LogRecord): string {
  return laidOut(`<${facility * 8 + level}>[${logTime(ns)}] `, text);
}

/** What dmesg prints: the records since the last clear. */
export function dmesgText(k: Kernel, line: (record: LogRecord) => string = dmesgLine): string {
  const { records, clearedBefore } = k.state.log;
  return records.filter(({ sequence }) => sequence >= clearedBefore).map((record) => `${line(record)}\n`).join("");
}
