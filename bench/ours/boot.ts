/** Boot time, and the memory of a kernel that idles with ten processes. Prints one JSON object; wants --expose-gc. */
import { snapshot } from "../../core/index.ts";
import type { Kernel } from "../../core/kernel.ts";
import { bootKernel, newProcess } from "./kernel.ts";

const KERNELS = 200;
const PROCESSES = 10;

function collect(): void {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  globalThis.gc();
  globalThis.gc();
}

function loaded(): Kernel {
  const k = bootKernel({ clock: "real" });
  for (let count = 0; count < PROCESSES; count++) newProcess(k);
  return k;
}

for (let warm = 0; warm < 50; warm++) loaded();

const boots: number[] = [];
for (let round = 0; round < KERNELS; round++) {
  const start = performance.now();
  bootKernel();
  boots.push(performance.now() - start);
}
boots.sort((a, b) => a - b);

collect();
const before = process.memoryUsage();
const kernels = Array.from({ length: KERNELS }, loaded);
collect();
const after = process.memoryUsage();

const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
console.log(JSON.stringify({
  bootMs: boots[Math.floor(boots.length / 2)], idleKiB: bytes / kernels.length / 1024, snapshotKiB: snapshot(kernels[0]).length / 1024,
}));
