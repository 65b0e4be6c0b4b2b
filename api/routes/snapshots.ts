/** Snapshots: named states of a session's whole kernel. */
import { z } from "zod";
import { notFound } from "../errors.ts";
import { defineRoute } from "../route.ts";
import { Id, Ns, PageQuery, SessionParams, Timestamp, pageOf, pageSchema } from "../schemas.ts";
import { restoreSnapshot, takeSnapshot } from "../sessions/snapshots.ts";
import { clockView } from "../sessions/core.ts";
import type { Services } from "../services.ts";
import type { SnapshotRecord } from "../store/index.ts";
import { Clock } from "./clock.ts";

const tag = "Snapshots";
const path = "/v1/sessions/{sid}/snapshots";
const SnapshotParams = SessionParams.extend({ id: Id });

const Snapshot = z.object({
  id: z.string(), name: z.string().nullable(), atNs: Ns.meta({ description: "Kernel time" }), size: z.number().int(),
  coreVersion: z.string(), createdAt: Timestamp,
}).meta({ id: "Snapshot" });

function snapshotView({ id, name, atNs, size, coreVersion, createdAt }: SnapshotRecord): z.output<typeof Snapshot> {
  return { id, name, atNs, size, coreVersion, createdAt: createdAt.toISOString() };
}

async function named({ store }: Services, sid: string, id: string): Promise<SnapshotRecord> {
  const record = await store.snapshots.get(sid, id);
  if (record === undefined || record.kind !== "named") throw notFound(`There is no snapshot ${id}.`);
  return record;
}

export const createSnapshot = defineRoute({
  id: "createSnapshot", method: "post", path, tag, access: "snapshots.create", summary: "Keep the state of the whole kernel",
  params: SessionParams,
  body: z.strictObject({ name: z.string().min(1).max(200).optional() }),
  responses: { 201: { description: "It is kept", json: Snapshot, headers: { Location: "The snapshot" } } },
  problems: { 507: "There is no room for it" },
  async handle({ params, body, request }, { sessions }) {
    const session = await sessions.find(params.sid);
    sessions.use(session);
    return takeSnapshot(sessions, session, body.name ?? null, request, (record) => ({
      status: 201 as const, json: snapshotView(record), headers: { Location: `/v1/sessions/${params.sid}/snapshots/${record.id}` },
    }));
  },
});

export const listSnapshots = defineRoute({
  id: "listSnapshots", method: "get", path, tag, access: "snapshots.read", summary: "The named snapshots, oldest first",
  params: SessionParams, query: PageQuery,
  responses: { 200: pageSchema(Snapshot, "SnapshotPage") },
  async handle({ params, query }, { store }) {
    const { items, nextCursor } = await store.snapshots.list(params.sid, pageOf(query));
    return { status: 200, json: { items: items.map(snapshotView), nextCursor } };
  },
});

export const getSnapshot = defineRoute({
  id: "getSnapshot", method: "get", path: `${path}/{id}`, tag, access: "snapshots.read", summary: "One snapshot",
  params: SnapshotParams,
  responses: { 200: Snapshot },
  handle: async ({ params }, services) => ({ status: 200, json: snapshotView(await named(services, params.sid, params.id)) }),
});

export const deleteSnapshot = defineRoute({
  id: "deleteSnapshot", method: "delete", path: `${path}/{id}`, tag, access: "snapshots.delete", summary: "Remove a snapshot",
  params: SnapshotParams,
  responses: { 204: { description: "It is gone" } },
  async handle({ params }, { store }) {
    if (!(await store.snapshots.remove(params.sid, params.id))) throw notFound(`There is no snapshot ${params.id}.`);
    return { status: 204 };
  },
});

export const postRestore = defineRoute({
  id: "restoreSnapshot", method: "post", path: `${path}/{id}/restore`, tag, access: "snapshots.restore",
  summary: "Put a snapshot's kernel in the place of the session's",
  description: "Held requests end with 409 `restored`; calls that slept in the snapshot sleep again under their old callId, later ones are "
    + "404. Idempotency keys used since are forgotten; the clock goes on from the snapshot.",
  params: SnapshotParams,
  body: z.strictObject({}),
  responses: { 200: z.object({ snapshot: Snapshot, clock: Clock }).meta({ id: "Restored" }) },
  async handle({ params, request }, services) {
    const { sessions } = services;
    const record = await named(services, params.sid, params.id);
    const session = await sessions.find(params.sid);
    sessions.use(session);
    return restoreSnapshot(sessions, session, record, request, (live) => ({
      status: 200 as const, json: { snapshot: snapshotView(record), clock: clockView(live.kernel) },
    }));
  },
});

export const snapshotRoutes = [createSnapshot, listSnapshots, getSnapshot, deleteSnapshot, postRestore];
