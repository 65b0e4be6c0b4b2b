-- CreateTable
CREATE TABLE "Session" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "machine" TEXT NOT NULL,
    "clockMode" TEXT NOT NULL,
    "coreVersion" TEXT NOT NULL,
    "readOnlyReason" TEXT,
    "createdAt" DATETIME NOT NULL,
    "deletedAt" DATETIME
);

-- CreateTable
CREATE TABLE "Member" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "sessionId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "uid" INTEGER NOT NULL,
    "tokenHash" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "revokedAt" DATETIME,
    CONSTRAINT "Member_sessionId_fkey" FOREIGN KEY ("sessionId") REFERENCES "Session" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "JournalRow" (
    "sessionId" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "input" TEXT NOT NULL,
    "outputHash" TEXT NOT NULL,
    "coreVersion" TEXT NOT NULL,
    "recordedAt" DATETIME NOT NULL,

    PRIMARY KEY ("sessionId", "seq"),
    CONSTRAINT "JournalRow_sessionId_fkey" FOREIGN KEY ("sessionId") REFERENCES "Session" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Snapshot" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "sessionId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT,
    "seq" INTEGER NOT NULL,
    "atNs" BIGINT NOT NULL,
    "coreVersion" TEXT NOT NULL,
    "format" INTEGER NOT NULL,
    "contentId" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    CONSTRAINT "Snapshot_sessionId_fkey" FOREIGN KEY ("sessionId") REFERENCES "Session" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "Snapshot_contentId_fkey" FOREIGN KEY ("contentId") REFERENCES "SnapshotContent" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "SnapshotContent" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "size" INTEGER NOT NULL
);

-- CreateTable
CREATE TABLE "SnapshotChunk" (
    "contentId" TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    "bytes" BLOB NOT NULL,

    PRIMARY KEY ("contentId", "index")
);

-- CreateTable
CREATE TABLE "IdempotencyKey" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "bodyHash" TEXT NOT NULL,
    "sessionId" TEXT,
    "seq" INTEGER,
    "status" INTEGER NOT NULL,
    "headers" TEXT NOT NULL,
    "body" BLOB NOT NULL,
    "sealed" BOOLEAN NOT NULL,
    "callId" TEXT,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL,
    CONSTRAINT "IdempotencyKey_sessionId_fkey" FOREIGN KEY ("sessionId") REFERENCES "Session" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "BenchmarkRun" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "kind" TEXT NOT NULL,
    "params" TEXT NOT NULL,
    "machine" TEXT NOT NULL,
    "repeat" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "progress" REAL NOT NULL DEFAULT 0,
    "error" TEXT,
    "posterHash" TEXT,
    "coreVersion" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "startedAt" DATETIME,
    "finishedAt" DATETIME
);

-- CreateTable
CREATE TABLE "BenchmarkRow" (
    "runId" TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    "data" TEXT NOT NULL,

    PRIMARY KEY ("runId", "index"),
    CONSTRAINT "BenchmarkRow_runId_fkey" FOREIGN KEY ("runId") REFERENCES "BenchmarkRun" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Probe" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "checkedAt" DATETIME NOT NULL
);

-- CreateIndex
CREATE INDEX "Session_createdAt_id_idx" ON "Session"("createdAt", "id");

-- CreateIndex
CREATE INDEX "Session_deletedAt_idx" ON "Session"("deletedAt");

-- CreateIndex
CREATE UNIQUE INDEX "Member_tokenHash_key" ON "Member"("tokenHash");

-- CreateIndex
CREATE INDEX "Member_sessionId_createdAt_id_idx" ON "Member"("sessionId", "createdAt", "id");

-- CreateIndex
CREATE INDEX "Snapshot_sessionId_seq_idx" ON "Snapshot"("sessionId", "seq");

-- CreateIndex
CREATE INDEX "Snapshot_sessionId_createdAt_id_idx" ON "Snapshot"("sessionId", "createdAt", "id");

-- CreateIndex
CREATE INDEX "Snapshot_contentId_idx" ON "Snapshot"("contentId");

-- CreateIndex
CREATE INDEX "IdempotencyKey_sessionId_seq_idx" ON "IdempotencyKey"("sessionId", "seq");

-- CreateIndex
CREATE INDEX "IdempotencyKey_expiresAt_idx" ON "IdempotencyKey"("expiresAt");

-- CreateIndex
CREATE INDEX "BenchmarkRun_createdAt_id_idx" ON "BenchmarkRun"("createdAt", "id");

-- CreateIndex
CREATE INDEX "BenchmarkRun_state_idx" ON "BenchmarkRun"("state");
