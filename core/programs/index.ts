/** The programs that the service and benchmarks run, and those of /bin and /sbin; importing them registers them. */
import "./files.ts";
import "./insmod.ts";
import "./master.ts";
import "./slave.ts";
import "./command.ts";
import "./tools/cat.ts";
import "./tools/dmesg.ts";
import "./tools/echo.ts";
import "./tools/insmod.ts";
import "./tools/ls.ts";
import "./tools/lsmod.ts";
import "./tools/rmmod.ts";
import "./tools/simple.ts";
import "./tools/sleep.ts";
import "./tools/uname.ts";
