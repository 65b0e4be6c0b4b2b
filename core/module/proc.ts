/** /proc/modules and /proc/kallsyms; their addresses are for those who may see them. */
import { CAP_SYSLOG } from "../abi/capability.ts";
import type { Kernel } from "../kernel.ts";
import type { WalkContext } from "../fs/fs_type.ts";
import { hasCapability } from "../fs/permission.ts";
import { procFile } from "../fs/proc/registry.ts";
import { sysctlValue } from "../fs/proc/sysctl.ts";
import { modulesText } from "./query.ts";
import { kallsymsText } from "./symbols.ts";

/** kallsyms_show_value: privileged readers, unless kptr_restrict hides addresses from all. */
function showsAddresses(k: Kernel, { cred }: WalkContext): boolean {
  return sysctlValue(k, "kernel/kptr_restrict") < 2 && hasCapability(cred, CAP_SYSLOG);
}

procFile("modules", (k, ctx) => modulesText(k, showsAddresses(k, ctx)));
procFile("kallsyms", (k, ctx) => kallsymsText(k, showsAddresses(k, ctx)));
