/** The labs; importing them registers their modules. */
import "./vdev/index.ts";
