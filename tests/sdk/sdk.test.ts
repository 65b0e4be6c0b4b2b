/** SDKs that others' generators make of openapi.yaml compile strictly, and the first lab runs with each. */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT, startServer, type Server } from "../acceptance/server.ts";

let server: Server;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), "syslab-sdk-"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.end();
});

/** What the lab prints, by any client. */
const PRINTED = [
  "ksocket",
  "master_device",
  "slave_device",
  "EEXIST 17",
  'openat(AT_FDCWD, "/dev/master_device", O_RDWR) = 3',
  'openat(AT_FDCWD, "/dev/slave_device", O_RDWR) = 3',
  "sleeping",
  "0",
  "returned",
  'openat(AT_FDCWD, "/tmp/in.txt", O_RDONLY) = 4',
  'read(4, "hello by sdk", 512) = 12',
  'write(3, "hello by sdk", 12) = 12',
  "hello by sdk",
  "EBADF Bad file descriptor",
  "string",
  "slave_device master_device ksocket",
  "204",
];

const OPENAPI = join(ROOT, "openapi.yaml");
const bin = (path: string): string => join(ROOT, "node_modules", path);

/** Runs a script of Node's to its end; what it says is told when it fails. */
function node(args: string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk: string): void => void (output += chunk);
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("close", (code) => (code === 0 ? resolve(output) : reject(new Error(`${args.join(" ")} ends with ${code}:\n${output}`))));
  });
}

const STRICT = {
  strict: true, noEmit: true, module: "nodenext", moduleResolution: "nodenext", target: "es2023", lib: ["es2023", "dom", "dom.iterable"],
  types: ["node"], skipLibCheck: true, noUncheckedIndexedAccess: true, noImplicitOverride: true,
};

/** Generates into a project of its own, compiles the program there and runs it. */
async function labWith(name: string, generate: (project: string) => Promise<string>): Promise<string[]> {
  const project = join(folder, name);
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: STRICT, include: ["."] }));
  copyFileSync(join(import.meta.dirname, "programs", `${name}.txt`), join(project, "lab.ts"));
  await generate(project);
  await node([bin("typescript/bin/tsc"), "-p", "."], project);
  return (await node(["--import", "tsx", "lab.ts", server.url], project)).trimEnd().split("\n");
}

test("openapi-typescript and openapi-fetch", async () => {
  const generate = (project: string): Promise<string> => node([bin("openapi-typescript/bin/cli.js"), OPENAPI, "--output", "schema.ts"], project);
  expect(await labWith("openapi-fetch", generate)).toEqual(PRINTED);
});

test("@hey-api/openapi-ts", async () => {
  const generate = (project: string): Promise<string> =>
    node([bin("@hey-api/openapi-ts/bin/run.js"), "--input", OPENAPI, "--output", "client", "--client", "@hey-api/client-fetch", "--no-log-file"], project);
  expect(await labWith("hey-api", generate)).toEqual(PRINTED);
});
