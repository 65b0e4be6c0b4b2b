/** Benchmarks: the queue that outlives a restart, and the rows that each run has brought so far. */
import type { MachineOptions } from "../../core/machine.ts";
import type { Database } from "./client.ts";
import type { PrismaClient } from "./generated/client.ts";
import type { BenchmarkRunModel } from "./generated/models.ts";
import { pageArgs, toPage, type Page, type PageQuery } from "./page.ts";

export type BenchmarkState = "queued" | "running" | "done" | "failed" | "cancelled";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface NewBenchmarkRun {
  id: string;
  kind: string;
  params: { [name: string]: Json };
  machine: MachineOptions;
  repeat: number;
  /** SHA-256 of the poster's token (`hashToken`); null where none was needed. */
  posterHash: string | null;
  coreVersion: string;
  /** Now, when left out; given where the answer shows it before the commit. */
  createdAt?: Date;
}

export interface BenchmarkRunRecord extends NewBenchmarkRun {
  state: BenchmarkState;
  /** 0 to 1. */
  progress: number;
  /** Why it failed. */
  error: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** One line of a result table: column name to value. */
export type BenchmarkRow = { [column: string]: number | string | boolean | null };

export interface BenchmarkFilter extends PageQuery {
  kind?: string | undefined;
  state?: BenchmarkState | undefined;
}

export class Benchmarks {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: string): Promise<BenchmarkRunRecord | undefined> {
    return this.#database.run(async (prisma) => {
      const row = await prisma.benchmarkRun.findUnique({ where: { id } });
      return row === null ? undefined : toRecord(row);
    });
  }

  /** Newest first. Throws InvalidCursor. */
  async list({ kind, state, ...query }: BenchmarkFilter): Promise<Page<BenchmarkRunRecord>> {
    const { where, ...rest } = pageArgs(query, "newest first");
    const filter = { ...where, ...(kind === undefined ? {} : { kind }), ...(state === undefined ? {} : { state }) };
    const rows = await this.#database.run((prisma) => prisma.benchmarkRun.findMany({ ...rest, where: filter }));
    return toPage(rows, query, toRecord);
  }

  /** What a restart finds queued or under way, oldest first. */
  async unfinished(): Promise<BenchmarkRunRecord[]> {
    const rows = await this.#database.run((prisma) =>
      prisma.benchmarkRun.findMany({
        where: { state: { in: ["queued", "running"] } },
        orderBy: [{ createdAt: "asc" }, { id: "asc" }],
      }),
    );
    return rows.map(toRecord);
  }

  /** False when there is no such run. */
  async update(id: string, change: Partial<Pick<BenchmarkRunRecord, "state" | "progress" | "error" | "startedAt" | "finishedAt">>): Promise<boolean> {
    const { count } = await this.#database.run((prisma) => prisma.benchmarkRun.updateMany({ where: { id }, data: change }));
    return count > 0;
  }

  /** Adds rows behind the `firstIndex` that are there, as one commit. Throws StoreConflict when the run or the place is gone. */
  async appendRows(runId: string, firstIndex: number, rows: BenchmarkRow[]): Promise<void> {
    const json = JSON.stringify(rows.map((row, at) => [firstIndex + at, JSON.stringify(row)]));
    await this.#database.run((prisma) => prisma.$executeRaw`
      INSERT INTO "BenchmarkRow" ("runId", "index", "data") SELECT ${runId}, value->>0, value->>1 FROM json_each(${json})`);
  }

  /** The rows from `firstIndex` on, at most `limit`. */
  async rows(runId: string, firstIndex = 0, limit = 10_000): Promise<BenchmarkRow[]> {
    const rows = await this.#database.run((prisma) =>
      prisma.benchmarkRow.findMany({ where: { runId, index: { gte: firstIndex } }, orderBy: { index: "asc" }, take: limit }),
    );
    return rows.map(({ data }) => JSON.parse(data) as BenchmarkRow);
  }

  /** Removes the rows, as when a run is to start over. */
  async clearRows(runId: string): Promise<void> {
    await this.#database.run((prisma) => prisma.benchmarkRow.deleteMany({ where: { runId } }));
  }

  /** Removes a run and its rows; false when there is no such run. */
  async remove(id: string): Promise<boolean> {
    const { count } = await this.#database.run((prisma) => prisma.benchmarkRun.deleteMany({ where: { id } }));
    return count > 0;
  }
}

export function insertBenchmarkRuns(prisma: PrismaClient, runs: NewBenchmarkRun[], createdAt: Date) {
  return prisma.benchmarkRun.createMany({
    data: runs.map((run) => ({
      createdAt,
      ...run,
      params: JSON.stringify(run.params),
      machine: JSON.stringify(run.machine),
      state: "queued",
    })),
  });
}

function toRecord(row: BenchmarkRunModel): BenchmarkRunRecord {
  return {
    ...row,
    params: JSON.parse(row.params) as NewBenchmarkRun["params"],
    machine: JSON.parse(row.machine) as MachineOptions,
    state: row.state as BenchmarkState,
  };
}
