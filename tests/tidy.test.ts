/** The tree checks itself: who imports whom, that core is pure, that nothing grows past what a reader holds in mind. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

/** The rooms of core from the ground up: a room may import itself and what stands before it. */
const ROOMS = [
  "abi", "lib", "time", "sched", "irq", "mm", "fs", "net", "ipc", "process", "drivers", "module", "labs", "syscalls", "programs", "benchmarks", "",
];

/** What core may not touch: the host's clock, chance, input and output, and arithmetic that differs between engines. */
const FORBIDDEN_NAMES = new Set([
  "Date", "performance", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "process", "Buffer", "console", "fetch", "crypto",
  "Intl", "globalThis", "require", "WeakRef", "FinalizationRegistry", "structuredClone",
]);
const FORBIDDEN_MEMBERS = new Set([
  "Math.random", "Math.exp", "Math.expm1", "Math.log", "Math.log2", "Math.log10", "Math.log1p", "Math.pow", "Math.sin", "Math.cos", "Math.tan",
  "Math.asin", "Math.acos", "Math.atan", "Math.atan2", "Math.sinh", "Math.cosh", "Math.tanh", "Math.cbrt", "Math.hypot",
]);
const FORBIDDEN_METHODS = new Set(["localeCompare", "toLocaleString", "toLocaleLowerCase", "toLocaleUpperCase"]);

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("generated"));
}

interface Import {
  path: string;
  typeOnly: boolean;
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(join(ROOT, path), "utf8"), ts.ScriptTarget.ESNext, true);
}

function importsOf(file: ts.SourceFile): Import[] {
  const found: Import[] = [];
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement) && ts.isStringLiteral(statement.moduleSpecifier)) {
      const clause = statement.importClause;
      const named = clause?.namedBindings;
      const allTypes = named !== undefined && ts.isNamedImports(named) && clause?.name === undefined && named.elements.every((one) => one.isTypeOnly);
      found.push({ path: statement.moduleSpecifier.text, typeOnly: clause?.isTypeOnly === true || allTypes });
    }
    if (ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined && ts.isStringLiteral(statement.moduleSpecifier)) {
      found.push({ path: statement.moduleSpecifier.text, typeOnly: statement.isTypeOnly });
    }
  }
  return found;
}

/** The room of a file of core: its first folder, "" for the files at the top. */
function roomOf(path: string): string {
  const parts = path.split("/");
  return parts.length > 2 ? parts[1] : "";
}

/** Files at the top of core that stand below the rooms: types, and the machine's numbers. */
const GROUND = new Set(["core/input.ts", "core/machine.ts", "core/kernel.ts", "core/state.ts", "core/hooks.ts"]);

const core = sources("core").map((path) => ({ path, file: parse(path) }));

test("core imports nothing from outside core", () => {
  const wrong = core.flatMap(({ path, file }) =>
    importsOf(file).filter((one) => !one.path.startsWith(".") || !relative(ROOT, resolve(ROOT, dirname(path), one.path)).startsWith("core/"))
      .map((one) => `${path} imports ${one.path}`));
  expect(wrong).toEqual([]);
  expect(core.length).toBeGreaterThan(100);
});

test("a room of core imports only rooms below it", () => {
  const wrong = core.flatMap(({ path, file }) => importsOf(file).flatMap((one) => {
    if (one.typeOnly) return [];
    const target = relative(ROOT, resolve(ROOT, dirname(path), one.path));
    if (GROUND.has(target)) return [];
    const from = ROOMS.indexOf(roomOf(path));
    const to = ROOMS.indexOf(roomOf(target));
    return from >= 0 && to >= 0 && to <= from ? [] : [`${path} imports ${target}`];
  }));
  expect(wrong).toEqual([]);
});

test("core asks nobody for time, chance or input", () => {
  const wrong: string[] = [];
  for (const { path, file } of core) {
    const visit = (node: ts.Node): void => {
      if (ts.isPropertyAccessExpression(node)) {
        const text = `${node.expression.getText(file)}.${node.name.text}`;
        if (FORBIDDEN_MEMBERS.has(text) || FORBIDDEN_METHODS.has(node.name.text)) wrong.push(`${path}: ${text}`);
        if (ts.isIdentifier(node.expression) && FORBIDDEN_NAMES.has(node.expression.text) && isGlobal(node.expression)) wrong.push(`${path}: ${text}`);
      } else if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && ts.isIdentifier(node.expression)) {
        if (FORBIDDEN_NAMES.has(node.expression.text) && !declaredIn(file, node.expression.text)) wrong.push(`${path}: ${node.expression.text}()`);
      } else if (ts.isAwaitExpression(node) || (ts.isFunctionLike(node) && ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.AsyncKeyword))) {
        wrong.push(`${path}: asynchronous code`);
      }
      ts.forEachChild(node, visit);
    };
    const isGlobal = (identifier: ts.Identifier): boolean => !declaredIn(file, identifier.text);
    visit(file);
  }
  expect(wrong).toEqual([]);
});

/** Whether a file declares the name itself, as an import, parameter or variable. */
function declaredIn(file: ts.SourceFile, name: string): boolean {
  let found = false;
  const visit = (node: ts.Node): void => {
    if ((ts.isParameter(node) || ts.isVariableDeclaration(node) || ts.isBindingElement(node) || ts.isImportSpecifier(node) || ts.isFunctionDeclaration(node))
      && node.name !== undefined && ts.isIdentifier(node.name) && node.name.text === name) found = true;
    if (!found) ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

test("the service enters the kernel by core/index.ts alone", () => {
  const wrong = sources("api").flatMap((path) => importsOf(parse(path)).flatMap((one) => {
    if (!one.path.startsWith(".") || one.typeOnly) return [];
    const target = relative(ROOT, resolve(ROOT, dirname(path), one.path));
    return target.startsWith("core/") && target !== "core/index.ts" ? [`${path} imports ${target}`] : [];
  }));
  expect(wrong).toEqual([]);
});

test("only api/store speaks prisma", () => {
  const wrong = sources("api").filter((path) => !path.startsWith("api/store/")).flatMap((path) =>
    importsOf(parse(path)).filter((one) => /prisma|better-sqlite3/.test(one.path)).map((one) => `${path} imports ${one.path}`));
  expect(wrong).toEqual([]);
});

/** Tables of numbers and rows are read by looking up, not by reading through. */
const TABLES = new Set(["core/abi/errno.ts", "core/abi/unistd.ts"]);

test("no file grows past what a reader holds in mind, and each says in a sentence what it is", () => {
  const files = [...sources("core"), ...sources("api")];
  const long = files.filter((path) => !TABLES.has(path)).map((path) => ({ path, lines: readFileSync(join(ROOT, path), "utf8").split("\n").length }))
    .filter(({ lines }) => lines > 450);
  expect(long).toEqual([]);
  const silent = files.filter((path) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(ROOT, path), "utf8")));
  expect(silent).toEqual([]);
});
