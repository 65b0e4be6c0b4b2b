/** Arguments of the System V IPC calls: flags with a mode in them, what the ctl calls point to, messages. */
import { formatFlags, parseChoice, type ChoiceTable, type FlagTable } from "../abi/flags.ts";
import {
  GETALL, IPC_INFO, IPC_SET, IPC_STAT, SEM_INFO, SEM_STAT, SEM_STAT_ANY, semCommands, semidDsLayout, SETALL, SETVAL,
} from "../abi/ipc.ts";
import { semInfoLayout } from "../ipc/layouts.ts";
import type { Json } from "../input.ts";
import { getI64, getU16, putU16, putU64 } from "../lib/bytes.ts";
import { flags, hex, int32, readPointed, readPointer, showAddress, size, uint32, unsigned, type ArgType, type CallView, type DecodeContext, type Placed } from "./args.ts";
import { structCodec, type Codec } from "./codec.ts";
import { BUFFER_LIMIT, bytesToJson, isObject, readBytes, readInteger } from "./json.ts";
import { showBytes } from "./strace.ts";

/** Flags above nine permission bits: `IPC_CREAT|0600`. */
export function getFlags(name: string, table: FlagTable): ArgType {
  const mode = (value: number): string => `0${(value & 0o777).toString(8).padStart(3, "0")}`;
  return {
    ...flags(name, table),
    show(register) {
      const value = uint32(register);
      const named = (value & ~0o777) >>> 0;
      return named === 0 ? mode(value) : `${formatFlags(table, named)}|${mode(value)}`;
    },
  };
}

function failed({ ret }: CallView): boolean {
  return typeof ret === "number" && ret < 0;
}

/** The command that was given by name or number; -1 when it is neither. */
function commandGiven({ given }: DecodeContext, commands: ChoiceTable): number {
  const { cmd } = given;
  if (typeof cmd === "string") return parseChoice(commands, cmd) ?? -1;
  return typeof cmd === "number" ? cmd : 0;
}

/** The codec that a command writes by, or undefined when it writes nothing. */
export type WrittenBy = (cmd: number) => Codec | undefined;

/** `buf` of shmctl and msgctl: read by IPC_SET, written by the STAT and INFO commands, returned by those when left out. */
export function controlBuffer(name: string, commands: ChoiceTable, read: Codec, written: WrittenBy): ArgType {
  const codecFor = (view: CallView): Codec | undefined => written(int32(view.reg("cmd")));
  return {
    name, kind: "inout-struct", codec: read, optional: true, pointer: true, take: unsigned,
    decode: (value, context) => decodeControl(value, context, read, written(commandGiven(context, commands))),
    show: (register, view) => showControl(register, view, int32(view.reg("cmd")) === IPC_SET ? read : codecFor(view)),
    output: (register, view) => readControl(register, view, codecFor(view)),
  };
}

function decodeControl(value: Json | undefined, context: DecodeContext, read: Codec, written: Codec | undefined): Placed {
  if (value === undefined) return written === undefined ? 0 : { room: written.room(context) };
  const placed = readPointer(value);
  if (placed !== undefined) return placed;
  return { bytes: read.encode(value, (message) => context.problem(message)) };
}

function showControl(register: number | bigint, view: CallView, codec: Codec | undefined): string {
  if (register === 0 || codec === undefined || failed(view)) return showAddress(register);
  const bytes = view.read(register, codec.length(view));
  return bytes.length < codec.length(view) ? hex(register) : codec.show(bytes, view);
}

function readControl(register: number | bigint, view: CallView, codec: Codec | undefined): Json | undefined {
  if (register === 0 || codec === undefined || failed(view)) return undefined;
  const bytes = view.read(register, codec.length(view));
  return bytes.length < codec.length(view) ? undefined : codec.decode(bytes, view);
}

const semidDs = structCodec("semid_ds", semidDsLayout);
const semInfo = structCodec("seminfo", semInfoLayout);

/** The values of all semaphores of a set: `[0, 1, …]`. */
const semValues: Codec = {
  name: "unsigned short[]",
  fields: "any",
  room: () => 2 * 32000,
  length: (view) => 2 * (view.k.state.ipc.sem.get(int32(view.reg("semid")))?.values.length ?? 0),
  encode(value, problem) {
    const raw = readBytes(value);
    if (raw instanceof Uint8Array) return raw;
    const values = Array.isArray(value) ? value.map((item) => readInteger(item)) : undefined;
    if (values === undefined || values.includes(undefined)) {
      problem("takes an array of integers");
      return new Uint8Array(0);
    }
    const bytes = new Uint8Array(values.length * 2);
    values.forEach((number, at) => putU16(bytes, at * 2, Number(number)));
    return bytes;
  },
  decode: (bytes) => Array.from({ length: bytes.length / 2 }, (_, at) => getU16(bytes, at * 2)),
  show: (bytes) => `[${Array.from({ length: Math.min(32, bytes.length / 2) }, (_, at) => getU16(bytes, at * 2)).join(", ")}]`,
};

