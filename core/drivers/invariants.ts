/** What must hold of devices between two inputs. */
import { MAJOR, MINOR } from "../abi/dev_t.ts";
import type { Kernel } from "../kernel.ts";

/** What is broken, a sentence each. */
export function deviceInvariants(k: Kernel): string[] {
  const wrong: string[] = [];
  const { regions, cdevs, misc, classes, devices, debugfs, procEntries, openEntries } = k.state.drivers;
  for (let at = 1; at < regions.length; at++) {
    const [a, b] = [regions[at - 1], regions[at]];
    const after = b.major > a.major || (b.major === a.major && b.baseMinor >= a.baseMinor + a.count);
    if (!after) wrong.push(`device numbers of ${a.name} and ${b.name} are out of order or overlap`);
  }
  for (const { dev, ops } of cdevs) if (!k.tables.fileOperations.has(ops)) wrong.push(`device ${MAJOR(dev)}:${MINOR(dev)} has unknown operations ${ops}`);
  const minors = new Set<number>();
  for (const { minor, name, ops } of misc) {
    if (minors.has(minor)) wrong.push(`misc minor ${minor} is taken twice`);
    minors.add(minor);
    if (!k.tables.fileOperations.has(ops)) wrong.push(`misc device ${name} has unknown operations ${ops}`);
  }
  const numbers = new Set<number>();
  for (const [key, { className, name, dev }] of devices) {
    if (key !== `${className}/${name}`) wrong.push(`device ${name} is kept as ${key}`);
    if (!classes.has(className)) wrong.push(`device ${name} belongs to class ${className}, which does not exist`);
    if (dev !== 0 && numbers.has(dev)) wrong.push(`device number ${MAJOR(dev)}:${MINOR(dev)} is taken twice`);
    numbers.add(dev);
  }
  for (const [where, entries] of [["debugfs", debugfs], ["proc", procEntries]] as const) {
    for (const [path, { kind, ops }] of entries) {
      if (kind === "file" && !k.tables.fileOperations.has(ops)) wrong.push(`${where} file ${path} has unknown operations ${ops}`);
    }
  }
  for (const file of openEntries.keys()) if (!k.state.fs.files.has(file)) wrong.push(`open entry of file ${file}, which does not exist`);
  return wrong;
}
