/**
 * The .ko file of a module: a small relocatable ELF object of true form that names its definition and variant in a note.
 * Loading checks it as the kernel checks any object, in that order and with those words.
 */
import { VERMAGIC } from "../abi/release.ts";
import { moduleDefinitions, VARIANTS, type ModuleDefinition, type Variant } from "./definition.ts";
import { modinfoLines } from "./modinfo.ts";

const EHDR_SIZE = 64;
const SHDR_SIZE = 64;
const ET_REL = 1;
const EM_X86_64 = 62;
const SHT_PROGBITS = 1;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_NOTE = 7;
const SHF_ALLOC = 2n;
const SYMBOL_SIZE = 24;
const STB_GLOBAL = 1 << 4;
const SHN_ABS = 0xfff1;

/** The note that says which definition and variant an object holds; its type is ours alone. */
const NOTE_OWNER = "syslab";
const NOTE_TYPE = 0x6d6f64;
/** struct module of this kernel: the name lies behind state and list. */
const THIS_MODULE_SIZE = 1024;
const THIS_MODULE_NAME = 24;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Section {
  name: string;
  type: number;
  flags: bigint;
  bytes: Uint8Array;
  link: number;
  entrySize: number;
}

function strings(texts: readonly string[]): Uint8Array {
  return encoder.encode(texts.map((text) => `${text}\0`).join(""));
}

function note(text: string): Uint8Array {
  const owner = encoder.encode(`${NOTE_OWNER}\0`);
  const body = encoder.encode(`${text}\0`);
  const bodyAt = 12 + align4(owner.length);
  const bytes = new Uint8Array(bodyAt + align4(body.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, owner.length, true);
  view.setUint32(4, body.length, true);
  view.setUint32(8, NOTE_TYPE, true);
  bytes.set(owner, 12);
  bytes.set(body, bodyAt);
  return bytes;
}

const align4 = (size: number): number => (size + 3) & ~3;

/** .symtab and .strtab: what the module needs, then what it gives. */
function symbols({ imports, exports }: ModuleDefinition): { table: Uint8Array; names: Uint8Array } {
  const names = ["", ...imports, ...exports.map(({ name }) => name)];
  const table = new Uint8Array(names.length * SYMBOL_SIZE);
  const view = new DataView(table.buffer);
  let at = 1;
  for (let i = 1; i < names.length; i++) {
    view.setUint32(i * SYMBOL_SIZE, at, true);
    view.setUint8(i * SYMBOL_SIZE + 4, STB_GLOBAL);
    view.setUint16(i * SYMBOL_SIZE + 6, i <= imports.length ? 0 : SHN_ABS, true);
    at += names[i].length + 1;
  }
  return { table, names: strings(names) };
}

/** Builds the object. `vermagic` may be another kernel's, or null for none: such a file is refused, or taints. */
export function moduleImage(definition: ModuleDefinition, variant: Variant, vermagic: string | null = VERMAGIC): Uint8Array {
  const thisModule = new Uint8Array(THIS_MODULE_SIZE);
  thisModule.set(encoder.encode(definition.name), THIS_MODULE_NAME);
  const { table, names } = symbols(definition);
  const modinfo = strings(modinfoLines(definition, vermagic).map(([key, value]) => `${key}=${value}`));
  const plain = { flags: 0n, link: 0, entrySize: 0 };
  const sections: Section[] = [
    { ...plain, name: "", type: 0, bytes: new Uint8Array(0) },
    { ...plain, name: ".note.syslab", type: SHT_NOTE, flags: SHF_ALLOC, bytes: note(`${definition.name} ${variant}`) },
    { ...plain, name: ".modinfo", type: SHT_PROGBITS, flags: SHF_ALLOC, bytes: modinfo },
    { ...plain, name: ".gnu.linkonce.this_module", type: SHT_PROGBITS, flags: SHF_ALLOC, bytes: thisModule },
    { ...plain, name: ".symtab", type: SHT_SYMTAB, bytes: table, link: 5, entrySize: SYMBOL_SIZE },
    { ...plain, name: ".strtab", type: SHT_STRTAB, bytes: names },
  ];
  sections.push({ ...plain, name: ".shstrtab", type: SHT_STRTAB, bytes: strings([...sections.map(({ name }) => name), ".shstrtab"]) });
  return assemble(sections);
}

function assemble(sections: readonly Section[]): Uint8Array {
  let end = EHDR_SIZE;
  const offsets = sections.map(({ bytes }) => {
    const at = (end + 7) & ~7;
    end = at + bytes.length;
    return at;
  });
  const headersAt = (end + 7) & ~7;
  const image = new Uint8Array(headersAt + sections.length * SHDR_SIZE);
  const view = new DataView(image.buffer);
  // e_ident: ELF, 64 bits, little-endian, version 1.
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, ET_REL, true);
  view.setUint16(18, EM_X86_64, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(40, BigInt(headersAt), true);
  view.setUint16(52, EHDR_SIZE, true);
  view.setUint16(58, SHDR_SIZE, true);
  view.setUint16(60, sections.length, true);
  view.setUint16(62, sections.length - 1, true);
  let nameAt = 0;
  sections.forEach(({ name, type, flags, bytes, link, entrySize }, i) => {
    image.set(bytes, offsets[i]);
    const header = headersAt + i * SHDR_SIZE;
    view.setUint32(header, nameAt, true);
    view.setUint32(header + 4, type, true);
    view.setBigUint64(header + 8, flags, true);
    view.setBigUint64(header + 24, BigInt(i === 0 ? 0 : offsets[i]), true);
    view.setBigUint64(header + 32, BigInt(bytes.length), true);
    view.setUint32(header + 40, link, true);
    view.setBigUint64(header + 48, 1n, true);
    view.setBigUint64(header + 56, BigInt(entrySize), true);
    nameAt += name.length + 1;
  });
  return image;
}

/** What reading an object came to: a module, or the line that the kernel logs with ENOEXEC (null where it logs none). */
export type ParsedImage =
  | { definition: ModuleDefinition; variant: Variant; /** null when the object has none. */ vermagic: string | null }
  | { level: number; text: string };

const ERR = 3;
const WARNING = 4;
const refuse = (text: string, level = ERR): ParsedImage => ({ level, text });

/** Reads an object: its form first, then whether it is a module, then whether it is one of ours, unchanged. */
export function parseModuleImage(image: Uint8Array): ParsedImage {
  if (image.length < EHDR_SIZE) return refuse(`Invalid ELF header len ${image.length}`);
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  if (view.getUint32(0, false) !== 0x7f454c46) return refuse("Invalid ELF header magic: != \u007fELF");
  const type = view.getUint16(16, true);
  if (type !== ET_REL) return refuse(`Invalid ELF header type: ${type} != ${ET_REL}`);
  const machine = view.getUint16(18, true);
  if (machine !== EM_X86_64) return refuse(`Invalid architecture in ELF header: ${machine}`);
  if (view.getUint16(58, true) !== SHDR_SIZE) return refuse("Invalid ELF section header size");
  const headersAt = view.getBigUint64(40, true);
  const count = view.getUint16(60, true);
  if (headersAt + BigInt(count * SHDR_SIZE) > BigInt(image.length)) return refuse("Invalid ELF section header overflow");
  const namesIndex = view.getUint16(62, true);
  if (namesIndex === 0 || namesIndex >= count) {
    return refuse(`Invalid ELF section name index: ${namesIndex} || e_shstrndx (${namesIndex}) >= e_shnum (${count}) `);
  }
  const found = readSections(image, view, Number(headersAt), count, namesIndex);
  if (typeof found === "string") return refuse(found);
  return identify(image, found);
}

/** Section contents by name, or the complaint about a section that leaves the file. */
function readSections(image: Uint8Array, view: DataView, headersAt: number, count: number, namesIndex: number): Map<string, Uint8Array> | string {
  const bodies: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const header = headersAt + i * SHDR_SIZE;
    const offset = view.getBigUint64(header + 24, true);
    const size = view.getBigUint64(header + 32, true);
    if (i > 0 && offset + size > BigInt(image.length)) return `Invalid ELF section in module (section ${i} type ${view.getUint32(header + 4, true)})`;
    bodies.push(image.subarray(Number(offset), Number(offset) + Number(size)));
  }
  const sections = new Map<string, Uint8Array>();
  const names = bodies[namesIndex];
  for (let i = 1; i < count; i++) sections.set(textAt(names, view.getUint32(headersAt + i * SHDR_SIZE, true)), bodies[i]);
  return sections;
}

