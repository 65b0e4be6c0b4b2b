/** The table of rights, cell by cell: what each role may do, and to whose processes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestService, type Ask, type TestSession } from "../helpers/service.ts";

const ADMIN = "the-administrator";
type Who = "owner" | "assistant" | "student" | "observer";
type Method = "get" | "post" | "put" | "patch" | "delete";

interface Act {
  what: string;
  method: Method;
  path: (world: World) => string;
  json?: unknown;
  raw?: string;
  headers?: Record<string, string>;
  /** The status that each role gets, owner first. */
  owner: number;
  assistant: number;
  student: number;
  observer: number;
}

interface World {
  service: TestService;
  as: Record<Who, TestSession>;
  /** A process of the owner's, and one of the student's. */
  ownersPid: number;
  studentsPid: number;
  snapshot: string;
  /** A sleeping call of the owner's and one of the student's. */
  ownersCall: string;
  studentsCall: string;
}

async function asleep(session: TestSession, pid: number): Promise<string> {
  const { body } = await session.call(pid, "pause", {}, { headers: { Prefer: "wait=0" } });
  return body.callId as string;
}

async function newWorld(service: TestService): Promise<World> {
  const owner = await service.session({ machine: { clock: "virtual" } }, { token: ADMIN });
  const as = { owner, assistant: await owner.member("assistant"), student: await owner.member("student"), observer: await owner.member("observer") };
  const ownersPid = await owner.process();
  const studentsPid = await as.student.process();
  const snapshot = (await owner.ask("post", "/snapshots", { json: {} })).body.id as string;
  return {
    service, as, ownersPid, studentsPid, snapshot, ownersCall: await asleep(owner, await owner.process()),
    studentsCall: await asleep(as.student, await as.student.process()),
  };
}

let service: TestService;
let world: World;
beforeAll(async () => {
  service = await TestService.start({ adminToken: ADMIN });
  world = await newWorld(service);
});
afterAll(() => service.stop());

const row = (what: string, method: Method, path: string | ((world: World) => string), statuses: [number, number, number, number], more: Partial<Act> = {}): Act => ({
  what, method, path: typeof path === "string" ? () => path : path,
  owner: statuses[0], assistant: statuses[1], student: statuses[2], observer: statuses[3], ...more,
});

