/** The .modinfo section of an object file, as tools read it. Bytes are one character each. */

const at16 = (text: string, at: number): number => text.charCodeAt(at) + text.charCodeAt(at + 1) * 256;
const at32 = (text: string, at: number): number => at16(text, at) + at16(text, at + 2) * 65_536;

/** Key and value of every line; null of what is no object file with such a section. */
export function modinfoOf(image: string): [string, string][] | null {
  if (!image.startsWith("\x7fELF\x02") || image.length < 64) return null;
  const table = at32(image, 40);
  const count = at16(image, 60);
  const header = (index: number): { name: number; at: number; size: number } => {
    const at = table + index * 64;
    return { name: at32(image, at), at: at32(image, at + 24), size: at32(image, at + 32) };
  };
  const names = header(at16(image, 62));
  for (let index = 0; index < count; index++) {
    const { name, at, size } = header(index);
    const start = names.at + name;
    if (image.slice(start, start + 9) !== ".modinfo\0") continue;
    return image.slice(at, at + size).split("\0").filter((line) => line !== "").map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, equals), line.slice(equals + 1)];
    });
  }
  return null;
}
