/** The labs; importing them registers their modules. */
import "./kecho/index.ts";
import "./mp3/index.ts";
import "./ssmem/index.ts";
import "./vdev/index.ts";
import "./simrupt/index.ts";