const SEM_INFO_COMMANDS = [IPC_INFO, SEM_INFO];
const SEM_STAT_COMMANDS = [IPC_STAT, SEM_STAT, SEM_STAT_ANY];

function semWritten(cmd: number): Codec | undefined {
  if (cmd === GETALL) return semValues;
  if (SEM_INFO_COMMANDS.includes(cmd)) return semInfo;
  return SEM_STAT_COMMANDS.includes(cmd) ? semidDs : undefined;
}

/** union semun: a number for SETVAL, an array for SETALL, a structure for IPC_SET; what the others write comes back under `arg`. */
export function semArg(name: string): ArgType {
  const command = (view: CallView): number => int32(view.reg("cmd"));
  return {
    name, kind: "any", optional: true, pointer: true, take: unsigned,
    decode(value, context) {
      const cmd = commandGiven(context, semCommands);
      if (cmd === SETVAL) {
        const number = value === undefined ? 0 : readInteger(value);
        if (number === undefined) context.problem("takes an integer");
        return number ?? 0;
      }
      return decodeControl(value, context, cmd === SETALL ? semValues : semidDs, semWritten(cmd));
    },
    show(register, view) {
      const cmd = command(view);
      if (cmd === SETVAL) return String(int32(register));
      return showControl(register, view, cmd === SETALL ? semValues : cmd === IPC_SET ? semidDs : semWritten(cmd));
    },
    output: (register, view) => readControl(register, view, semWritten(command(view))),
  };
}

/** `{ mtype, mtext }` that msgsnd takes. */
export function messageIn(name: string): ArgType {
  return {
    name, kind: "struct", optional: true, pointer: true, take: unsigned,
    decode(value, context) {
      const placed = value === undefined ? 0 : readPointed(value, context, 8);
      if (placed !== undefined) return placed;
      if (!isObject(value) || Object.keys(value).some((field) => field !== "mtype" && field !== "mtext")) {
        context.problem("takes { mtype, mtext }, its bytes or a pointer");
        return 0;
      }
      const type = readInteger(value.mtype ?? 0);
      const text = value.mtext === undefined ? new Uint8Array(0) : readBytes(value.mtext);
      if (type === undefined) context.problem("mtype takes an integer");
      if (!(text instanceof Uint8Array)) {
        context.problem("mtext takes bytes");
        return 0;
      }
      const bytes = new Uint8Array(8 + text.length);
      putU64(bytes, 0, type ?? 0);
      bytes.set(text, 8);
      return { bytes };
    },
    show: (register, view) => showMessage(register, view, Number(unsigned(view.reg("msgsz")))),
  };
}

/** Bytes of the text: of the message given when left out. */
export function messageSize(name: string, of: string): ArgType {
  return {
    ...size(name), sizedBy: of,
    decode(value, context) {
      const message = context.placed(of);
      if (value === undefined && typeof message === "object" && "bytes" in message) return message.bytes.length - 8;
      return size(name).decode(value, context);
    },
  };
}

/** Room for `{ mtype, mtext }` that msgrcv fills; its text is as long as the call's result. */
export function messageOut(name: string): ArgType {
  return {
    name, kind: "out-struct", optional: true, pointer: true, take: unsigned,
    decode(value, context) {
      if (value !== undefined) {
        const placed = readPointer(value);
        if (placed === undefined) context.problem("takes a pointer; leave it out to have the message returned");
        return placed ?? 0;
      }
      const room = Number(readInteger(context.given.msgsz ?? 0) ?? 0);
      return { room: 8 + (room < 0 || room > BUFFER_LIMIT ? BUFFER_LIMIT : room) };
    },
    show: (register, view) => (failed(view) ? hex(register) : showMessage(register, view, Number(view.ret))),
    output(register, view) {
      if (register === 0 || failed(view)) return undefined;
      const bytes = view.read(register, 8 + Number(view.ret));
      if (bytes.length < 8) return undefined;
      const type = getI64(bytes, 0);
      return { mtype: typeof type === "bigint" ? type.toString() : type, mtext: bytesToJson(bytes.subarray(8)) };
    },
  };
}

function showMessage(register: number | bigint, view: CallView, length: number): string {
  if (register === 0) return "NULL";
  const bytes = view.read(register, 8 + Math.min(33, length));
  if (bytes.length < 8) return hex(register);
  return `{mtype=${getI64(bytes, 0)}, mtext=${showBytes(bytes.subarray(8), length, register)}}`;
}
