/** Everything that `npm test` checks; it ends with one line of counts. Arguments go to vitest: `npm test -- tests/api`. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), "syslab-test-"));
const report = join(scratch, "vitest.json");

let passed = 0;
let failed = 0;

function node(args, output = "inherit") {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ["ignore", output, output],
      env: { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" },
    });
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    child.stderr?.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    child.on("close", (code) => resolve({ code, text }));
  });
}

/** One check that is not a vitest test: shown only when it fails. */
async function check(name, args) {
  const { code, text } = await node(args, "pipe");
  if (code === 0) passed++;
  else failed++;
  console.log(code === 0 ? `✓ ${name}` : `✗ ${name}\n${text}`);
}

async function vitest(args) {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { code } = await node(["node_modules/vitest/vitest.mjs", "run", ...reporters, ...args]);
  const before = failed;
  if (existsSync(report)) {
    const result = JSON.parse(readFileSync(report, "utf8"));
    passed += result.numPassedTests;
    failed += result.numFailedTests;
    // A file that does not load fails without a failed test.
    failed += result.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
  }
  if (code !== 0 && failed === before) failed++;
}

try {
  await Promise.all([
    check("types", ["node_modules/typescript/bin/tsc"]),
    check("lint", ["node_modules/eslint/bin/eslint.js", "."]),
  ]);
  await vitest(process.argv.slice(2));
  await check("openapi.yaml is what the routes say", ["--import", "tsx", "scripts/openapi.ts", "--check"]);
  await check("openapi.yaml is well-formed", ["node_modules/@redocly/cli/bin/cli.js", "lint", "openapi.yaml"]);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
