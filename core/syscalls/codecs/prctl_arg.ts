/** An argument that is a number or a pointer by what another argument says: `{ out: n }`, `{ in: bytes }` or a string lie behind a pointer. */
import { utf8Encode } from "../../lib/bytes.ts";
import { readPointer, showAddress, unsigned, type ArgType } from "../args.ts";
import { padded } from "../codec.ts";
import { BUFFER_LIMIT, bytesToJson, isObject, readBytes, readInteger, readReference } from "../json.ts";

/** Room enough for whatever such a call reads or writes. */
const POINTED_BYTES = 64;

export function prctlArg(name: string): ArgType {
  return {
    name, kind: "value-or-bytes", optional: true, pointer: true, take: unsigned,
    decode(value, context) {
      if (value === undefined || value === null) return 0;
      const register = readPointer(value) ?? readInteger(value) ?? readReference(value);
      if (register !== undefined) return register;
      if (typeof value === "string") return { bytes: padded(utf8Encode(value), Math.max(value.length * 3 + 1, POINTED_BYTES)) };
      if (isObject(value) && "out" in value) {
        const room = readInteger(value.out);
        if (typeof room === "number" && room >= 0 && room <= BUFFER_LIMIT) return { room: Math.max(room, POINTED_BYTES) };
      }
      const bytes = readBytes(isObject(value) ? (value.in ?? value.inout ?? value) : value);
      if (bytes instanceof Uint8Array) return { bytes: padded(bytes, POINTED_BYTES) };
      context.problem("takes an integer, a string, a pointer, { in }, { out } or { inout }");
      return 0;
    },
    show: showAddress,
    output(register, view) {
      const { scratch } = view.task;
      if (view.ret < 0 || scratch === null || typeof register !== "number" || register < scratch.base) return undefined;
      const bytes = view.read(register, scratch.bytes.length);
      return bytes.length === 0 ? undefined : bytesToJson(bytes);
    },
  };
}
