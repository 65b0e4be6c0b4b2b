/** Strings in buffers of a fixed size (lib/string.c, lib/vsprintf.c); texts are one character a byte. */
import { E2BIG } from "../abi/errno.ts";
import { kprintf, type PrintfArgument } from "./printf.ts";

/** Copies what fits with its NUL: the length copied, or -E2BIG when something was cut or there is no room at all. */
export function strscpy(source: string, size: number): { ret: number; text: string } {
  if (size === 0) return { ret: -E2BIG, text: "" };
  if (source.length < size) return { ret: source.length, text: source };
  return { ret: -E2BIG, text: source.slice(0, size - 1) };
}

/** The length that the whole text would have had. */
export function snprintf(size: number, format: string, ...args: PrintfArgument[]): { ret: number; text: string } {
  const whole = kprintf(format, args);
  return { ret: whole.length, text: whole.slice(0, Math.max(0, size - 1)) };
}

/** The length that was written, without the NUL. */
export function scnprintf(size: number, format: string, ...args: PrintfArgument[]): { ret: number; text: string } {
  const { text } = snprintf(size, format, ...args);
  return { ret: text.length, text };
}

/** How many lines end in a text. */
export function newlinesOf(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
