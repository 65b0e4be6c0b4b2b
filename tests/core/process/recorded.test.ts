/**
 * Processes, signals, timers, limits and futexes as a real Linux answered when asked by raw system calls. Recorded on x86-64 as root:
 * on Linux 6.18, where a step that 6.1 answers otherwise is left out, and on Linux 6.1.
 */
import { join } from "node:path";
import { playFolder } from "../../helpers/recording.ts";

playFolder(join(import.meta.dirname, "recorded"));
