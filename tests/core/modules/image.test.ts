/** .ko files: what the loader says of good, foreign and broken ones, and what modinfo reads from them. */
import { describe, expect, test } from "vitest";
import { UTS_RELEASE, VERMAGIC } from "../../../core/abi/release.ts";
import { moduleDefinition, moduleDefinitions, type ModuleDefinition } from "../../../core/module/definition.ts";
import { moduleImage, parseModuleImage } from "../../../core/module/image.ts";
import { modinfoField, modinfoLines, modinfoText } from "../../../core/module/modinfo.ts";
import { observation, recordedModinfo } from "./recorded.ts";
import "../../../core/labs/testmodules/simple.ts";
import "../../../core/labs/testmodules/ptypes.ts";

const definition = (name: string): ModuleDefinition => moduleDefinitions.get(name) as ModuleDefinition;
const image = (): Uint8Array => moduleImage(definition("nolic"), "corrected");
const said = (bytes: Uint8Array): unknown => {
  const parsed = parseModuleImage(bytes);
  return "text" in parsed ? parsed.text : "a module";
};
const recorded = (id: string): string => (observation(id).dmesg ?? [])[0][1];
const with16 = (at: number, value: number): Uint8Array => {
  const bytes = image();
  new DataView(bytes.buffer).setUint16(at, value, true);
  return bytes;
};

test("an object of ours is known again, whatever its name", () => {
  const parsed = parseModuleImage(moduleImage(definition("ptypes"), "corrected"));
  expect(parsed).toMatchObject({ variant: "corrected", vermagic: VERMAGIC });
  expect("definition" in parsed && parsed.definition.name).toBe("ptypes");
});

describe("broken objects, as recorded", () => {
  test("architecture, type, size", () => {
    expect(said(with16(18, 183))).toBe(recorded("bad-bad_arch"));
    expect(said(with16(16, 2))).toBe(recorded("bad-bad_type"));
    expect(said(with16(16, 3))).toBe(recorded("bad-bad_exec"));
    expect(said(image().slice(0, 1000))).toBe(recorded("bad-bad_trunc"));
    expect(said(image().slice(0, image().length >> 1))).toBe(recorded("bad-bad_half"));
  });
  test("no ELF at all", () => {
    expect(said(new TextEncoder().encode("a text that is long enough to hold an ELF header, but does not hold one"))).toBe(
      recorded("bad-bad_text").replace("\\x7f", "\x7f"));
  });
  test("a class of 32 bits is not looked at", () => {
    const bytes = image();
    bytes[4] = 1;
    expect(said(bytes)).toBe("a module");
  });
});

test("a file that was altered, or is another kernel's, does not load", () => {
  const bytes = image();
  bytes[bytes.length - 70] ^= 1;
  expect(said(bytes)).not.toBe("a module");
  const text = image();
  text[text.findIndex((byte, at) => byte === 0x6e && text[at + 1] === 0x6f && at > 600)] ^= 1;
  expect(said(text)).toMatch(/disagrees about version of symbol module_layout|No module found/);
});

test("another version magic is read, and is the loader's to judge", () => {
  const other = "5.15.0-91-generic SMP mod_unload modversions ";
  expect(parseModuleImage(moduleImage(definition("nolic"), "corrected", other))).toMatchObject({ vermagic: other });
  expect(parseModuleImage(moduleImage(definition("nolic"), "corrected", null))).toMatchObject({ vermagic: null });
});

test("no random bytes make the reader throw", () => {
  let seed = 7;
  const next = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8;
  for (let round = 0; round < 500; round++) {
    const bytes = image();
    for (let flips = next() % 8; flips >= 0; flips--) bytes[next() % bytes.length] = next();
    expect(() => parseModuleImage(bytes.subarray(0, next() % (bytes.length + 1)))).not.toThrow();
  }
});

describe("modinfo, as recorded", () => {
  const ours = (text: string): string => text.replaceAll("6.1.0-56-amd64", UTS_RELEASE);
  const output = (name: string): string => {
    const lines = ours(recordedModinfo[name]).split("\n");
    return `${lines.slice(1, lines.findIndex((line) => line.startsWith("[rc]"))).join("\n")}\n`;
  };
  for (const name of ["ptypes", "base_exp", "user_a", "prop"]) {
    test(name, () => expect(modinfoText(`/m/./${name}.ko`, modinfoLines(definition(name)))).toBe(output(name)));
  }
  test("the order of the lines is the source's", () => {
    const ksocket = moduleDefinition({
      ...definition("nolic"), name: "ksocket_info", license: "Dual BSD/GPL", infoOrder: ["license", "description", "author"],
      description: "ksocket-0.0.2\nBSD-style socket APIs for kernel 2.6 developers", author: ["msn : song.xian-guang@hotmail.com\nblog: http://sxg.cublog.cn"],
    });
    const text = modinfoText("/m/./ksocket.ko", modinfoLines(ksocket)).replace("ksocket_info", "ksocket");
    expect(text).toBe(output("ksocket"));
  });
  test("-F and -p", () => {
    const lines = modinfoLines(definition("ptypes"));
    const [vermagic, ...rest] = output("F").split("\n");
    expect(modinfoField(lines, "vermagic")).toBe(`${vermagic}\n`);
    expect(modinfoField(lines, "parm")).toBe(`${rest.slice(0, 19).join("\n")}\n`);
    expect(modinfoField(lines, "nosuch")).toBe("");
  });
});
