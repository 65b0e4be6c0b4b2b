/** Recorded scenarios over HTTP, each in a session of its own, and the command that plays them against a running server. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestService } from "../helpers/service.ts";
import { HttpMachine } from "../helpers/trace/http.ts";
import { play } from "../helpers/trace/player.ts";
import { parseScenarios } from "../helpers/trace/scenario.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const FOLDER = join(ROOT, "tests/traces");
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl")).sort();

let service: TestService;
let scratch: string;

beforeAll(async () => {
  service = await TestService.start();
  scratch = mkdtempSync(join(tmpdir(), "syslab-trace-"));
});

afterAll(async () => {
  await service.stop();
  rmSync(scratch, { recursive: true, force: true });
});

test.each(FILES)("%s is answered over HTTP as Linux answered", async (file) => {
  // All at once: sessions share the commits of a turn, and nothing else.
  const outcomes = await Promise.all(parseScenarios(readFileSync(join(FOLDER, file), "utf8")).map(async (scenario) => {
    const machine = await HttpMachine.open({ url: service.url });
    const outcome = await play(machine, scenario);
    await machine.close();
    return outcome;
  }));
  expect(outcomes.filter(({ failure }) => failure !== null)).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(10);
});

interface Ran {
  code: number;
  out: string;
}

/** npm run trace, without npm. */
function trace(args: string[], url = service.url): Promise<Ran> {
  return new Promise((done) => {
    execFile(process.execPath, ["--import", "tsx", join(ROOT, "scripts/trace.ts"), ...args], { cwd: ROOT, env: { ...process.env, SYSLAB_URL: url } },
      (error, stdout, stderr) => done({ code: error === null ? 0 : Number(error.code), out: stdout + stderr }));
  });
}

test("the command counts what passed and what failed, and fails when one did", async () => {
  const [good, other] = readFileSync(join(FOLDER, "pipes.jsonl"), "utf8").split("\n");
  const falsified = other.replace("\"errno\": null", "\"errno\": \"EINVAL\"");
  expect(falsified).not.toBe(other);
  writeFileSync(join(scratch, "good.jsonl"), `${good}\n${other}\n`);
  writeFileSync(join(scratch, "bad.jsonl"), `${good}\n${falsified}\n`);
  const passed = await trace([join(scratch, "good.jsonl")]);
  expect(passed.out.trimEnd().split("\n").at(-1)).toBe("2 passed, 0 failed");
  expect(passed.code).toBe(0);
  const failed = await trace([join(scratch, "good.jsonl"), join(scratch, "bad.jsonl")]);
  expect(failed.out.trimEnd().split("\n").at(-1)).toBe("3 passed, 1 failed");
  expect(failed.out).toMatch(/✗ .*step \d+: errno null, expected EINVAL/);
  expect(failed.code).toBe(1);
});

test("without a server, or without a file, the command fails", async () => {
  const alone = await trace([join(FOLDER, "ipc.jsonl")], "http://127.0.0.1:1");
  expect(alone.out.trimEnd().split("\n").at(-1)).toBe("0 passed, 15 failed");
  expect(alone.code).toBe(1);
  expect((await trace([])).code).toBe(2);
});
