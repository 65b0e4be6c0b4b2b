/** siginfo_t as an argument: which fields it has depends on who sent the signal. */
import { formatChoice, parseChoice } from "../../abi/flags.ts";
import { decodeStruct, encodeStruct, type Layout } from "../../abi/layout.ts";
import {
  siCodes, siginfoChildLayout, siginfoFaultLayout, siginfoHeadLayout, siginfoKillLayout, siginfoTimerLayout, signalName, signalNumber,
  SI_TIMER, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGSEGV,
} from "../../abi/signal.ts";
import type { PendingSignal } from "../../sched/signal.ts";
import { padded, structCodec, toJson, type Codec } from "../codec.ts";
import { isObject, readBytes } from "../json.ts";

const FAULTS = [SIGSEGV, SIGBUS, SIGILL, SIGFPE];

/** How a siginfo of this signal and si_code lies in memory. */
function layoutOf(signal: number, code: number): Layout {
  if (code === SI_TIMER) return siginfoTimerLayout;
  if (code > 0 && signal === SIGCHLD) return siginfoChildLayout;
  if (code > 0 && FAULTS.includes(signal)) return siginfoFaultLayout;
  return siginfoKillLayout;
}

/** The bytes that a process gets of a signal that it takes. */
export function siginfoBytes({ number, code, pid, uid, addr, value, status }: PendingSignal): Uint8Array {
  const layout = layoutOf(number, code);
  const head = { si_signo: number, si_code: code };
  if (layout === siginfoTimerLayout) return encodeStruct(siginfoTimerLayout, { ...head, si_timerid: pid, si_overrun: uid, si_value: value });
  if (layout === siginfoChildLayout) return encodeStruct(siginfoChildLayout, { ...head, si_pid: pid, si_uid: uid, si_status: status });
  if (layout === siginfoFaultLayout) return encodeStruct(siginfoFaultLayout, { ...head, si_addr: addr });
  return encodeStruct(siginfoKillLayout, { ...head, si_pid: pid, si_uid: uid, si_value: value });
}

const given = structCodec("siginfo_t", siginfoKillLayout);

/** The fields by their C names; signals and codes may be given by name. */
export const siginfo: Codec = {
  ...given,
  encode(value, problem) {
    const raw = readBytes(value);
    if (raw instanceof Uint8Array) return padded(raw, siginfoHeadLayout.size);
    if (!isObject(value)) return given.encode(value, problem);
    const fields = { ...value };
    if (typeof fields.si_signo === "string") fields.si_signo = signalNumber(fields.si_signo) ?? fields.si_signo;
    if (typeof fields.si_code === "string") {
      const signal = typeof fields.si_signo === "number" ? fields.si_signo : 0;
      fields.si_code = parseChoice(siCodes(signal), fields.si_code) ?? fields.si_code;
    }
    return given.encode(fields, problem);
  },
  decode(bytes) {
    const { si_signo, si_code } = decodeStruct(siginfoHeadLayout, bytes);
    return toJson(decodeStruct(layoutOf(si_signo, si_code), bytes));
  },
  show(bytes) {
    const fields = decodeStruct(siginfoHeadLayout, bytes);
    const { si_signo, si_errno, si_code, ...rest } = decodeStruct(layoutOf(fields.si_signo, fields.si_code), bytes) as { [field: string]: unknown };
    if (si_signo === 0) return "{}";
    const more = Object.entries(rest).filter(([, value]) => value !== 0).map(([field, value]) => `, ${field}=${String(value)}`);
    const errno = si_errno === 0 ? "" : `, si_errno=${String(si_errno)}`;
    return `{si_signo=${signalName(Number(si_signo))}${errno}, si_code=${formatChoice(siCodes(Number(si_signo)), Number(si_code))}${more.join("")}}`;
  },
};
