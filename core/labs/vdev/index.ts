/** The first lab: master and slave devices that move files over TCP. */
import "./ksocket.ts";
import "./modules.ts";
