/** Where a benchmark's thread begins: a thread knows no TypeScript until it is told how to read it. */
import { workerData } from "node:worker_threads";
import { register } from "tsx/esm/api";

register();
await import(workerData.script);
