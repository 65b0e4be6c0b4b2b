/** Everything of devices that registers itself; imported once, by tables.ts. */
import "../fs/char_dev.ts";
import "../fs/debugfs/debugfs.ts";
import "../fs/misc.ts";
import "../fs/proc/index.ts";
import "../fs/sysfs/block.ts";
import "../fs/sysfs/devices.ts";
import "../fs/sysfs/kernel_dir.ts";
import "../fs/sysfs/sysfs.ts";
import "./boot.ts";
import "./kmsg.ts";
import "./mem.ts";
import "./proc.ts";
import "./random.ts";
import "./syslog.ts";
import "./pty.ts";
import "./tty.ts";