function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  return decoder.decode(bytes.subarray(at, end < 0 ? bytes.length : end));
}

function identify(image: Uint8Array, sections: Map<string, Uint8Array>): ParsedImage {
  const info = decoder.decode(sections.get(".modinfo") ?? new Uint8Array(0)).split("\0");
  const value = (key: string): string | null => info.find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1) ?? null;
  const name = value("name") ?? "(missing .modinfo section or name field)";
  if (!sections.has(".symtab")) return refuse(`${name}: module has no symbols (stripped?)`, WARNING);
  if (!sections.has(".gnu.linkonce.this_module")) return refuse(`${name}: No module found in object`, WARNING);
  // A foreign or altered object: what CONFIG_MODVERSIONS says of one that was built for other code.
  const disagrees = refuse(`${name}: disagrees about version of symbol module_layout`, WARNING);
  const bytes = sections.get(".note.syslab");
  if (bytes === undefined || bytes.length < 12) return disagrees;
  const [definitionName, variant] = textAt(bytes, 12 + align4(NOTE_OWNER.length + 1)).split(" ");
  const definition = moduleDefinitions.get(definitionName);
  if (definition === undefined || !isVariant(variant) || definition.variants[variant] === undefined) return disagrees;
  const vermagic = value("vermagic");
  return sameImage(image, moduleImage(definition, variant, vermagic)) ? { definition, variant, vermagic } : disagrees;
}

function isVariant(text: string | undefined): text is Variant {
  return VARIANTS.some((variant) => variant === text);
}

/** The kernel does not look at the rest of e_ident (class, data, ABI). */
function sameImage(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 16; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
