/**
 * 64 MB from master to slave on an emulated machine, by read and write of 512 bytes and by mmap, in the host's time: from the start of the
 * programs, as the report's clocks count, without booting and making the file. Prints one JSON object.
 */
import { newTransfer, stepTransfer, timesOf } from "../../core/benchmarks/vdev_transfer.ts";
import { boot, handle } from "../../core/index.ts";

const SIZE = 64_000_000;
const BUDGET = 20_000;

function hostMs(method: "fcntl" | "mmap"): number {
  const door = { boot, handle };
  const transfer = newTransfer({ files: [SIZE], method, bufSize: 512, variant: "corrected" }, {});
  while (transfer.next !== "done") stepTransfer(door, transfer, BUDGET);
  const start = performance.now();
  for (;;) {
    if (!stepTransfer(door, transfer, BUDGET)) continue;
    const ms = performance.now() - start;
    timesOf(transfer); // throws when the transfer failed
    return ms;
  }
}

// The first ones warm the engine up; a server has done that long before.
let fcntlMs = 0;
let mmapMs = 0;
for (let round = 0; round < 3; round++) {
  fcntlMs = hostMs("fcntl");
  mmapMs = hostMs("mmap");
}
console.log(JSON.stringify({ fcntlMs, mmapMs }));
