/** Files of /proc about memory whose texts are mm's own. */
import { meminfoText, swapsText, vmstatText } from "../../mm/meminfo.ts";
import { slabinfoText } from "../../mm/slabinfo.ts";
import { vmallocinfoText } from "../../mm/vmallocinfo.ts";
import { procFile } from "./registry.ts";

procFile("meminfo", meminfoText);
procFile("vmstat", vmstatText);
procFile("swaps", swapsText);
procFile("slabinfo", slabinfoText, { mode: 0o400 });
procFile("vmallocinfo", vmallocinfoText, { mode: 0o400 });
