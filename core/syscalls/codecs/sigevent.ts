/** struct sigevent of timer_create(2): `{ sigev_notify: "SIGEV_SIGNAL", sigev_signo: "SIGUSR1", sigev_value }`. */
import { formatChoice, parseChoice, type ChoiceTable } from "../../abi/flags.ts";
import { decodeStruct, layout } from "../../abi/layout.ts";
import { signalName, signalNumber } from "../../abi/signal.ts";
import { structCodec, type Codec } from "../codec.ts";
import { isObject } from "../json.ts";

export const SIGEV_SIGNAL = 0;
export const SIGEV_NONE = 1;
export const SIGEV_THREAD = 2;
export const SIGEV_THREAD_ID = 4;

const notify: ChoiceTable = { prefix: "SIGEV_", values: { SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID } };

export const sigeventLayout = layout(64, {
  sigev_value: [0, "u64"], sigev_signo: [8, "i32"], sigev_notify: [12, "i32"], sigev_tid: [16, "i32"],
});

const plain = structCodec("sigevent", sigeventLayout);

export const sigevent: Codec = {
  ...plain,
  encode(value, problem) {
    if (!isObject(value)) return plain.encode(value, problem);
    const fields = { ...value };
    if (typeof fields.sigev_signo === "string") fields.sigev_signo = signalNumber(fields.sigev_signo) ?? fields.sigev_signo;
    if (typeof fields.sigev_notify === "string") fields.sigev_notify = parseChoice(notify, fields.sigev_notify) ?? fields.sigev_notify;
    return plain.encode(fields, problem);
  },
  show(bytes) {
    const { sigev_value, sigev_signo, sigev_notify } = decodeStruct(sigeventLayout, bytes);
    return `{sigev_value={sival_int=${sigev_value}}, sigev_signo=${signalName(sigev_signo)}, sigev_notify=${formatChoice(notify, sigev_notify)}}`;
  },
};
