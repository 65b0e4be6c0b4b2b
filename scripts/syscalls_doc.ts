/** Writes docs/syscalls.md from the system-call table; with --check, tells whether it is up to date. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { syscallCatalogue, type ArgumentView, type SyscallView } from "../core/index.ts";
import { parseScenarios } from "../tests/helpers/trace/scenario.ts";
import { Symbols } from "../tests/helpers/trace/symbols.ts";
import { translate } from "../tests/helpers/trace/translate.ts";

const ROOT = resolve(import.meta.dirname, "..");
const PAGE = join(ROOT, "docs", "syscalls.md");
const PSEUDO = 1000;

/** Every symbol stands for something: only the call's name matters here. */
class AnySymbols extends Symbols {
  override find(text: string): bigint | undefined {
    return text.startsWith("$") ? 1n : undefined;
  }
}

/** How many recorded scenarios make each call. */
function coverage(): Map<string, number> {
  const counts = new Map<string, number>();
  const folder = join(ROOT, "tests", "traces");
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".jsonl"))) {
    for (const { steps } of parseScenarios(readFileSync(join(folder, file), "utf8"))) {
      const names = steps.filter(({ call }) => !call.startsWith("$")).map((step) => translate(new AnySymbols(), step).call);
      for (const name of new Set(names)) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return counts;
}

function argument({ name, kind, struct }: ArgumentView): string {
  return `${name}: ${struct === undefined ? kind : `${kind} ${struct.name}`}`;
}

function row({ number, name, args, returns, partial }: SyscallView, traces: Map<string, number>): string {
  const result = returns === "address" ? " → address" : "";
  const cells = [
    number > PSEUDO ? "" : String(number), `\`${name}\``, `${args.map(argument).join(", ")}${result}`, partial ?? "", String(traces.get(name) ?? ""),
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** The page as it should be. */
export function syscallsPage(): string {
  const traces = coverage();
  const calls = syscallCatalogue();
  return [
    "# System calls",
    "",
    "Generated from the table by `npm run docs`. Numbers are those of x86-64, argument names those of man-pages 6.03. A call that is not here",
    "answers ENOSYS; 320 and 321 are kept for `ssmem_attach` and `ssmem_detach`. A call without a number is a process's own memory access.",
    "The last column counts the recorded scenarios of a real Linux that make the call and are played in `npm test`.",
    "",
    `${calls.filter(({ number }) => number < PSEUDO).length} calls, ${calls.filter(({ partial }) => partial !== undefined).length} of them partial.`,
    "",
    "| number | name | arguments | what is left out | recorded |",
    "| ---: | --- | --- | --- | ---: |",
    ...calls.map((call) => row(call, traces)),
    "",
  ].join("\n");
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes("--check")) {
    if (readFileSync(PAGE, "utf8") !== syscallsPage()) {
      console.error("docs/syscalls.md is not what the table says; run npm run docs");
      process.exit(1);
    }
  } else writeFileSync(PAGE, syscallsPage());
}
