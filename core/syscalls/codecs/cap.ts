/** The two structures of capget(2), low and high 32 capabilities: `[{ effective, permitted, inheritable }, …]`. */
import { capUserDataLayout, capUserHeaderLayout, _LINUX_CAPABILITY_VERSION_1 } from "../../abi/capability.ts";
import { decodeStruct } from "../../abi/layout.ts";
import { getU32 } from "../../lib/bytes.ts";
import type { CallView } from "../args.ts";
import { showValue, structCodec, type Codec } from "../codec.ts";

const half = structCodec("cap_user_data_t", capUserDataLayout);
const SIZE = capUserDataLayout.size;

/** The first version had room for 32 capabilities. */
function halves(view: CallView): number {
  const header = view.read(view.reg("hdrp"), capUserHeaderLayout.size);
  return header.length >= 4 && getU32(header, 0) === _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
}

function parts(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(bytes.length / SIZE) }, (_, at) => bytes.subarray(at * SIZE, (at + 1) * SIZE));
}

export const capData: Codec = {
  name: "cap_user_data_t",
  fields: "any",
  room: () => 2 * SIZE,
  length: (view) => halves(view) * SIZE,
  encode(value, problem) {
    if (!Array.isArray(value)) return half.encode(value, problem);
    const bytes = new Uint8Array(2 * SIZE);
    if (value.length > 2) problem("takes at most two structures");
    value.slice(0, 2).forEach((item, at) => bytes.set(half.encode(item, problem).subarray(0, SIZE), at * SIZE));
    return bytes;
  },
  decode: (bytes, view) => parts(bytes).map((part) => half.decode(part, view)),
  show: (bytes) => `[${parts(bytes).map((part) => showValue(decodeStruct(capUserDataLayout, part))).join(", ")}]`,
};
