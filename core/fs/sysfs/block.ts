/** /sys/block and the directory of the disk (Documentation/ABI/stable/sysfs-block). Differs from Linux: its queue is not shown. */
import { MAJOR, MINOR, VDA } from "../../abi/dev_t.ts";
import type { Kernel } from "../../kernel.ts";
import { DISK_NAME, diskCounts, diskSectors, hasDisk } from "../block_dev.ts";
import { dir, link, sysfsTree, text } from "./registry.ts";

const DIRECTORY = "devices/pci0000:00/0000:00:04.0/virtio0/block";

const number = `${MAJOR(VDA)}:${MINOR(VDA)}`;

const FILES: { [name: string]: (k: Kernel) => string } = {
  dev: () => `${number}\n`,
  diskseq: () => "1\n",
  inflight: (k) => `${[0, diskCounts(k)[8]].map((count) => String(count).padStart(8)).join(" ")}\n`,
  range: () => "16\n",
  removable: () => "0\n",
  ro: () => "0\n",
  size: (k) => `${diskSectors(k)}\n`,
  stat: (k) => `${diskCounts(k).map((count) => String(count).padStart(8)).join(" ")}\n`,
  uevent: () => `MAJOR=${MAJOR(VDA)}\nMINOR=${MINOR(VDA)}\nDEVNAME=${DISK_NAME}\nDEVTYPE=disk\nDISKSEQ=1\n`,
};

sysfsTree("block", (k, [name, ...more]) => {
  if (name === undefined) return dir(hasDisk(k) ? [DISK_NAME] : []);
  return hasDisk(k) && name === DISK_NAME && more.length === 0 ? link(`../${DIRECTORY}/${DISK_NAME}`) : null;
});

sysfsTree(DIRECTORY, (k, [name, file, ...more]) => {
  if (!hasDisk(k)) return null;
  if (name === undefined) return dir([DISK_NAME], 1);
  if (name !== DISK_NAME || more.length > 0) return null;
  if (file === undefined) return dir(Object.keys(FILES));
  return Object.hasOwn(FILES, file) ? text(FILES[file]) : null;
});

sysfsTree("dev/block", (k, [name, ...more]) => {
  if (name === undefined) return dir(hasDisk(k) ? [number] : []);
  return hasDisk(k) && name === number && more.length === 0 ? link(`../../${DIRECTORY}/${DISK_NAME}`) : null;
});
