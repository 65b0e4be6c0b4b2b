import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    pool: "forks",
    // vitest would leave one of two cores idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // A hang is a failure; a slow machine is not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
