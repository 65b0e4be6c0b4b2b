/**
 * Makes a checkout ready to run: dependencies installed and the Prisma client generated, as `npm start` and `npm test` need
 * them. Node built-ins only, since nothing else may be there yet. Says nothing when there is nothing to do.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./generate.mjs";
import { withLock } from "./lock.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodeModules = join(root, "node_modules");
const stampFile = join(nodeModules, ".syslab-setup.json");

try {
  requireNode(20, 19);
  if (!isReady(wanted())) await withLock(join(root, ".setup.lock"), prepare);
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exit(1);
}

function requireNode(major, minor) {
  const [haveMajor, haveMinor] = process.versions.node.split(".").map(Number);
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return;
  throw new Error(`syslab needs Node ${major}.${minor} or newer, and this is ${process.version}.`);
}

/** What the two halves of the set-up depend on. A native module is built for one ABI and one platform. */
function wanted() {
  const { modules } = process.versions;
  return {
    dependencies: digest(["package-lock.json"], [modules, process.platform, process.arch]),
    client: digest(["package-lock.json", "prisma/schema.prisma", "scripts/generate.mjs"], []),
  };
}

function digest(files, words) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(join(root, file))).update("\0");
  return hash.update(words.join(" ")).digest("hex");
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"));
  } catch {
    return {};
  }
}

function isReady(want, stamp = readStamp()) {
  return stamp.dependencies === want.dependencies && isGenerated(want, stamp);
}

function isGenerated(want, stamp) {
  return stamp.client === want.client && existsSync(join(root, "api/store/generated/client.ts"));
}

async function prepare() {
  const want = wanted();
  const stamp = readStamp(); // read again: whoever held the lock before may have done the work
  if (stamp.dependencies !== want.dependencies) {
    console.error("setup: installing the dependencies, once; this may take a minute or two");
    rmSync(stampFile, { force: true });
    await npm("ci", "--include=dev");
    await ensureNativeModule();
    delete stamp.client;
  }
  if (!isGenerated(want, stamp)) generate(root);
  mkdirSync(nodeModules, { recursive: true });
  writeFileSync(stampFile, JSON.stringify(want));
}

/** Where install scripts are switched off (ignore-scripts), better-sqlite3 comes without its binary. */
async function ensureNativeModule() {
  if (await loadsSqlite()) return;
  await npm("rebuild", "better-sqlite3", "--ignore-scripts=false");
  const after = await loadsSqlite();
  if (!after) throw new Error("better-sqlite3 was installed but does not load; `npm rebuild better-sqlite3` shows why.");
}

async function loadsSqlite() {
  const { code } = await run(process.execPath, ["-e", 'new (require("better-sqlite3"))(":memory:").close()'], process.env);
  return code === 0;
}

async function npm(...args) {
  const quiet = ["--no-audit", "--no-fund", "--engine-strict=false", "--loglevel=error", "--no-update-notifier"];
  const cli = process.env.npm_execpath;
  const [command, first] = cli?.endsWith("npm-cli.js") ? [process.execPath, [cli]] : ["npm", []];
  const env = { ...process.env, CHECKPOINT_DISABLE: "1", DO_NOT_TRACK: "1", SCARF_ANALYTICS: "false", ...localHeaders() };
  const { code, output } = await run(command, [...first, ...args, ...quiet], env);
  if (code === 0) return;
  console.error(output.trimEnd());
  throw new Error(`\`npm ${args.join(" ")}\` failed; its own words are above.`);
}

/** node-gyp downloads Node's headers unless it is told that they are here already. */
function localHeaders() {
  if (process.env.npm_config_nodedir) return {};
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const header = join(prefix, "include/node/node_version.h");
  if (!existsSync(header)) return {};
  const text = readFileSync(header, "utf8");
  const number = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  const version = [number("MAJOR"), number("MINOR"), number("PATCH")].join(".");
  return version === process.versions.node ? { npm_config_nodedir: prefix } : {};
}

function run(command, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk) => (output += chunk);
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", (error) => reject(new Error(`${command} cannot be run: ${error.message}.`)));
    child.on("close", (code) => resolve({ code, output }));
  });
}
