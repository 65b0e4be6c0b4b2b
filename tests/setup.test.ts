/** scripts/setup.mjs, in a checkout of its own whose npm, prisma and better-sqlite3 only write down what is asked of them. */
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const scripts = join(dirname(fileURLToPath(import.meta.url)), "../scripts");

const FAKE_NPM = `#!${process.execPath}
const fs = require("node:fs");
const put = (file, text) => { fs.mkdirSync(require("node:path").dirname(file), { recursive: true }); fs.writeFileSync(file, text); };
fs.appendFileSync("calls.log", "npm " + process.argv[2] + "\\n");
if (process.env.FAKE_NPM_FAILS) { console.error("npm error the registry is on fire"); process.exit(1); }
const built = "node_modules/better-sqlite3/built";
if (process.argv[2] === "rebuild") { put(built, ""); process.exit(0); }
fs.rmSync("node_modules", { recursive: true, force: true });
put("node_modules/better-sqlite3/index.js", 'if (!require("node:fs").existsSync(__dirname + "/built")) throw new Error("no binary"); module.exports = class { close() {} };');
put("node_modules/prisma/package.json", "{}");
put("node_modules/prisma/build/index.js", 'const fs = require("node:fs"); fs.appendFileSync("calls.log", "generate\\\\n"); fs.mkdirSync("api/store/generated", { recursive: true }); fs.writeFileSync("api/store/generated/client.ts", "");');
if (!process.env.FAKE_NPM_IGNORES_SCRIPTS) put(built, "");
setTimeout(() => {}, 300);
`;

class Checkout {
  readonly root = mkdtempSync(join(tmpdir(), "syslab-setup-"));

  constructor() {
    onTestFinished(() => rmSync(this.root, { recursive: true, force: true }));
    for (const name of ["setup.mjs", "generate.mjs", "lock.mjs"]) cpSync(join(scripts, name), join(this.root, "scripts", name));
    this.write("package.json", "{}");
    this.write("package-lock.json", "{}");
    this.write("prisma/schema.prisma", "");
    this.write("bin/npm", FAKE_NPM);
    chmodSync(join(this.root, "bin/npm"), 0o755);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** What npm and prisma were asked for, in order. */
  calls(): string[] {
    return existsSync(this.path("calls.log")) ? readFileSync(this.path("calls.log"), "utf8").trim().split("\n") : [];
  }

  setUp(more: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; output: string }> {
    const env = { PATH: `${this.path("bin")}${delimiter}${process.env["PATH"]}`, HOME: this.path("home"), ...more };
    const child = spawn(process.execPath, [this.path("scripts/setup.mjs")], { env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
  }
}

const ONCE = "setup: installing the dependencies, once; this may take a minute or two\n";

test("a fresh checkout is installed and generated, and a ready one is left alone without a word", async () => {
  const checkout = new Checkout();
  expect(await checkout.setUp()).toEqual({ code: 0, output: ONCE });
  expect(await checkout.setUp()).toEqual({ code: 0, output: "" });
  expect(checkout.calls()).toEqual(["npm ci", "generate"]);
  expect(existsSync(checkout.path(".setup.lock"))).toBe(false);
});

test("two starts at once install once", async () => {
  const checkout = new Checkout();
  const outcomes = await Promise.all([checkout.setUp(), checkout.setUp(), checkout.setUp()]);
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(checkout.calls()).toEqual(["npm ci", "generate"]);
});

test("a changed lockfile installs again, a changed schema or a missing client only generates", async () => {
  const checkout = new Checkout();
  await checkout.setUp();
  checkout.write("package-lock.json", '{"changed":true}');
  await checkout.setUp();
  expect(checkout.calls().slice(2)).toEqual(["npm ci", "generate"]);
  checkout.write("prisma/schema.prisma", "// changed");
  await checkout.setUp();
  rmSync(checkout.path("api/store/generated"), { recursive: true });
  await checkout.setUp();
  expect(checkout.calls().slice(4)).toEqual(["generate", "generate"]);
});

test("where npm ran no install scripts, better-sqlite3 is built all the same", async () => {
  const checkout = new Checkout();
  expect((await checkout.setUp({ FAKE_NPM_IGNORES_SCRIPTS: "1" })).code).toBe(0);
  expect(checkout.calls()).toEqual(["npm ci", "npm rebuild", "generate"]);
});

test("a failed install is told and leaves nothing that looks ready", async () => {
  const checkout = new Checkout();
  const failed = await checkout.setUp({ FAKE_NPM_FAILS: "1" });
  expect(failed.code).toBe(1);
  expect(failed.output).toBe(`${ONCE}npm error the registry is on fire\nsetup: \`npm ci --include=dev\` failed; its own words are above.\n`);
  expect(existsSync(checkout.path(".setup.lock"))).toBe(false);
  expect((await checkout.setUp()).code).toBe(0);
});

test("the lock of a process that died is taken over", async () => {
  const checkout = new Checkout();
  const dead = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => dead.on("close", resolve));
  checkout.write(".setup.lock", JSON.stringify({ pid: dead.pid, host: hostname() }));
  expect(await Promise.all([checkout.setUp(), checkout.setUp()])).toMatchObject([{ code: 0 }, { code: 0 }]);
  expect(checkout.calls()).toEqual(["npm ci", "generate"]);
});

test("the lock of another machine is taken over when it has been silent for a minute", async () => {
  const checkout = new Checkout();
  checkout.write(".setup.lock", JSON.stringify({ pid: 1, host: "another machine" }));
  const silent = new Date(Date.now() - 61_000);
  utimesSync(checkout.path(".setup.lock"), silent, silent);
  expect((await checkout.setUp()).code).toBe(0);
  expect(checkout.calls()).toEqual(["npm ci", "generate"]);
});

test("the lock of a live process is waited for", async () => {
  const checkout = new Checkout();
  checkout.write(".setup.lock", JSON.stringify({ pid: process.pid, host: hostname() }));
  const waiting = checkout.setUp();
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(checkout.calls()).toEqual([]);
  rmSync(checkout.path(".setup.lock"));
  expect((await waiting).code).toBe(0);
});
