/** The labs; importing them registers their modules. */
import "./ssmem/index.ts";
import "./vdev/index.ts";
import "./simrupt/index.ts";
