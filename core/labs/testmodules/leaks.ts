/** leaktest: a module of the tests that loses memory, frees it twice, or asks for too much of it, as its parameters say. */
import { ENOMEM } from "../../abi/errno.ts";
import type { Kernel } from "../../kernel.ts";
import { getFreePages, kfree, kmalloc, krealloc, writeKernel } from "../../mm/kmalloc.ts";
import { kmemCacheAlloc, kmemCacheCreate, kmemCacheDestroy, kmemCacheFree } from "../../mm/kmem_cache.ts";
import { vfree, vmalloc } from "../../mm/vmalloc.ts";
import type { ParamSpec } from "../../module/definition.ts";
import type { Module } from "../../module/state.ts";
import { printk } from "../../sched/printk.ts";
import { utf8Encode } from "../../lib/bytes.ts";
import { testModule } from "./simple.ts";

const NAME = "leaktest";
const INFO = 6;

const number = (name: string, description: string): ParamSpec => ({ name, type: "ulong", default: 0n, perm: 0o444, description });
const flag = (name: string, description: string): ParamSpec => ({ name, type: "bool", default: false, perm: 0o644, description });

const value = ({ params }: Module, name: string): number => Number(params[name]);

/** What init keeps; exit gives it back, but with `leak`. */
interface Kept {
  object: number;
  area: number;
  pages: number;
  cache: string;
  cached: number;
}

function allocate(k: Kernel, module: Module): number {
  const data = module.data as Record<string, unknown> & Kept;
  Object.assign(data, { object: 0, area: 0, pages: 0, cache: "", cached: 0 } satisfies Kept);
  if (value(module, "kmalloc") > 0) {
    data.object = kmalloc(k, value(module, "kmalloc"), NAME);
    if (data.object === 0) return -ENOMEM;
    writeKernel(k, data.object, 0, utf8Encode("lost and found").subarray(0, value(module, "kmalloc")));
  }
  if (value(module, "vmalloc") > 0 && (data.area = vmalloc(k, value(module, "vmalloc"), NAME)) === 0) return -ENOMEM;
  if (module.params.pages === true && (data.pages = getFreePages(k, 1, NAME)) === 0) return -ENOMEM;
  if (module.params.cache === true) {
    data.cache = kmemCacheCreate(k, "leak_cache", 100, NAME);
    data.cached = kmemCacheAlloc(k, data.cache);
  }
  // Whoever keeps no number of what he was given cannot free it.
  for (let at = 0; at < value(module, "drop"); at++) kmalloc(k, 64, NAME);
  return 0;
}

function misbehave(k: Kernel, { params }: Module): void {
  if (params.zero === true) {
    kfree(k, krealloc(k, kmalloc(k, 10, NAME), 0, NAME));
    kfree(k, kmalloc(k, 0, NAME));
    kfree(k, 0);
    printk(k, INFO, `leaktest: vmalloc(0)=${vmalloc(k, 0, NAME)}`);
  }
  if (params.huge === true) {
    printk(k, INFO, `leaktest: kmalloc=${kmalloc(k, 1 << 23, NAME)} pages=${getFreePages(k, 11, NAME)} vmalloc=${vmalloc(k, 2 ** 40, NAME)}`);
  }
  if (params.twice === true) {
    const object = kmalloc(k, 32, NAME);
    kfree(k, object);
    kfree(k, object);
  }
  if (params.stray === true) kfree(k, 0x1234);
}

testModule(NAME, {
  params: [
    number("kmalloc", "bytes to kmalloc"), number("vmalloc", "bytes to vmalloc"), number("drop", "objects to forget at once"),
    flag("pages", "take two pages"), flag("cache", "make a cache with an object"), flag("leak", "free nothing in exit"),
    flag("zero", "ask for nothing"), flag("huge", "ask for too much"), flag("twice", "free an object twice"), flag("stray", "free what is none"),
  ],
  init: (k, module) => {
    misbehave(k, module);
    return allocate(k, module);
  },
  exit: (k, module) => {
    const { object, area, pages, cache, cached } = module.data as Record<string, unknown> & Kept;
    if (module.params.leak === true) {
      kmemCacheDestroy(k, cache);
      return 0;
    }
    kfree(k, object);
    vfree(k, area);
    kfree(k, pages);
    if (cache !== "") kmemCacheFree(k, cache, cached);
    kmemCacheDestroy(k, cache);
    return 0;
  },
});
