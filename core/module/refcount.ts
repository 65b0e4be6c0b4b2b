/** Use counts of modules (module_get, module_put). */
import { assert } from "../lib/assert.ts";
import type { Kernel } from "../kernel.ts";
import type { Module } from "./state.ts";

/** One more user; false when the module is gone or going. */
export function tryModuleGet(k: Kernel, name: string): boolean {
  const module = k.state.modules.loaded.get(name);
  if (module === undefined || module.state === "going") return false;
  module.refcount++;
  return true;
}

/** A user is gone. One that was removed by force while in use has nothing left to count. */
export function modulePut(k: Kernel, name: string): void {
  const module = k.state.modules.loaded.get(name);
  if (module === undefined || module.refcount < 0) return;
  assert(module.refcount > 0, `module ${name} was put more often than got`);
  module.refcount--;
}

/** `user` needs `owner` from now on: a reference and an entry among its holders, once. */
export function useModule(user: Module, owner: Module): void {
  if (user.uses.includes(owner.name)) return;
  user.uses.push(owner.name);
  owner.holders.push(user.name);
  owner.refcount++;
}

/** `user` goes and lets go of all that it needed. */
export function unuseModules(k: Kernel, user: Module): void {
  for (const name of user.uses) {
    const owner = k.state.modules.loaded.get(name);
    if (owner === undefined) continue;
    owner.holders = owner.holders.filter((holder) => holder !== user.name);
    modulePut(k, name);
  }
  user.uses = [];
}
