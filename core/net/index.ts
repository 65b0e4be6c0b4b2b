/** The network: importing it registers its protocols, its files in /proc and what its timers run. */
import "./proc.ts";
import "./proc_dev.ts";
import "./tcp.ts";
import "./udp.ts";
import "./unix.ts";
