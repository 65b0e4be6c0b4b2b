/** `npm run migration -- <name>`: writes the migration that leads from the last one to prisma/schema.prisma. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LOCK_TOML, migrationsDir, schemaDrift } from "./schema-engine.ts";

const name = process.argv[2];
if (name === undefined || !/^[a-z0-9_]+$/.test(name)) {
  console.error("usage: npm run migration -- <name>   (lower case, digits and _)");
  process.exit(1);
}

const sql = await schemaDrift();
if (sql === "") {
  console.log("The schema has not changed.");
} else {
  const second = new Date().toISOString().replace(/\D/g, "").slice(0, 14); // Prisma's own way to name them
  const directory = join(migrationsDir, `${second}_${name}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "migration.sql"), sql);
  writeFileSync(join(migrationsDir, "migration_lock.toml"), LOCK_TOML);
  console.log(`Wrote ${directory}/migration.sql; read it before you commit it.`);
}
