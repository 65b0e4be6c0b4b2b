/** Shell lines that a Linux was given, with the kmod and busybox of the recording: the same words, the same statuses. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UTS_RELEASE, VERMAGIC } from "../../../core/abi/release.ts";
import { moduleDefinitions, type ModuleDefinition } from "../../../core/module/definition.ts";
import { moduleImage } from "../../../core/module/image.ts";
import "../../../core/labs/testmodules/devices.ts";
import "../../../core/labs/testmodules/ptypes.ts";
import "../../../core/labs/testmodules/simple.ts";
import { Shell } from "./shell.ts";

interface Line {
  id: string;
  cmd: string;
  /** What has been done before. */
  setup?: string;
  rc: number;
  stdout?: string;
  stderr?: string;
  /** Both streams, where they were not kept apart. */
  output?: string;
}

const data = (name: string): unknown => JSON.parse(readFileSync(new URL(`./data/${name}.json`, import.meta.url), "utf8"));
const lines = data("recorded") as Line[];
/** Recorded lines that are not run, and why. */
const leftOut = data("left-out") as Record<string, string>;

const definition = (name: string): ModuleDefinition => moduleDefinitions.get(name) as ModuleDefinition;
const nolic = (vermagic?: string | null): Uint8Array => moduleImage(definition("nolic"), "corrected", vermagic);
const altered = (at: number, value: number): Uint8Array => {
  const bytes = nolic();
  bytes[at] = value;
  return bytes;
};

const BROKEN: Record<string, Uint8Array> = {
  bad_arch: altered(18, 183), bad_type: altered(16, 2), bad_exec: altered(16, 3), bad_elf32: altered(4, 1), bad_empty: new Uint8Array(0),
  bad_half: nolic().slice(0, nolic().length >> 1), bad_trunc: nolic().slice(0, 1000),
  bad_text: new TextEncoder().encode("this is not a module but a text that is long enough to hold a header\n"),
  bad_vermagic: nolic("5.15.0-91-generic SMP mod_unload modversions "), bad_vermagic_flags: nolic(VERMAGIC.replace("SMP ", "")), no_vermagic: nolic(null),
  gplprop: moduleImage(definition("gplprop"), "corrected"), user_prop: moduleImage(definition("user_prop"), "corrected"),
};

/** A kernel with the recording's directory of modules. */
function machine(): Shell {
  const shell = new Shell();
  shell.machine.feed({ type: "makeHome", path: "/m/bad", uid: 0 });
  for (const one of moduleDefinitions.values()) if (one.variants.corrected !== undefined) shell.put(`/m/${one.name}.ko`, moduleImage(one, "corrected"));
  for (const [name, bytes] of Object.entries(BROKEN)) shell.put(`/m/bad/${name}.ko`, bytes);
  return shell;
}

/** What every machine has of its own: its release, dates, addresses, counts of ticks. */
function plain(text: string): string {
  return text.replaceAll("6.1.0-56-amd64", UTS_RELEASE).replace(/[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d(?= )/g, "DATE").replace(/0xffffffffc[0-9a-f]{7}/g, "ADDRESS")
    .replace(/used=\d+ ticks=\d+/g, "TICKS");
}

const groups = new Map<string, Line[]>();
for (const line of lines) {
  const group = line.id.split("-")[0];
  groups.set(group, [...(groups.get(group) ?? []), line]);
}

for (const [group, members] of groups) {
  describe(group, () => {
    for (const { id, cmd, setup, rc, stdout = "", stderr = "", output } of members) {
      test(id, () => {
        const shell = machine();
        if (setup !== undefined) shell.run({ script: setup }, { home: "/m" });
        const got = shell.run({ script: output === undefined ? cmd : `{ ${cmd}\n} 2>&1` }, { home: "/m" });
        if (output === undefined) expect(plain(got.stderr)).toBe(plain(stderr));
        expect(plain(got.stdout)).toBe(plain(output ?? stdout));
        expect(got.exit).toBe(rc);
      });
    }
  });
}

test("every recorded line is run, or left out by name", () => {
  expect(lines).toHaveLength(233);
  expect(Object.keys(leftOut)).toHaveLength(135);
  for (const { id } of lines) expect(leftOut[id]).toBeUndefined();
  for (const why of Object.values(leftOut)) expect(why.length).toBeGreaterThan(10);
});
