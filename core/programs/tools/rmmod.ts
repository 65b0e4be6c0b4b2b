/** rmmod of kmod: asks /sys/module first, then the kernel. And busybox's, which asks the kernel alone. */
import { errnoMessage } from "../../abi/errno.ts";
import { O_NONBLOCK, O_TRUNC } from "../../abi/fcntl.ts";
import { RMMOD_NO_NAME, rmmodFailed } from "../../module/messages.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { readdir, slurp, type Entry } from "../files_lib.ts";
import { getopt } from "../options.ts";
import { applet, tool } from "../tool.ts";

interface RmmodLocals {
  names: string[];
  next: number;
  name: string;
  force: boolean;
  holders: Entry[];
  refcount: string;
  state: string;
  status: number;
}

/** As rmmod names what it was given: a path keeps its slashes, a dot ends the name. */
function moduleName(word: string): string {
  const dot = word.indexOf(".");
  return (dot < 0 ? word : word.slice(0, dot)).replaceAll("-", "_");
}

tool<RmmodLocals>("rmmod", "sbin", (p, args) => {
  const { has, rest } = getopt(args, "fsvVh", { force: "f", syslog: "s", verbose: "v" });
  if (rest.length === 0) {
    p.err(`${RMMOD_NO_NAME}\n`);
    return 1;
  }
  return { names: rest, next: 0, name: "", force: "f" in has, holders: [], refcount: "", state: "", status: 0 };
}, {
  next: (_p, l) => {
    if (l.next >= l.names.length) return l.status;
    l.name = moduleName(l.names[l.next++]);
    return l.name === "" || l.name.includes("/") ? to("absent") : slurp(`/sys/module/${l.name}/initstate`, "state");
  },
  known: (p) => (p.ret < 0 ? NEXT : to("users")),
  absent: (p, l) => {
    p.err(`rmmod: ERROR: Module ${l.name} is not currently loaded\n`);
    l.status = 1;
    return to("next");
  },
  users: (_p, l) => (l.force ? to("remove") : readdir(`/sys/module/${l.name}/holders`, "holders")),
  used: (p, l) => {
    const holders = l.holders.map(({ name }) => name).filter((name) => name !== "." && name !== "..");
    if (p.ret >= 0 && holders.length > 0) {
      p.err(`rmmod: ERROR: Module ${l.name} is in use by: ${holders.join(" ")}\n`);
      l.status = 1;
      return to("next");
    }
    return slurp(`/sys/module/${l.name}/refcnt`, "refcount");
  },
  counted: (p, l) => {
    if (p.ret < 0 || !(Number.parseInt(l.refcount, 10) > 0)) return NEXT;
    p.err(`rmmod: ERROR: Module ${l.name} is in use\n`);
    l.status = 1;
    return to("next");
  },
  remove: (p, l) => p.sys("delete_module", l.name, O_NONBLOCK | (l.force ? O_TRUNC : 0)),
  removed: (p, l) => {
    if (p.ret < 0) {
      p.err(`${rmmodFailed(l.name, -p.ret)}\n`);
      l.status = 1;
    }
    return to("next");
  },
});

/** O_EXCL, which busybox sets too. */
const O_EXCL = 0x80;

applet<{ names: string[]; next: number; status: number }>("busybox rmmod", (p, args) => {
  const { rest } = getopt(args, "wfa");
  return rest.length === 0 ? p.fail("missing operand") : { names: rest.map(moduleName), next: 0, status: 0 };
}, {
  next: (p, l) => (l.next >= l.names.length ? l.status : p.sys("delete_module", l.names[l.next++], O_NONBLOCK | O_EXCL)),
  removed: (p, l) => {
    if (p.ret < 0) {
      p.warn(`can't unload module '${l.names[l.next - 1]}': ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    return to("next");
  },
});
