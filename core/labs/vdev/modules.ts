/** The two device modules of the lab, each in its three builds. */
import { moduleDefinition } from "../../module/definition.ts";
import { masterDefects, sampleDefects, sampleSlaveDefects, slaveDefects } from "./defects.ts";
import { masterExit, masterInit } from "./master_corrected.ts";
import { masterSeed, masterUpstream } from "./master_legacy.ts";
import { slaveExit, slaveInit } from "./slave_corrected.ts";
import { slaveSeed, slaveUpstream } from "./slave_legacy.ts";

const common = { license: "GPL", depends: ["ksocket"], srcversion: "", size: 16384, initSize: 4096, params: [], exports: [] };

moduleDefinition({
  ...common,
  name: "master_device",
  imports: ["ksocket", "kbind", "klisten", "kaccept", "inet_ntoa", "ksend", "kclose"],
  variants: {
    corrected: { defects: [], init: masterInit, exit: masterExit },
    seed: { defects: masterDefects, ...masterSeed },
    upstream: { defects: sampleDefects, ...masterUpstream },
  },
});

moduleDefinition({
  ...common,
  name: "slave_device",
  imports: ["inet_addr", "ksocket", "kconnect", "inet_ntoa", "krecv", "kclose"],
  variants: {
    corrected: { defects: [], init: slaveInit, exit: slaveExit },
    seed: { defects: slaveDefects, ...slaveSeed },
    upstream: { defects: sampleSlaveDefects, ...slaveUpstream },
  },
});
