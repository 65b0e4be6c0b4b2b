import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    pool: "forks",
    // A hang is a failure; a slow machine is not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
