/** A module of the tests with a parameter of every type. */
import { EINVAL } from "../../abi/errno.ts";
import { kstrtouint } from "../../lib/kstrto.ts";
import { printk } from "../../sched/printk.ts";
import type { ParamOps, ParamSpec } from "../../module/definition.ts";
import { testModule } from "./simple.ts";

const INFO = 6;
const RW = 0o644;

/** param_set_uint_minmax and param_get_uint. */
const oneToHundred: ParamOps = {
  set: (text) => {
    const parsed = text === null ? { errno: -EINVAL } : kstrtouint(text, 0);
    return "value" in parsed && (parsed.value < 1 || parsed.value > 100) ? { errno: -EINVAL } : parsed;
  },
  get: (value) => String(value),
};

const params: ParamSpec[] = [
  { name: "pint", type: "int", default: 5, perm: RW, description: "an int" },
  { name: "puint", type: "uint", default: 6, perm: RW, description: "an unsigned int" },
  { name: "pbool", type: "bool", default: false, perm: RW, description: "a bool" },
  { name: "pinv", type: "invbool", default: false, perm: RW },
  { name: "pstr", type: "charp", default: "hello", perm: RW, description: "a charp" },
  { name: "parr", type: "int", default: [1, 2, 3], perm: RW, description: "array of up to 4 ints", array: { max: 4, counted: true } },
  { name: "push", type: "ushort", default: 7, perm: RW },
  { name: "pshort", type: "short", default: -7, perm: RW },
  { name: "pbyte", type: "byte", default: 8, perm: RW },
  { name: "plong", type: "long", default: -9, perm: RW },
  { name: "pulong", type: "ulong", default: 9, perm: RW },
  { name: "pull", type: "ullong", default: 10, perm: RW },
  { name: "pbufs", type: "string", default: "abc", perm: RW, size: 8 },
  { name: "phid", type: "int", default: 1, perm: 0 },
  { name: "pro", type: "int", default: 2, perm: 0o444 },
  { name: "pwo", type: "int", default: 3, perm: 0o200 },
  { name: "proot", type: "int", default: 4, perm: 0o600 },
  { name: "phex", type: "hexint", default: 0x10, perm: RW },
  { name: "pcustom", type: "custom", default: 50, perm: RW, ops: oneToHundred, description: "uint 1..100 by callback" },
];

testModule("ptypes", {
  author: ["Oracle <o@example.org>"], description: "params of every type", version: "1.2.3", alias: ["ptypes-alias"],
  info: [["intree_x", "custom"]], srcversion: "B47BF0DFBFB06E0F71CB058", params,
  init: (k, { params: p }) => {
    const array = p.parr as number[];
    const bit = (value: unknown): number => (value === true ? 1 : 0);
    printk(k, INFO, `ptypes: pint=${p.pint} puint=${p.puint} pbool=${bit(p.pbool)} pinv=${bit(p.pinv)} pstr=${p.pstr} n=${array.length} `
      + `push=${p.push} pshort=${p.pshort} pbyte=${p.pbyte} plong=${p.plong} pulong=${p.pulong} pull=${p.pull} pbuf=${p.pbufs} phid=${p.phid} pro=${p.pro}`);
    array.forEach((element, i) => printk(k, INFO, `ptypes: parr[${i}]=${element}`));
    return 0;
  },
  exit: (k, { params: p }) => {
    printk(k, INFO, `ptypes: bye pint=${p.pint}`);
    return 0;
  },
});
