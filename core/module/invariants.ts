/** What must hold of modules between two inputs. */
import type { Kernel } from "../kernel.ts";
import { moduleDefinitions } from "./definition.ts";
import { definitionOf } from "./query.ts";

/** What is broken, a sentence each. */
export function moduleInvariants(k: Kernel): string[] {
  const wrong: string[] = [];
  const { loaded } = k.state.modules;
  const openFiles = new Map<string, number>();
  for (const { module } of k.state.fs.files.values()) if (module !== "") openFiles.set(module, (openFiles.get(module) ?? 0) + 1);
  for (const [key, module] of loaded) {
    const { name, uses, holders, refcount, state } = module;
    if (name !== key) wrong.push(`module ${name} is kept as ${key}`);
    if (moduleDefinitions.get(name)?.variants[module.variant] === undefined) {
      wrong.push(`module ${name} has no definition of variant ${module.variant}`);
      continue;
    }
    const users = (openFiles.get(name) ?? 0) + holders.length + (state === "coming" ? 1 : 0);
    if (refcount >= 0 && refcount < users) wrong.push(`module ${name} counts ${refcount} of ${users} users`);
    for (const used of uses) if (loaded.get(used)?.holders.includes(name) !== true) wrong.push(`module ${name} uses ${used}, which does not know it`);
    for (const holder of holders) if (loaded.get(holder)?.uses.includes(name) !== true) wrong.push(`module ${name} is held by ${holder}, which does not use it`);
    if (state !== "coming") {
      for (const spec of definitionOf(module).params) if (!Object.hasOwn(module.params, spec.name)) wrong.push(`module ${name} lacks parameter ${spec.name}`);
    }
  }
  const ranges = [...loaded.values()].map((module) => [module.loadAddr, module.loadAddr + BigInt(definitionOf(module).size)] as const)
    .sort((a, b) => (a[0] < b[0] ? -1 : 1));
  for (let at = 1; at < ranges.length; at++) if (ranges[at][0] < ranges[at - 1][1]) wrong.push("two modules overlap in memory");
  return wrong;
}
