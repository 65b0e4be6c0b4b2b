/** The calls of apitest.c, recorded on Linux 6.1 with one CPU: the same calls give the same returns, in the same order. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import "../../../core/labs/testmodules/apitest/index.ts";
import { Lab } from "../modules/lab.ts";

/** Lines of the log as the module wrote them. */
const recorded = readFileSync(new URL("apitest.txt", import.meta.url), "utf8").split("\n")
  .map((line) => /\] (api: .*)$/.exec(line)?.[1]).filter((line) => line !== undefined);

/** Which worker of the CPU runs an item is the machine's affair. */
const comparable = (line: string): string => line.replace(/comm=kworker\/0:\d+/, "comm=kworker/0:N");

async function play(budget?: number): Promise<string[]> {
  const lab = await Lab.boot({ cpus: 1 });
  const { machine } = lab;
  machine.budget = budget;
  const { pid } = machine.feed({ type: "createProcess", comm: "insmod", uid: 0, member: "owner", home: "/root" });
  lab.pid = pid ?? 0;
  lab.dmesg();
  const loading = lab.insmod("apitest");
  for (let waited = 0; waited < 40 && machine.kernel.state.modules.loaded.get("apitest")?.state === "coming"; waited++) machine.advance(100);
  expect(loading.ret).toBe("sleeping");
  expect(machine.kernel.state.modules.loaded.get("apitest")?.state).toBe("live");
  const lines = lab.dmesg().map(([, text]) => text).filter((text) => !text.startsWith("apitest: "));
  expect(lab.rmmod("apitest").ret).toBe(0);
  expect(lab.dmesg()).toEqual([]);
  expect(machine.broken()).toEqual([]);
  return lines;
}

describe("the kernel's interface answers as recorded", () => {
  test("line by line, from the first to the last", async () => {
    const lines = await play();
    expect(lines.map(comparable)).toEqual(recorded.map(comparable));
  });

  test("with a budget of one step too", async () => {
    expect(await play(1)).toEqual(await play(100));
  });
});
