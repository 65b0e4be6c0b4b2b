/** mount and umount. */
import { errnoMessage } from "../../abi/errno.ts";
import { to } from "../../sched/steps.ts";
import { slurp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import { tool } from "../tool.ts";
import { operands } from "../operands.ts";

const FLAGS: { [name: string]: number } = {
  ro: 1, nosuid: 2, nodev: 4, noexec: 8, sync: 16, remount: 32, noatime: 1024, nodiratime: 2048, bind: 4096, relatime: 1 << 21, rw: 0, defaults: 0,
};

interface MountLocals {
  list: boolean;
  text: string;
  source: string;
  target: string;
  type: string;
  flags: number;
  data: string;
}

tool<MountLocals>("mount", "bin", (p, args) => {
  const { has, all, rest, problem } = getopt(args, "t:o:rwan", { bind: "B", types: "t", options: "o" });
  if (problem !== "" && !args.includes("--bind")) return p.fail(problem);
  const words = all.filter(([letter]) => letter === "o").flatMap(([, value]) => value.split(","));
  let flags = ("r" in has ? 1 : 0) | ("B" in has ? 4096 : 0);
  const data: string[] = [];
  for (const word of words) {
    if (Object.hasOwn(FLAGS, word)) flags |= FLAGS[word];
    else data.push(word);
  }
  const [source = "none", target = source] = rest;
  return { list: rest.length === 0, text: "", source, target, type: has.t ?? "", flags, data: data.join(",") };
}, {
  what: (p, { list, source, target, type, flags, data }) => (list ? to("list") : p.sys("mount", source, target, type, flags, data)),
  done: (p, { source, target }) => {
    if (p.ret >= 0) return 0;
    p.warn(`mounting ${source} on ${target} failed: ${errnoMessage(-p.ret)}`);
    return p.ret === -1 ? 1 : 255;
  },
  list: () => slurp("/proc/mounts", "text"),
  print: (p, { text }) => {
    for (const line of text.split("\n").filter((one) => one !== "")) {
      const [source, path, type, options] = line.split(" ");
      p.out(`${source} on ${path} type ${type} (${options})\n`);
    }
    return 0;
  },
});

operands<{ flags: number }>("umount", "bin", {
  begin: (p, args) => {
    const { has, rest, problem } = getopt(args, "lfrn");
    if (problem !== "" || rest.length === 0) return p.fail(problem === "" ? "missing operand" : problem);
    return { operands: rest, state: { flags: ("f" in has ? 1 : 0) | ("l" in has ? 2 : 0) } };
  },
  call: (p, path, { flags }) => p.sys("umount2", path, flags),
  failed: (path, errno) => `can't unmount ${path}: ${errnoMessage(errno)}`,
});
