/** A lock file, so that of several set-ups started at once one works and the others wait for it. */
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const BEAT_MS = 1_000;
/** An owner that cannot be asked (another machine or container) is taken for dead after this long without a beat. */
const SILENT_MS = 60_000;

/** Runs `work` while holding `file`; waits as long as a live owner holds it. */
export async function withLock(file, work) {
  const me = JSON.stringify({ pid: process.pid, host: hostname(), nonce: Math.random() });
  while (!take(file, me)) {
    removeIfStale(file);
    await sleep(100);
  }
  const beat = setInterval(() => touch(file), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    rmSync(file, { force: true });
  }
}

/** Linking a finished file, unlike creating one, never shows a lock whose owner is not written yet. */
function take(file, me) {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, me);
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function removeIfStale(file) {
  const owner = readOrNothing(file);
  if (owner === undefined || isAlive(file, owner)) return;
  // Renaming lets one waiter win; what it took away must be what it judged, or it is put back.
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
    if (readOrNothing(aside) !== owner) linkSync(aside, file);
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isAlive(file, owner) {
  const { pid, host } = parse(owner);
  if (host === hostname() && pid !== undefined && !processExists(pid)) return false;
  try {
    return Date.now() - statSync(file).mtimeMs < SILENT_MS;
  } catch {
    return true; // gone meanwhile: the next attempt to take it will tell
  }
}

function processExists(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readOrNothing(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function parse(owner) {
  try {
    return JSON.parse(owner);
  } catch {
    return {};
  }
}

function touch(file) {
  try {
    utimesSync(file, new Date(), new Date());
  } catch {
    // Judged stale and taken by another: nothing to keep alive.
  }
}
