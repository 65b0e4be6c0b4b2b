/** Loading and removing modules: return values, log lines and taint as the recorded kernel had them. */
import { describe, expect, test } from "vitest";
import { moduleDefinitions } from "../../../core/module/definition.ts";
import { moduleImage } from "../../../core/module/image.ts";
import { insmodFailed, lsmodText, rmmodCheck, rmmodFailed } from "../../../core/module/messages.ts";
import { errnoNumber } from "../../../core/abi/errno.ts";
import { UTS_RELEASE, VERMAGIC } from "../../../core/abi/release.ts";
import { Lab } from "./lab.ts";
import { finitModule, observation, observations } from "./recorded.ts";
import "../../../core/labs/testmodules/simple.ts";
import "../../../core/labs/testmodules/ptypes.ts";
import "../../../core/labs/testmodules/devices.ts";

/** A kernel that has loaded and removed an out-of-tree module: its taint is told no more. */
async function used(): Promise<Lab> {
  const lab = await Lab.boot();
  lab.insmod("nolic");
  lab.rmmod("nolic");
  lab.dmesg();
  return lab;
}

const linesOf = (id: string): [string, string][] => observation(id).dmesg ?? [];

describe("insmod, as recorded", () => {
  const alone = observations.filter(({ id }) => id.startsWith("param-") || id.startsWith("initfail-") || ["dep-base", "dep-missing", "busy-full", "noexit-ins"].includes(id));
  for (const observed of alone) {
    test(`${observed.id}: ${observed.cmd.slice(0, 80)}`, async () => {
      const lab = await used();
      const { params, ret, errno } = finitModule(observed);
      const name = observed.cmd.split(" ")[1].replace(".ko", "");
      expect(lab.insmod(name, params)).toMatchObject({ ret, errno });
      const recorded = observed.dmesg ?? [];
      const trace = recorded.findIndex(([, text]) => text.startsWith("CPU: "));
      const lines = trace < 0 ? recorded : recorded.slice(0, trace);
      if (observed.id === "param-charp-1025") expect(lab.dmesg()[0]).toEqual(lines[0]);
      // A line holds 976 characters; the recorded kernel kept a few more of the longest.
      else expect(lab.dmesg().slice(0, lines.length).map(([level, text]) => [level, text.slice(0, 900)])).toEqual(lines.map(([level, text]) => [level, text.slice(0, 900)]));
      if (errno !== null) expect(`${insmodFailed(`${name}.ko`, errnoNumber(errno) as number)}\n`).toBe(observed.stderr);
      expect(lab.machine.kernel.state.modules.loaded.has(name)).toBe(ret === 0);
      expect(lab.machine.broken()).toEqual([]);
    });
  }
});

test("the first module from outside the tree taints and says so, once", async () => {
  const lab = await Lab.boot();
  expect(lab.text("/proc/sys/kernel/tainted")).toBe("0\n");
  expect(lab.insmod("nolic").ret).toBe(0);
  expect(lab.dmesg()).toEqual(linesOf("ins-first-oot"));
  expect(lab.text("/proc/sys/kernel/tainted")).toBe("12288\n");
  expect(lab.text("/sys/module/nolic/taint")).toBe("OE\n");
  expect(lab.text("/proc/modules")).toBe("nolic 16384 0 - Live 0xffffffffc033e000 (OE)\n");
  expect(lab.text("/proc/modules", 1000)).toBe("nolic 16384 0 - Live 0x0000000000000000 (OE)\n");
  expect(lab.insmod("nolic")).toMatchObject({ ret: -1, errno: "EEXIST" });
  expect(lab.rmmod("nolic").ret).toBe(0);
  expect(lab.rmmod("nolic")).toMatchObject({ errno: "ENOENT" });
  expect(lab.dmesg()).toEqual([]);
});

