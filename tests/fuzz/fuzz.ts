/** npm run fuzz -- <seed> [steps]: random inputs for a kernel; the same seed finds the same again. */
import { Found, Fuzz, type Report } from "./run.ts";
import { shrink } from "./shrink.ts";

const SHRINK_MS = 180_000;

function tell(report: Report): void {
  const rows = [...report.called].sort(([a], [b]) => (a < b ? -1 : 1));
  console.log("call: made, succeeded");
  for (let at = 0; at < rows.length; at += 4) {
    console.log(rows.slice(at, at + 4).map(([name, made]) => `${name}: ${made}, ${report.succeededBy.get(name) ?? 0}`.padEnd(38)).join(""));
  }
  const share = report.succeeded / report.calls;
  console.log(`${report.steps} steps, ${report.calls} calls of ${rows.length} names, ${(100 * share).toFixed(1)} % succeeded, ${report.refused} inputs refused, ${report.reboots} kernels wrecked`);
}

function main(): number {
  const [seedText, stepsText = "1000000"] = process.argv.slice(2);
  const seed = Number(seedText);
  const steps = Number(stepsText);
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || steps < 1) {
    console.error("usage: npm run fuzz -- <seed> [steps=1000000]");
    return 2;
  }
  const fuzz = new Fuzz({ seed, steps, every: 1_000, progress: (line) => console.log(line) });
  try {
    const report = fuzz.run();
    tell(report);
    if (report.never.length > 0) console.error(`never called: ${report.never.join(", ")}`);
    if (report.succeeded * 3 < report.calls) console.error("fewer than a third of the calls succeeded");
    return report.never.length > 0 || report.succeeded * 3 < report.calls ? 1 : 0;
  } catch (error) {
    if (!(error instanceof Found)) throw error;
    console.error(`seed ${seed}, step ${error.step}: ${error.message}`);
    console.error("looking for a short way there …");
    const { journal, fault } = shrink(error.start, error.journal, SHRINK_MS, () => performance.now());
    console.error(fault === null ? "the inputs since the last replay do not show it again; the last of them:" : `${journal.length} inputs suffice (${fault}):`);
    for (const { input, budget } of journal.slice(-40)) console.error(`  ${budget} ${JSON.stringify(input)}`);
    return 1;
  }
}

process.exitCode = main();
