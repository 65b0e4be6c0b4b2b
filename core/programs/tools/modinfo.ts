/** modinfo of kmod: what a module's file says of it. */
import { ENOENT } from "../../abi/errno.ts";
import { MODULES_DIRECTORY } from "../../abi/release.ts";
import { moduleNameOf, modinfoNotFound, modinfoUnreadable } from "../../module/messages.ts";
import { modinfoField, modinfoText } from "../../module/modinfo.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { modinfoOf } from "../elf.ts";
import { slurp } from "../files_lib.ts";
import { getopt } from "../options.ts";
import { tool } from "../tool.ts";
import { elsewhere } from "./insmod.ts";

interface ModinfoLocals {
  words: string[];
  field: string | null;
  cwd: string;
  word: string;
  path: string;
  image: string;
  dep: string;
  status: number;
}

const CWD_MAX = 4096;

/** The file of a module that modules.dep names. */
export function fileInDep(dep: string, name: string): string | null {
  const found = dep.split("\n").map((line) => line.slice(0, Math.max(0, line.indexOf(":")))).find((file) => file !== "" && moduleNameOf(file) === name);
  return found === undefined ? null : `${MODULES_DIRECTORY}/${found}`;
}

tool<ModinfoLocals>("modinfo", "sbin", (p, args) => {
  const { has, rest } = getopt(args, "adlpn0F:k:b:V", { field: "F", parameters: "p", author: "a", description: "d", license: "l", filename: "n" });
  if (rest.length === 0) {
    p.err("modinfo: ERROR: missing module or filename.\n");
    return 1;
  }
  const letters: { [letter: string]: string } = { a: "author", d: "description", l: "license", p: "parm", n: "filename" };
  const short = Object.keys(has).find((letter) => letter in letters);
  return { words: rest, field: has.F ?? (short === undefined ? null : letters[short]), cwd: "/", word: "", path: "", image: "", dep: "", status: 0 };
}, {
  cwd: (p) => p.sys("getcwd", { room: CWD_MAX }, CWD_MAX),
  dep: (p, l) => {
    if (p.ret > 0) l.cwd = p.text(p.ret - 1);
    return slurp(`${MODULES_DIRECTORY}/modules.dep`, "dep");
  },
  next: (_p, l) => {
    const word = l.words.shift();
    if (word === undefined) return l.status;
    l.word = word;
    const named = word.includes("/") || word.endsWith(".ko") ? null : fileInDep(l.dep, word.replaceAll("-", "_"));
    l.path = named ?? word;
    return slurp(l.path, "image");
  },
  read: (p, l) => {
    const other = elsewhere(l.path);
    if (p.ret !== -ENOENT || other === null) return NEXT;
    l.path = other;
    return slurp(other, "image");
  },
  show: (p, l) => {
    if (p.ret < 0) {
      p.err(`${modinfoNotFound(l.word)}\n`);
      l.status = 1;
      return to("next");
    }
    const filename = l.path.startsWith("/") ? l.path : `${l.cwd === "/" ? "" : l.cwd}/${l.path}`;
    const lines = modinfoOf(l.image);
    if (l.field === "filename") p.out(`${filename}\n`);
    else if (lines === null) {
      p.err(`${modinfoUnreadable(l.word)}\n`);
      if (l.field === null) p.out(`filename:       ${filename}\n`);
      l.status = 1;
    } else p.out(l.field === null ? modinfoText(filename, lines) : modinfoField(lines, l.field));
    return to("next");
  },
});
