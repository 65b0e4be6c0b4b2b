/** Random walks over sockets, their messages and ioctls, and over epolls, as Linux 6.1 answered them by raw system calls. */
import { join } from "node:path";
import { playFolder } from "../../helpers/recording.ts";

playFolder(join(import.meta.dirname, "calls"));
