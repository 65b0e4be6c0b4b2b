/** Builtins that need nothing but the shell: control flow, variables, words. */
import { signalNumber, signalName } from "../../abi/signal.ts";
import { printf } from "../printf.ts";
import type { Proc } from "../proc.ts";
import { test } from "../test_expression.ts";
import { echoText } from "../tools/echo.ts";
import { setActions } from "./actions.ts";
import { builtin } from "./builtin.ts";
import { complain } from "./message.ts";
import { assign, ShellProblem, unset, type ShellLocals } from "./state.ts";
import { names, quoted } from "./variables.ts";

builtin(":", () => 0);
builtin("true", () => 0);
builtin("false", () => 1);

builtin("echo", (p, _sh, args) => {
  p.out(echoText(args));
  return 0;
});

builtin("printf", (p, _sh, words) => {
  const args = words[0] === "--" ? words.slice(1) : words;
  if (args.length === 0) {
    complain(p, "printf: usage: printf FORMAT [ARG]...");
    return 2;
  }
  const { text, problems } = printf(args[0], args.slice(1));
  for (const problem of problems) complain(p, problem);
  p.out(text);
  return problems.length > 0 ? 1 : 0;
});

builtin("test", (p, _sh, args) => test(p, args));
builtin("[", (p, _sh, args) => {
  if (args[args.length - 1] === "]") return test(p, args.slice(0, -1));
  complain(p, "missing ]");
  return 2;
});

function numberOf(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[0-9]+$/.test(text)) throw new ShellProblem(`Illegal number: ${text}`);
  return Number(text);
}

builtin("exit", (_p, sh, [status]) => {
  sh.flow = "exit";
  return numberOf(status, sh.status) & 255;
});

builtin("return", (_p, sh, [status]) => {
  sh.flow = "return";
  return numberOf(status, sh.status) & 255;
});

/** Loops under way in this function; a subshell's copy of one is left as the loop would be. */
function loopsOf({ task }: Proc): number {
  let loops = 0;
  for (let at = task.frames.length - 1; at >= 0; at--) {
    const { code, locals } = task.frames[at];
    if (code === "sh.while" || code === "sh.for") loops++;
    else if (code === "bin.sh" || (code === "sh.simple" && (locals as { called: boolean }).called)) break;
  }
  return loops;
}

function leave(p: Proc, sh: ShellLocals, how: "break" | "continue", levels: string | undefined): number {
  const wanted = numberOf(levels, 1);
  if (wanted < 1) throw new ShellProblem(`Illegal number: ${levels ?? ""}`);
  const loops = loopsOf(p);
  if (loops === 0) return 0;
  sh.levels = Math.min(wanted, loops);
  sh.flow = how;
  return 0;
}
builtin("break", (p, sh, [levels]) => leave(p, sh, "break", levels));
builtin("continue", (p, sh, [levels]) => leave(p, sh, "continue", levels));

builtin("shift", (_p, sh, [count]) => {
  const by = numberOf(count, 1);
  if (by > sh.params.length) throw new ShellProblem("shift: can't shift that many");
  sh.params = sh.params.slice(by);
  return 0;
});

/** export and readonly: `name` or `name=value`. */
function mark(sh: ShellLocals, args: string[], how: "exported" | "readonly"): void {
  for (const word of args) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new ShellProblem(`${how === "exported" ? "export" : "readonly"}: ${name}: bad variable name`);
    if (equals >= 0) assign(sh, name, word.slice(equals + 1));
    else if (!sh.variables.has(name)) assign(sh, name, "");
    const variable = sh.variables.get(name);
    if (variable !== undefined) variable[how] = true;
  }
}

builtin("export", (p, sh, args) => {
  if (args.length === 0 || args[0] === "-p") p.out(names(sh, (of, name) => of.variables.get(name)?.exported === true, "export "));
  else if (args[0] === "-n") {
    for (const name of args.slice(1)) {
      const variable = sh.variables.get(name);
      if (variable !== undefined) variable.exported = false;
    }
  } else mark(sh, args, "exported");
  return 0;
});

builtin("readonly", (p, sh, args) => {
  if (args.length === 0 || args[0] === "-p") p.out(names(sh, (of, name) => of.variables.get(name)?.readonly === true, "readonly "));
  else mark(sh, args, "readonly");
  return 0;
});

builtin("unset", (_p, sh, args) => {
  const functions = args[0] === "-f";
  for (const name of args.filter((word) => word !== "-f" && word !== "-v")) {
    if (functions) sh.functions.delete(name);
    else unset(sh, name);
  }
  return 0;
});

builtin("local", (_p, sh, args) => {
  const saved = sh.saved[sh.saved.length - 1];
  if (saved === undefined) throw new ShellProblem("local: not in a function");
  for (const word of args) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const known = sh.variables.get(name);
    saved.push([name, known === undefined ? null : { ...known }]);
    assign(sh, name, equals < 0 ? (known?.value ?? "") : word.slice(equals + 1));
  }
  return 0;
});

builtin("trap", (p, sh, words) => {
  const args = words[0] === "--" ? words.slice(1) : words;
  if (args.length === 0) {
    for (const [signal, text] of sh.traps) p.out(`trap -- ${quoted(text)} ${signal === 0 ? "EXIT" : signalName(signal).replace("SIG", "")}\n`);
    return 0;
  }
  const reset = args.length === 1 || args[0] === "-";
  const text = reset ? null : args[0];
  const signals = (reset && args[0] !== "-" ? args : args.slice(1)).map((name) => signalOf(name));
  const bad = signals.indexOf(-1);
  if (bad >= 0) {
    complain(p, `trap: ${args[bad + (args.length - signals.length)]}: invalid signal specification`);
    return 1;
  }
  for (const signal of signals) {
    if (text === null) sh.traps.delete(signal);
    else sh.traps.set(signal, text);
  }
  return setActions(signals, text === null ? 0 : text === "" ? 1 : 2);
});

/** A signal's number by name or number, 0 for EXIT; -1 for none. */
export function signalOf(name: string): number {
  if (name === "EXIT" || name === "0") return 0;
  if (/^[0-9]+$/.test(name)) return Number(name) <= 64 ? Number(name) : -1;
  return signalNumber(name.startsWith("SIG") ? name : `SIG${name}`) ?? -1;
}
