/** Generates the Prisma client from prisma/schema.prisma, without asking the network for anything. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export function generate(root) {
  const prisma = createRequire(join(root, "package.json")).resolve("prisma/package.json");
  const result = spawnSync(process.execPath, [join(dirname(prisma), "build/index.js"), "generate", "--no-hints"], {
    cwd: root,
    encoding: "utf8",
    env: {
      ...process.env,
      CHECKPOINT_DISABLE: "1",
      PRISMA_HIDE_UPDATE_MESSAGE: "1",
      // The CLI would download its native schema engine first. Generating never runs it: any executable will do.
      PRISMA_SCHEMA_ENGINE_BINARY: process.env.PRISMA_SCHEMA_ENGINE_BINARY ?? process.execPath,
    },
  });
  if (result.status !== 0) throw new Error(`prisma generate failed:\n${result.stdout ?? ""}${result.stderr ?? result.error ?? ""}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) generate(process.cwd());