const ACTS: Act[] = [
  row("read the session", "get", "", [200, 200, 200, 200]),
  row("list members", "get", "/members", [200, 200, 403, 200]),
  row("make a member", "post", "/members", [201, 403, 403, 403], { json: { name: "x", role: "observer" } }),
  row("revoke a member", "delete", "/members/m_nosuch", [404, 403, 403, 403]),
  row("read the clock", "get", "/clock", [200, 200, 200, 200]),
  row("set the clock's mode", "patch", "/clock", [200, 200, 403, 403], { json: { mode: "virtual" } }),
  row("advance the clock", "post", "/clock/advance", [200, 200, 403, 403], { json: { ns: 1 } }),
  row("list snapshots", "get", "/snapshots", [200, 200, 403, 200]),
  row("read a snapshot", "get", ({ snapshot }) => `/snapshots/${snapshot}`, [200, 200, 403, 200]),
  row("take a snapshot", "post", "/snapshots", [201, 201, 403, 403], { json: {} }),
  row("restore a snapshot", "post", "/snapshots/snap_nosuch/restore", [404, 403, 403, 403], { json: {} }),
  row("delete a snapshot", "delete", "/snapshots/snap_nosuch", [404, 403, 403, 403]),
  row("list processes", "get", "/processes", [200, 200, 200, 200]),
  row("read the owner's process", "get", ({ ownersPid }) => `/processes/${ownersPid}`, [200, 200, 200, 200]),
  row("make a process", "post", "/processes", [201, 201, 201, 403], { json: {} }),
  row("make a process as root", "post", "/processes", [201, 201, 403, 403], { json: { uid: 0 } }),
  row("make a process as uid 1000", "post", "/processes", [201, 201, 201, 403], { json: { uid: 1000 } }),
  row("make a child of the owner's process", "post", "/processes", [201, 201, 403, 403], {}),
  row("call in the owner's process", "post", ({ ownersPid }) => `/processes/${ownersPid}/syscalls/getpid`, [200, 200, 403, 403], { json: {} }),
  row("call in the student's process", "post", ({ studentsPid }) => `/processes/${studentsPid}/syscalls/getpid`, [200, 200, 200, 403], { json: {} }),
  row("call in a process that is not", "post", "/processes/4000000/syscalls/getpid", [404, 404, 404, 403], { json: {} }),
  row("batch in the owner's process", "post", ({ ownersPid }) => `/processes/${ownersPid}/syscalls`, [200, 200, 403, 403], { json: { calls: [] } }),
  row("ask for the owner's call", "get", ({ ownersCall }) => `/calls/${ownersCall}`, [200, 200, 403, 403]),
  row("ask for the student's call", "get", ({ studentsCall }) => `/calls/${studentsCall}`, [200, 200, 200, 403]),
  row("ask for a call that is not", "get", "/calls/nosuch", [404, 404, 404, 403]),
  row("interrupt the owner's call", "delete", ({ ownersCall }) => `/calls/${ownersCall}`, [200, 409, 403, 403]),
  row("read the owner's memory", "get", ({ ownersPid }) => `/processes/${ownersPid}/memory?address=4096&length=1`, [422, 422, 403, 403]),
  row("read the student's memory", "get", ({ studentsPid }) => `/processes/${studentsPid}/memory?address=4096&length=1`, [422, 422, 422, 403]),
  row("store into the owner's memory", "put", ({ ownersPid }) => `/processes/${ownersPid}/memory?address=4096`, [422, 422, 403, 403], { raw: "x" }),
  row("signal the owner's process", "post", ({ ownersPid }) => `/processes/${ownersPid}/signals`, [204, 204, 403, 403], { json: { signal: 0 } }),
  row("signal the student's process", "post", ({ studentsPid }) => `/processes/${studentsPid}/signals`, [204, 204, 204, 403], { json: { signal: 0 } }),
  row("kill the owner's process", "delete", ({ ownersPid }) => `/processes/${ownersPid}`, [204, 404, 403, 403]),
  row("trace all", "get", "/trace", [200, 200, 200, 200]),
  row("trace the owner's call", "get", ({ as: _as, ownersPid }) => `/trace?pid=${ownersPid}`, [200, 200, 403, 200]),
  row("trace the student's process", "get", ({ studentsPid }) => `/trace?pid=${studentsPid}`, [200, 200, 200, 200]),
  row("list modules", "get", "/modules", [200, 200, 200, 200]),
  row("insert a module that is not", "post", "/modules", [404, 404, 404, 403], { json: { name: "nosuch" } }),
  row("insert a module", "post", "/modules", [201, 409, 403, 403], { json: { name: "ksocket" } }),
  row("write a parameter of a module that is not", "patch", "/modules/nosuch/parameters", [404, 404, 404, 403], { json: { x: 1 } }),
  row("remove a module", "delete", "/modules/ksocket", [204, 404, 403, 403]),
  row("read a file", "get", "/fs/proc/version", [200, 200, 200, 200]),
  row("read root's home", "get", "/fs/root", [200, 200, 403, 403]),
  row("write a file in /tmp", "put", "/fs/tmp/own", [201, 204, 403, 403], { raw: "x" }),
  row("write a file in /", "put", "/fs/own", [201, 204, 403, 403], { raw: "x" }),
  row("remove a file in /", "delete", "/fs/own", [204, 404, 403, 403]),
  row("read the log", "get", "/dmesg", [200, 200, 200, 200]),
  row("run a command", "post", "/commands", [200, 200, 200, 403], { json: { argv: ["true"] } }),
  row("delete the session", "delete", "", [204, 403, 403, 403]),
];

