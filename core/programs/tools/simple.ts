/** Tools without a file or a wait: true, false, yes, basename, dirname, printenv, pwd, nproc, hostname … each a row. */
import { popcount } from "../numbers.ts";
import { getopt } from "../options.ts";
import { printer, tool } from "../tool.ts";
import { to } from "../../sched/steps.ts";

printer("true", "bin", () => 0);
printer("false", "bin", () => 1);

printer("basename", "bin", (p, args) => {
  const [path, suffix = ""] = args;
  if (path === undefined) return p.fail("missing operand");
  const trimmed = path.replace(/\/+$/, "");
  let base = trimmed === "" ? (path === "" ? "" : "/") : trimmed.slice(trimmed.lastIndexOf("/") + 1);
  if (suffix !== "" && base !== suffix && base.endsWith(suffix)) base = base.slice(0, -suffix.length);
  p.out(`${base}\n`);
  return 0;
});

printer("dirname", "bin", (p, args) => {
  const [path] = args;
  if (path === undefined) return p.fail("missing operand");
  const trimmed = path.replace(/\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  p.out(`${trimmed === "" ? (path === "" ? "." : "/") : slash < 0 ? "." : trimmed.slice(0, slash).replace(/\/+$/, "") || "/"}\n`);
  return 0;
});

printer("printenv", "bin", (p, args) => {
  const wanted = args.length === 0 ? p.main.env : args.map((name) => p.env(name));
  for (const value of wanted) if (value !== undefined) p.out(`${value}\n`);
  return wanted.includes(undefined) ? 1 : 0;
});

tool<{ text: string }>("yes", "bin", (_p, args) => ({ text: `${args.length === 0 ? "y" : args.join(" ")}\n`.repeat(args.length === 0 ? 512 : 16) }), {
  say: (p, { text }) => p.write(1, text),
  said: (p) => (p.ret < 0 ? 1 : to("say")),
});

const PATH_ROOM = 4096;

tool<object>("pwd", "bin", () => ({}), {
  ask: (p) => p.sys("getcwd", { room: PATH_ROOM }, PATH_ROOM),
  tell: (p) => {
    if (p.ret < 0) {
      p.perror("getcwd");
      return 1;
    }
    p.out(`${p.text(p.ret - 1)}\n`);
    return 0;
  },
});

tool<object>("nproc", "bin", () => ({}), {
  ask: (p) => p.sys("sched_getaffinity", 0, 128, { room: 128 }),
  tell: (p) => {
    p.out(`${p.ret < 0 ? 1 : popcount(p.took(p.ret))}\n`);
    return 0;
  },
});

tool<object>("sync", "bin", () => ({}), { sync: (p) => p.sys("sync"), done: () => 0 });

tool<{ words: string[] }>("hostname", "bin", (_p, args) => ({ words: args }), {
  set: (p, { words }) => (words.length === 0 ? p.sys("uname", { room: 390 }) : p.sys("sethostname", words[0], words[0].length)),
  tell: (p, { words }) => {
    if (p.ret < 0) return p.fail(`sethostname: ${p.ret === -1 ? "Operation not permitted" : "Invalid argument"}`);
    if (words.length === 0) p.out(`${p.text(65, 65).replace(/\0[^]*/, "")}\n`);
    return 0;
  },
});

printer("seq", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args.map((word) => (/^-[0-9.]/.test(word) ? `\0${word}` : word)), "s:w");
  if (problem !== "" || rest.length === 0 || rest.length > 3) return p.fail(problem === "" ? "missing operand" : problem);
  const words = rest.map((word) => word.replace("\0", ""));
  const bad = words.find((word) => !/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(word));
  if (bad !== undefined) return p.fail(`invalid floating point argument: '${bad}'`);
  const digits = Math.max(...words.map((word) => (word.split(".")[1] ?? "").length));
  const scale = Number(`1${"0".repeat(Math.min(digits, 9))}`);
  const numbers = words.map((word) => Math.round(Number(word) * scale));
  const first = numbers.length > 1 ? numbers[0] : scale;
  const step = numbers.length > 2 ? numbers[1] : scale;
  const last = numbers[numbers.length - 1];
  if (step === 0) return p.fail("invalid Zero increment value: '0'");
  const count = Math.floor((last - first) / step) + 1;
  if (count > 1_000_000) return p.fail("too many numbers");
  const lines: string[] = [];
  for (let at = 0; at < count; at++) lines.push(((first + at * step) / scale).toFixed(digits));
  const width = "w" in has ? Math.max(...lines.map((line) => line.length)) : 0;
  const shown = lines.map((line) => (line.startsWith("-") ? `-${line.slice(1).padStart(width - 1, "0")}` : line.padStart(width, "0")));
  if (shown.length > 0) p.out(`${shown.join(has.s ?? "\n")}\n`);
  return 0;
});

