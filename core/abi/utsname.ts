/** struct utsname of uname(2): six texts of 65 bytes. */
import { layout } from "./layout.ts";

export const utsnameLayout = layout(390, {
  sysname: [0, { chars: 65 }],
  nodename: [65, { chars: 65 }],
  release: [130, { chars: 65 }],
  version: [195, { chars: 65 }],
  machine: [260, { chars: 65 }],
  domainname: [325, { chars: 65 }],
});