describe("dependencies, as recorded", () => {
  test("users keep the exporter; lsmod and /proc/modules name them", async () => {
    const lab = await used();
    for (const name of ["base_exp", "user_a", "user_b"]) expect(lab.insmod(name).ret).toBe(0);
    expect(lab.dmesg()).toEqual([...linesOf("dep-base"), ...linesOf("dep-user-a"), ...linesOf("dep-user-b")]);
    expect(lsmodText(lab.machine.kernel)).toBe("Module                  Size  Used by\nuser_b                 16384  0\n"
      + "user_a                 16384  0\nbase_exp               16384  2 user_a,user_b\n");
    expect(lab.text("/proc/modules")).toBe("user_b 16384 0 - Live 0xffffffffc0348000 (OE)\nuser_a 16384 0 - Live 0xffffffffc0343000 (OE)\n"
      + "base_exp 16384 2 user_b,user_a, Live 0xffffffffc033e000 (OE)\n");
    expect(rmmodCheck(lab.machine.kernel, "base_exp")).toEqual({ error: observation("dep-rm-base-in-use").stderr?.trimEnd() });
    for (const flags of ["O_NONBLOCK", "O_NONBLOCK|O_TRUNC"]) expect(lab.rmmod("base_exp", flags)).toMatchObject({ errno: "EAGAIN" });
    expect(`${rmmodFailed("base_exp", 11)}\n`).toBe(observation("dep-rm-base-force").stderr);
    expect(lab.insmod("dupexp")).toMatchObject({ errno: "ENOEXEC" });
    expect(lab.dmesg()).toEqual(linesOf("dep-dupexport"));
    expect(lab.rmmod("user_a").ret).toBe(0);
    expect(lsmodText(lab.machine.kernel)).toContain("base_exp               16384  1 user_b\n");
    expect([lab.rmmod("user_b").ret, lab.rmmod("base_exp").ret]).toEqual([0, 0]);
    expect(lab.dmesg()).toEqual([...linesOf("dep-rm-user-a"), ...linesOf("dep-rm-two")]);
    expect(lab.machine.broken()).toEqual([]);
  });
  test("exported symbols stand in /proc/kallsyms while their module does", async () => {
    const lab = await used();
    lab.insmod("base_exp");
    expect(lab.text("/proc/kallsyms")).toMatch(/^ffffffffc033e[0-9a-f]{3} T base_add\t\[base_exp\]$/m);
    expect(lab.text("/proc/kallsyms", 1000)).toMatch(/^0000000000000000 T base_add\t\[base_exp\]$/m);
    lab.rmmod("base_exp");
    expect(lab.text("/proc/kallsyms")).not.toContain("base_add");
  });
});

describe("licences, as recorded", () => {
  test("a proprietary module does not see GPL-only symbols, of the kernel or of others", async () => {
    const lab = await used();
    expect(lab.insmod("gplprop")).toMatchObject({ errno: "ENOENT" });
    expect(lab.dmesg()).toEqual(linesOf("lic-gplonly-by-proprietary"));
    expect(lab.text("/proc/sys/kernel/tainted")).toBe("12289\n");
    expect(lab.insmod("prop").ret).toBe(0);
    expect(lab.dmesg()).toEqual(linesOf("lic-proprietary-ok"));
    expect(lab.text("/sys/module/prop/taint")).toBe("POE\n");
    lab.insmod("base_exp");
    lab.dmesg();
    expect(lab.insmod("user_prop")).toMatchObject({ errno: "ENOENT" });
    expect(lab.dmesg().filter(([, text]) => text.includes("base_gpl"))).toEqual(linesOf("lic-userprop-gplsym"));
    // A load that failed left no user behind.
    expect(lab.text("/sys/module/base_exp/refcnt")).toBe("0\n");
    expect(lab.insmod("user_propok").ret).toBe(0);
    expect(lab.dmesg()).toEqual(linesOf("lic-proprietary-user-of-nongpl"));
  });
  test("a module without a licence on a clean kernel", async () => {
    const lab = await Lab.boot();
    const nolic = moduleDefinitions.get("nolic");
    if (nolic === undefined) throw new Error("nolic is gone");
    moduleDefinitions.set("nolic", { ...nolic, license: "" });
    expect(lab.insmod("nolic").ret).toBe(0);
    moduleDefinitions.set("nolic", nolic);
    expect(lab.dmesg()).toEqual(linesOf("lic-nolicense-clean-kernel"));
    expect(lab.text("/proc/sys/kernel/tainted")).toBe("12289\n");
  });
});

