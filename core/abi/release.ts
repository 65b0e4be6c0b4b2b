/** What this kernel calls itself: uname(2), /proc/version, the version magic of its modules. */

export const UTS_SYSNAME = "Linux";
export const UTS_NODENAME = "syslab";
export const UTS_RELEASE = "6.1.0-syslab";
export const UTS_VERSION = "#1 SMP PREEMPT_DYNAMIC syslab 6.1.0";
export const UTS_MACHINE = "x86_64";
export const UTS_DOMAINNAME = "(none)";

/** /proc/version and the first line of the kernel log. */
export const LINUX_BANNER = `Linux version ${UTS_RELEASE} (root@${UTS_NODENAME}) (gcc-12 (Debian 12.2.0) 12.2.0, GNU ld 2.40) ${UTS_VERSION}`;

/** The vermagic of every module that fits this kernel; it ends in a space, as MODULE_ARCH_VERMAGIC leaves it. */
export const VERMAGIC = `${UTS_RELEASE} SMP preempt mod_unload modversions `;
/** Where depmod and modprobe look. */
export const MODULES_DIRECTORY = `/lib/modules/${UTS_RELEASE}`;