describe.each(ACTS)("$what", (act) => {
  // Owner last: what it does may take away what the others ask for.
  for (const who of ["observer", "student", "assistant", "owner"] as const) {
    test(`${who}: ${act[who]}`, async () => {
      const mine = /^(kill|interrupt|insert a module$|remove|write a file|delete)/.test(act.what) ? await newWorld(service) : world;
      const before = who === "assistant" && act.owner !== act.assistant && act.assistant !== 403;
      const ask = act.what === "make a child of the owner's process" ? { json: { parent: mine.ownersPid } } : optionsOf(act);
      if (needsModule(act)) await mine.as.owner.ask("post", "/modules", { json: { name: "ksocket" } });
      if (act.what.startsWith("remove a file")) await mine.as.owner.ask("put", "/fs/own", { raw: "x" });
      // An assistant finds done what the owner has done before it.
      if (before || (act.what.startsWith("write a file") && who === "student")) await mine.as.owner.ask(act.method, act.path(mine), ask);
      const answer = await mine.as[who].ask(act.method, act.path(mine), ask);
      expect(answer.status, answer.text).toBe(act[who]);
      if (answer.status === 403) expect(answer.body.type).toBe("/problems/forbidden");
    });
  }
});

function needsModule(act: Act): boolean {
  return act.what === "remove a module";
}

function optionsOf({ json, raw, headers }: Act): Ask {
  return { ...(json === undefined ? {} : { json }), ...(raw === undefined ? {} : { raw }), ...(headers === undefined ? {} : { headers }) };
}

describe("the administrator", () => {
  test("does what an owner may, in every session", async () => {
    const { id } = world.as.owner;
    for (const path of ["", "/members", "/snapshots", "/processes", "/fs/root"]) {
      expect((await service.ask("get", `/v1/sessions/${id}${path}`, { token: ADMIN })).status).toBe(200);
    }
    expect((await service.ask("get", "/v1/sessions/s_nosuch/clock", { token: ADMIN })).status).toBe(404);
    const made = await service.ask("post", `/v1/sessions/${id}/processes`, { token: ADMIN, json: {} });
    expect(made.status).toBe(201);
  });

  test("alone makes and lists sessions where the server has one", async () => {
    for (const [method, token, status] of [
      ["post", undefined, 401], ["get", undefined, 401], ["post", world.as.owner.token, 403], ["get", world.as.owner.token, 403],
      ["get", ADMIN, 200], ["post", "wrong", 401],
    ] as const) {
      const answer = await service.ask(method, "/v1/sessions", token === undefined ? {} : { token });
      expect(answer.status).toBe(status);
    }
  });
});

describe("a student's processes", () => {
  test("their children are its own; another student's are not", async () => {
    const { as } = world;
    const other = await as.owner.member("student", "other");
    const pid = await as.student.process();
    const { ret: child } = await as.student.must(pid, "fork");
    expect((await as.student.call(child, "getppid")).body.ret).toBe(pid);
    expect((await other.call(child, "getpid")).status).toBe(403);
    expect((await other.ask("get", `/trace?pid=${child}`)).status).toBe(403);
    expect((await other.ask("get", "/trace")).text).not.toContain("getppid");
    expect((await as.student.ask("get", "/trace")).text).toContain("getppid");
    expect((await as.owner.call(child, "getpid")).status).toBe(200);
  });

  test("the kernel judges what its uid may do", async () => {
    const { as } = world;
    expect((await as.student.ask("put", "/fs/home/u1000/mine", { raw: "x" })).status).toBe(201);
    expect((await as.owner.ask("get", "/fs/home/u1000/mine")).text).toBe("x");
    const pid = await as.student.process();
    expect((await as.student.call(pid, "openat", { pathname: "/root/x", flags: "O_RDONLY" })).body.errno).toBe("EACCES");
    const insert = await as.student.ask("post", "/modules", { json: { name: "ksocket" } });
    expect(insert.body).toMatchObject({ status: 403, errno: "EPERM" });
  });
});
