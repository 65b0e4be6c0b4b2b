/** Names and paths: one character a byte, so that a name that is not UTF-8 keeps its bytes. */

/** The bytes of a name. */
export function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length);
  for (let at = 0; at < name.length; at++) bytes[at] = name.charCodeAt(at);
  return bytes;
}

/** A name as it is kept, of its bytes. */
export function bytesName(bytes: Uint8Array): string {
  let name = "";
  for (let at = 0; at < bytes.length; at++) name += String.fromCharCode(bytes[at]);
  return name;
}
