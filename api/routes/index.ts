/** Every route of the service. */
import type { Route } from "../route.ts";
import { benchmarkRoutes } from "./benchmarks.ts";
import { callRoutes } from "./calls.ts";
import { clockRoutes } from "./clock.ts";
import { commandRoutes } from "./commands.ts";
import { fileRoutes } from "./fs.ts";
import { logRoutes } from "./logs.ts";
import { memberRoutes } from "./members.ts";
import { memoryRoutes } from "./memory.ts";
import { moduleRoutes } from "./modules.ts";
import { processRoutes } from "./processes.ts";
import { serviceRoutes } from "./service.ts";
import { sessionRoutes } from "./sessions.ts";
import { snapshotRoutes } from "./snapshots.ts";
import { syscallRoutes } from "./syscalls.ts";

export const routes: Route[] = [
  ...serviceRoutes, ...sessionRoutes, ...memberRoutes, ...clockRoutes, ...snapshotRoutes, ...processRoutes, ...syscallRoutes,
  ...callRoutes, ...memoryRoutes, ...moduleRoutes, ...fileRoutes, ...logRoutes, ...commandRoutes, ...benchmarkRoutes,
];
