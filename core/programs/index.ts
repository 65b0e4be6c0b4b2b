/** The programs that the service and benchmarks run; importing them registers them. */
import "./files.ts";
import "./insmod.ts";
import "./master.ts";
import "./slave.ts";
