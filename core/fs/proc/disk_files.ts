/** /proc/partitions and /proc/diskstats. */
import { diskstatsText, partitionsText } from "../block_dev.ts";
import { procFile } from "./registry.ts";

procFile("diskstats", diskstatsText);
procFile("partitions", partitionsText);
