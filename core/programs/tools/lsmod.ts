/** lsmod of kmod, from /proc/modules and the holders in /sys; busybox's prints the lines as they are. */
import { to } from "../../sched/steps.ts";
import { readdir, slurp, type Entry } from "../files_lib.ts";
import { applet, tool } from "../tool.ts";

interface LsmodLocals {
  text: string;
  lines: string[];
  next: number;
  holders: Entry[];
}

tool<LsmodLocals>("lsmod", "sbin", () => ({ text: "", lines: [], next: 0, holders: [] }), {
  read: () => slurp("/proc/modules", "text"),
  header: (p, l) => {
    if (p.ret < 0) {
      p.err(`lsmod: ERROR: could not get list of modules: No such file or directory\n`);
      return 1;
    }
    p.out("Module                  Size  Used by\n");
    l.lines = l.text.split("\n").filter((line) => line !== "");
    return to("next");
  },
  next: (_p, l) => {
    if (l.next >= l.lines.length) return 0;
    l.holders = [];
    return readdir(`/sys/module/${l.lines[l.next].split(" ")[0]}/holders`, "holders");
  },
  line: (p, l) => {
    const [name, size, users] = l.lines[l.next++].split(" ");
    const holders = l.holders.map((entry) => entry.name).filter((holder) => holder !== "." && holder !== "..");
    p.out(`${name.padEnd(19)} ${size.padStart(8)}  ${users}${holders.length > 0 ? ` ${holders.join(",")}` : ""}\n`);
    return to("next");
  },
});

applet<{ text: string; tainted: string }>("busybox lsmod", () => ({ text: "", tainted: "" }), {
  modules: () => slurp("/proc/modules", "text"),
  taint: () => slurp("/proc/sys/kernel/tainted", "tainted"),
  print: (p, { text, tainted }) => {
    const taint = Number.parseInt(tainted, 10) || 0;
    // TAINT_PROPRIETARY_MODULE, _FORCED_MODULE, _UNSAFE_SMP
    const flags = `${(taint & 1) !== 0 ? "P" : "G"}${(taint & 2) !== 0 ? "F" : " "}${(taint & 4) !== 0 ? "S" : " "}`;
    p.out(`Module                  Size  Used by    ${taint === 0 ? "Not tainted" : `Tainted: ${flags}`}\n`);
    for (const line of text.split("\n").filter((one) => one !== "")) {
      const [name, size, users, holders] = line.split(" ");
      p.out(`${name.padEnd(19)} ${size.padStart(8)}  ${users} ${holders === "-" ? "" : holders.replace(/,$/, "")}\n`);
    }
    return 0;
  },
});
