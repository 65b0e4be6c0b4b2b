/** Modules of the tests that only load, export or fail: what each does is said by the recordings of the same names. */
import { EBUSY, EEXIST, EINVAL, ENODEV, ENOMEM } from "../../abi/errno.ts";
import { printk } from "../../sched/printk.ts";
import { moduleDefinition, type ModuleDefinition, type ModuleCode } from "../../module/definition.ts";

const INFO = 6;
const WARNING = 4;

type Given = Partial<Omit<ModuleDefinition, "name" | "variants">> & { init?: ModuleCode; exit?: ModuleCode };

/** A GPL module of the usual size with one variant, unseen by the catalogue. */
export function testModule(name: string, { init, exit = () => 0, ...rest }: Given): ModuleDefinition {
  return moduleDefinition({
    name, license: "GPL", depends: [], srcversion: "", size: 16384, initSize: 12288, params: [], exports: [], imports: [], hidden: true, ...rest,
    variants: { corrected: { defects: [], init: init ?? (() => 0), exit } },
  });
}

const says = (text: string, result = 0, level = INFO): ModuleCode => (k) => {
  printk(k, level, text);
  return result;
};

testModule("nolic", { init: says("nolic: loaded") });
testModule("prop", { license: "Proprietary", init: says("prop: loaded", 0, WARNING), exit: says("prop: unloaded", 0, WARNING) });

testModule("base_exp", {
  description: "exports symbols",
  exports: [{ name: "base_value", data: true }, { name: "base_add" }, { name: "base_gpl", gpl: true }],
  init: says("base_exp: init"), exit: says("base_exp: exit"),
});
for (const name of ["user_a", "user_b"]) {
  testModule(name, { depends: ["base_exp"], imports: ["base_gpl", "base_add"], init: says(`${name}: 45 8`), exit: says(`${name}: exit`) });
}
testModule("user_prop", { license: "Proprietary", depends: ["base_exp"], imports: ["base_gpl", "base_add"], init: says("user_prop: 45 2") });
testModule("user_propok", { license: "Proprietary", depends: ["base_exp"], imports: ["base_add"], init: says("user_propok: 45") });
testModule("dupexp", { exports: [{ name: "base_value", data: true }] });
testModule("gplprop", { license: "Proprietary", imports: ["alloc_workqueue", "destroy_workqueue"] });

const failures: [string, string, number][] = [
  ["iebusy", "-EBUSY", -EBUSY], ["ieexist", "-EEXIST", -EEXIST], ["ieinval", "-EINVAL", -EINVAL], ["ienodev", "-ENODEV", -ENODEV],
  ["ienomem", "-ENOMEM", -ENOMEM], ["ineg1", "-1", -1], ["ipos", "7", 7],
];
for (const [name, text, result] of failures) testModule(name, { init: says(`${name}: init returns ${text}`, result) });

moduleDefinition({
  name: "noexit", license: "GPL", depends: [], srcversion: "", size: 12288, initSize: 8192, params: [], exports: [], imports: [], hidden: true,
  variants: { corrected: { defects: [], init: says("noexit: init, no exit function") } },
});

testModule("levels", {
  init: (k) => {
    ["emerg", "alert", "crit", "err", "warning", "notice", "info"].forEach((name, level) => printk(k, level, `levels: ${name}\n`));
    printk(k, WARNING, "levels: default\n");
    printk(k, INFO, "levels: cont1 cont2\n");
    printk(k, WARNING, "levels: no newline");
    printk(k, WARNING, "levels: two\nlines\n");
    return 0;
  },
});
