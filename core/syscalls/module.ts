/** Modules: init_module(2), finit_module(2), delete_module(2); the rows of the log stand beside them. */
import { EBADF, EFAULT, EINVAL, ENAMETOOLONG, ENOEXEC, ENOMEM, EOPNOTSUPP, EPERM } from "../abi/errno.ts";
import { CAP_SYS_MODULE } from "../abi/capability.ts";
import { deleteModuleFlags, MODULE_INIT_COMPRESSED_FILE, moduleInitFlags } from "../abi/module.ts";
import type { OpenFile } from "../fs/file.ts";
import { bytesName } from "../fs/names.ts";
import type { Kernel } from "../kernel.ts";
import { cstring } from "../lib/bytes.ts";
import { copyFromUser, copyFromUserPartial, strncpyBytesFromUser, type Addr } from "../mm/usercopy.ts";
import { deleteModule, enterLoad, loadLocals, readImage } from "../module/loader.ts";
import { kernelReadFile } from "../module/read_file.ts";
import { capable } from "../sched/cred.ts";
import type { SyscallResult } from "../sched/steps.ts";
import type { Task } from "../sched/task.ts";
import { fd, flags, inBuffer, path, size } from "./args.ts";
import type { Rows } from "./row.ts";
import { syslogRows } from "./syslog.ts";

const KNOWN_FLAGS = 7;
const ELF_HEADER_SIZE = 64;
const IMAGE_MAX = 16 << 20;
/** MODULE_NAME_LEN - 1: longer names are cut. */
const NAME_MAX = 55;
/** Differs from Linux, which takes parameters as long as kmalloc has room for them. */
const PARAMETERS_MAX = 1 << 16;

/** -EPERM without CAP_SYS_MODULE, and for everybody once modules_disabled is set. */
function mayInit(k: Kernel, task: Task): number {
  return capable(task, CAP_SYS_MODULE) && !k.state.modules.disabled ? 0 : -EPERM;
}

/** The parameter text, or the errno that the load answers once it comes to it. */
function parameters(k: Kernel, task: Task, at: Addr): string | number {
  const bytes = strncpyBytesFromUser(k, task, at, PARAMETERS_MAX);
  if (typeof bytes === "number") return bytes === -ENAMETOOLONG ? -ENOMEM : bytes;
  return bytesName(bytes);
}

function load(k: Kernel, task: Task, image: Uint8Array, params: Addr, given: number): SyscallResult {
  const read = readImage(k, image);
  return typeof read === "number" ? read : enterLoad(loadLocals(read, parameters(k, task, params), given));
}

function sysInitModule(k: Kernel, task: Task, [image, length, params]: [Addr, number | bigint, Addr]): SyscallResult {
  const denied = mayInit(k, task);
  if (denied !== 0) return denied;
  if (length < ELF_HEADER_SIZE) return -ENOEXEC;
  if (length > IMAGE_MAX) return -ENOMEM;
  const bytes = copyFromUser(k, task, image, Number(length));
  return typeof bytes === "number" ? bytes : load(k, task, bytes, params, 0);
}

function sysFinitModule(k: Kernel, task: Task, [file, params, given]: [OpenFile | number, Addr, number]): SyscallResult {
  const denied = mayInit(k, task);
  if (denied !== 0) return denied;
  if ((given & ~KNOWN_FLAGS) !== 0) return -EINVAL;
  if (typeof file === "number" || !file.canRead) return -EBADF;
  const bytes = kernelReadFile(k, file);
  if (typeof bytes === "number") return bytes;
  // As a kernel without CONFIG_MODULE_DECOMPRESS.
  if ((given & MODULE_INIT_COMPRESSED_FILE) !== 0) return -EOPNOTSUPP;
  return load(k, task, bytes, params, given);
}

function sysDeleteModule(k: Kernel, task: Task, [at, given]: [Addr, number]): SyscallResult {
  const denied = mayInit(k, task);
  if (denied !== 0) return denied;
  const bytes = copyFromUserPartial(k, task, at, NAME_MAX);
  if (!bytes.includes(0) && bytes.length < NAME_MAX) return -EFAULT;
  return deleteModule(k, bytesName(cstring(bytes)), given);
}

export const moduleRows: Rows = {
  init_module: { x86_64: 175, args: [inBuffer("module_image", "len"), size("len", "module_image"), path("param_values")], run: sysInitModule },
  delete_module: { x86_64: 176, args: [path("name"), flags("flags", deleteModuleFlags)], run: sysDeleteModule },
  finit_module: { x86_64: 313, args: [fd("fd"), path("param_values"), flags("flags", moduleInitFlags)], run: sysFinitModule },
  ...syslogRows,
};