describe("objects that are not right, as recorded", () => {
  const nolic = (vermagic: string | null): Uint8Array => moduleImage(moduleDefinitions.get("nolic") as never, "corrected", vermagic);
  test("a foreign version magic", async () => {
    const lab = await used();
    expect(lab.insert(nolic("5.15.0-91-generic SMP mod_unload modversions "))).toMatchObject({ errno: "ENOEXEC" });
    expect(lab.dmesg()).toEqual(linesOf("bad-bad_vermagic").map(([level, text]) => [level, text.replace("6.1.0-56-amd64", UTS_RELEASE)]));
    expect(lab.insert(nolic(VERMAGIC.replace("modversions ", "")))).toMatchObject({ errno: "ENOEXEC" });
  });
  test("no version magic loads and taints", async () => {
    const lab = await used();
    expect(lab.insert(nolic(null)).ret).toBe(0);
    expect(lab.dmesg()).toEqual(linesOf("vermagic-none-clean-kernel"));
    expect(lab.text("/proc/sys/kernel/tainted")).toBe("12290\n");
    expect(lab.text("/sys/module/nolic/taint")).toBe("FOE\n");
  });
  test("too short for a header, and none at all", async () => {
    const lab = await used();
    expect(lab.insert(new Uint8Array(10))).toMatchObject({ errno: "ENOEXEC" });
    expect(lab.insert(new Uint8Array(0))).toMatchObject({ errno: "ENOEXEC" });
    expect(lab.call("init_module", { module_image: null, len: 5000, param_values: "" })).toMatchObject({ errno: "EFAULT" });
    expect(lab.dmesg()).toEqual([]);
  });
  test("parameters that cannot be read", async () => {
    const lab = await used();
    const image = { base64: Buffer.from(nolic(VERMAGIC)).toString("base64") };
    expect(lab.call("init_module", { module_image: image, param_values: { addr: "0x1000" } })).toMatchObject({ errno: "EFAULT" });
    expect(lab.call("init_module", { module_image: image, param_values: null })).toMatchObject({ errno: "EFAULT" });
    expect(lab.text("/proc/modules")).toBe("");
    expect(lab.insmod("nolic").ret).toBe(0);
  });
});

describe("who may, and what cannot go", () => {
  test("a user may neither load nor remove", async () => {
    const lab = await used();
    const user = await lab.machine.createProcess(1000);
    lab.insmod("nolic");
    expect(lab.insert(new Uint8Array(0), "", user)).toMatchObject({ errno: "EPERM" });
    expect(lab.rmmod("nolic", "O_NONBLOCK", user)).toMatchObject({ errno: "EPERM" });
  });
  test("a module without exit is permanent, but not against force", async () => {
    const lab = await used();
    lab.insmod("noexit");
    expect(lab.text("/proc/modules")).toBe("noexit 12288 0 [permanent], Live 0xffffffffc033e000 (OE)\n");
    expect(lab.rmmod("noexit")).toMatchObject({ errno: "EBUSY" });
    expect(`${rmmodFailed("noexit", 16)}\n`).toBe(observation("noexit-rm").stderr);
    expect(lab.rmmod("noexit", "O_NONBLOCK|O_TRUNC").ret).toBe(0);
    expect(lab.text("/proc/sys/kernel/tainted")).toBe(`${12288 + 8}\n`);
  });
  test("a name that is too long is cut, one that cannot be read is EFAULT", async () => {
    const lab = await used();
    expect(lab.rmmod("x".repeat(200))).toMatchObject({ errno: "ENOENT" });
    expect(lab.rmmod("")).toMatchObject({ errno: "ENOENT" });
    expect(lab.call("delete_module", { name: null, flags: 0 })).toMatchObject({ errno: "EFAULT" });
  });
  test("rmmod's own answers", async () => {
    const { kernel } = (await used()).machine;
    expect(rmmodCheck(kernel, "no/such")).toEqual({ error: observation("rm-badname").stderr?.trimEnd() });
    expect(rmmodCheck(kernel, "nolic.ko")).toEqual({ error: observation("rm-ko-suffix-notloaded").stderr?.trimEnd() });
  });
});

test("init that fails leaves nothing, also when it slept before", async () => {
  const lab = await used();
  expect(lab.insmod("regerr")).toMatchObject({ errno: "ECANCELED" });
  expect(lab.machine.broken()).toEqual([]);
  expect(lab.text("/proc/devices")).not.toContain("reg");
  expect(lab.text("/proc/modules")).toBe("");
});
