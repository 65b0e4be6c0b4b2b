/** Everything of modules that registers itself; imported once, by tables.ts. */
import "./files.ts";
import "./loader.ts";
import "./proc.ts";
import "./sysfs.ts";
