/** f_type of the file systems that exist here (uapi/linux/magic.h). */
import type { ChoiceTable } from "./flags.ts";

export const TMPFS_MAGIC = 0x1021994;
export const RAMFS_MAGIC = 0x858458f6;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const SYSFS_MAGIC = 0x62656572;
export const DEBUGFS_MAGIC = 0x64626720;
export const TRACEFS_MAGIC = 0x74726163;
export const DEVPTS_SUPER_MAGIC = 0x1cd1;
export const PIPEFS_MAGIC = 0x50495045;
export const SOCKFS_MAGIC = 0x534f434b;
export const ANON_INODE_FS_MAGIC = 0x9041934;
export const EXT4_SUPER_MAGIC = 0xef53;
export const CGROUP2_SUPER_MAGIC = 0x63677270;
export const SECURITYFS_MAGIC = 0x73636673;

export const fileSystemTypes: ChoiceTable = {
  prefix: "",
  values: {
    TMPFS_MAGIC, RAMFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, DEVPTS_SUPER_MAGIC, PIPEFS_MAGIC,
    SOCKFS_MAGIC, ANON_INODE_FS_MAGIC, EXT4_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC,
  },
};
