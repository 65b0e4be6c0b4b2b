/** Sessions, members, the clock: made, read, changed, removed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestService, type TestSession } from "../helpers/service.ts";

let service: TestService;
beforeAll(async () => void (service = await TestService.start()));
afterAll(() => service.stop());

describe("sessions", () => {
  test("a session begins with the defaults of the contract, and its token opens it", async () => {
    const made = await service.ask("post", "/v1/sessions");
    expect(made.status).toBe(201);
    expect(made.headers["location"]).toBe(`/v1/sessions/${made.body.id}`);
    expect(made.headers["cache-control"]).toBe("no-store");
    expect(made.body.machine).toEqual({ ramMiB: 64, swapMiB: 64, cpus: 2, hz: 250, clock: "real", seed: 1, profile: "default", udev: {} });
    expect(made.body.member).toMatchObject({ role: "owner", uid: 0 });
    const read = await service.ask("get", made.headers["location"]!, { token: made.body.token });
    expect(read.status).toBe(200);
    const { token: _token, member: _member, ...view } = made.body;
    expect(read.body).toEqual(view);
  });

  test("a list shows the newest first, in pages, and no token", async () => {
    const ids: string[] = [];
    for (let made = 0; made < 5; made++) ids.push((await service.session({ name: `n${made}` })).id);
    const first = await service.ask("get", "/v1/sessions?limit=2");
    expect(first.body.items.map((item: { id: string }) => item.id)).toEqual([ids[4], ids[3]]);
    expect(first.text).not.toContain("token");
    const second = await service.ask("get", `/v1/sessions?limit=2&cursor=${encodeURIComponent(first.body.nextCursor)}`);
    expect(second.body.items.map((item: { id: string }) => item.id)).toEqual([ids[2], ids[1]]);
    expect((await service.ask("get", "/v1/sessions?cursor=nonsense")).status).toBe(422);
    for (const limit of ["0", "201", "-1", "1.5", "x"]) expect((await service.ask("get", `/v1/sessions?limit=${limit}`)).status).toBe(422);
  });

  test("a removed session is gone, and so are its tokens", async () => {
    const session = await service.session();
    const student = await session.member("student");
    expect((await session.ask("delete", "")).status).toBe(204);
    for (const one of [session, student]) expect((await one.ask("get", "/clock")).status).toBe(401);
  });

  test("a request that was busy elsewhere while its session went away is answered all the same", async () => {
    const { sessions, store } = service.service.services;
    const session = await service.session();
    const original = store.snapshots.count.bind(store.snapshots);
    /** A snapshot is asked for; while it looks how many there are, `meanwhile` happens. */
    const during = async (meanwhile: () => Promise<unknown>) => {
      store.snapshots.count = async (id) => {
        store.snapshots.count = original;
        await meanwhile();
        return original(id);
      };
      return (await session.ask("post", "/snapshots", { json: {} })).status;
    };
    // Out of memory: it comes back.
    expect(await during(() => sessions.putAwayIdle(Date.now() + 3_600_000))).toBe(201);
    expect(await during(() => session.ask("delete", ""))).toBe(404);
  });

  test("what a machine may not have is told by its place", async () => {
    const refused = async (machine: unknown, path: string) => {
      const { status, body } = await service.ask("post", "/v1/sessions", { json: { machine } });
      expect(status).toBe(422);
      expect(body.errors.map((error: { path: string }) => error.path)).toContain(path);
    };
    await refused({ ramMiB: 257 }, "/machine/ramMiB");
    await refused({ ramMiB: 200, swapMiB: 100 }, "/machine");
    await refused({ cpus: 0 }, "/machine/cpus");
    await refused({ hz: 123 }, "/machine/hz");
    await refused({ clock: "none" }, "/machine/clock");
    await refused({ profile: "nope" }, "/machine/profile");
    await refused({ udev: { mem: "rw" } }, "/machine/udev/mem");
    await refused({ color: "red" }, "/machine/color");
    await refused({ seed: 1.5 }, "/machine/seed");
  });

  test("modules are inserted before the answer, and one that fails takes the session with it", async () => {
    const session = await service.session({ machine: { clock: "virtual" }, modules: [{ name: "ksocket" }] });
    const { body } = await session.ask("get", "/modules");
    expect(body.items.map((module: { name: string }) => module.name)).toEqual(["ksocket"]);
    const before = (await service.ask("get", "/v1/sessions?limit=200")).body.items.length;
    const refused = await service.ask("post", "/v1/sessions", { json: { modules: [{ name: "ksocket" }, { name: "nosuchmodule" }] } });
    expect(refused.status).toBe(404);
    expect(refused.body).toMatchObject({ errno: "ENOENT", errnoNumber: 2 });
    expect((await service.ask("get", "/v1/sessions?limit=200")).body.items).toHaveLength(before);
  });
});

describe("members", () => {
  let session: TestSession;
  beforeAll(async () => void (session = await service.session()));

  test("students get uids from 1000 on and a home; assistants are root; observers are nobody", async () => {
    const [first, second] = await Promise.all([session.member("student", "a"), session.member("student", "b")]);
    expect([first.uid, second.uid].sort()).toEqual([1000, 1001]);
    expect((await session.member("assistant")).uid).toBe(0);
    expect((await session.member("observer")).uid).toBe(65534);
    const pid = await first.process();
    const { buf } = await first.must(pid, "getcwd", { size: 100 });
    expect(buf.text.replace(/\0.*$/s, "")).toBe(`/home/u${first.uid}`);
    expect((await first.must(pid, "getuid")).ret).toBe(first.uid);
  });

  test("a member is listed, read, and revoked at once; its uid is not given again", async () => {
    const student = await session.member("student", "gone");
    expect((await session.ask("get", `/members/${student.memberId}`)).body).toMatchObject({ name: "gone", role: "student", uid: student.uid });
    expect((await student.ask("get", "/clock")).status).toBe(200);
    expect((await session.ask("delete", `/members/${student.memberId}`)).status).toBe(204);
    expect((await student.ask("get", "/clock")).status).toBe(401);
    expect((await session.ask("get", `/members/${student.memberId}`)).status).toBe(404);
    expect((await session.ask("delete", `/members/${student.memberId}`)).status).toBe(404);
    expect((await session.member("student")).uid).toBeGreaterThan(student.uid);
  });

  test("the owner stays, and nobody is made one", async () => {
    const { body } = await session.ask("get", "/members?limit=200");
    const owner = body.items.find((member: { role: string }) => member.role === "owner");
    expect((await session.ask("delete", `/members/${owner.id}`)).status).toBe(409);
    expect((await session.ask("post", "/members", { json: { name: "x", role: "owner" } })).status).toBe(422);
    expect((await session.ask("post", "/members", { json: { role: "student" } })).status).toBe(422);
  });
});

describe("the clock", () => {
  test("a virtual one moves as it is told, by ns, ms and jiffies", async () => {
    const session = await service.session({ machine: { clock: "virtual", hz: 100 } });
    const before = (await session.ask("get", "/clock")).body.nowNs;
    expect((await session.ask("post", "/clock/advance", { json: { ns: 5 } })).body.nowNs).toBe(before + 5);
    expect((await session.ask("post", "/clock/advance", { json: { ms: 1.5 } })).body.nowNs).toBe(before + 1_500_005);
    const { body } = await session.ask("post", "/clock/advance", { json: { jiffies: 3 } });
    expect(body.nowNs).toBe(before + 31_500_005);
    expect(body).toMatchObject({ mode: "virtual", hz: 100 });
    expect((await session.ask("get", "/clock")).body.nowNs).toBe(body.nowNs);
  });

  test("a move that is none of ns, ms, jiffies, or several, is refused", async () => {
    const session = await service.session();
    for (const json of [{}, { ns: 1, ms: 1 }, { ns: -1 }, { ns: 1.5 }, { seconds: 1 }, { ns: "5" }, { ns: 1e15 + 1 }, { jiffies: 1e14 }]) {
      expect([409, 422]).toContain((await session.ask("post", "/clock/advance", { json })).status);
    }
    expect((await session.ask("get", "/clock")).body.nowNs).toBeLessThan(1e9);
  });

  test("a real one follows the host and is not moved by hand; it can be stopped and started", async () => {
    const session = await service.session({ machine: { clock: "real" } });
    const first = (await session.ask("get", "/clock")).body.nowNs;
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const second = (await session.ask("get", "/clock")).body.nowNs;
    expect(second - first).toBeGreaterThan(29e6);
    expect(second - first).toBeLessThan((performance.now() - began) * 1e6 + 50e6);
    expect((await session.ask("post", "/clock/advance", { json: { ns: 1 } })).status).toBe(409);
    expect((await session.ask("patch", "/clock", { json: { mode: "virtual" } })).body.mode).toBe("virtual");
    const still = (await session.ask("get", "/clock")).body.nowNs;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await session.ask("get", "/clock")).body.nowNs).toBe(still);
    expect((await session.ask("get", "")).body.clockMode).toBe("virtual");
    await session.ask("patch", "/clock", { json: { mode: "real" } });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await session.ask("get", "/clock")).body.nowNs).toBeGreaterThan(still);
  });

  test("CLOCK_REALTIME of a real machine is the host's, of a virtual one begins in 2024", async () => {
    const real = await service.session({ machine: { clock: "real" } });
    const { realtimeNs } = (await real.ask("get", "/clock")).body;
    expect(Math.abs(Number(BigInt(realtimeNs) / 1_000_000n) - Date.now())).toBeLessThan(5_000);
    const virtual = await service.session();
    const clock = (await virtual.ask("get", "/clock")).body;
    expect(BigInt(clock.realtimeNs) - BigInt(clock.nowNs)).toBe(1_704_067_200_000_000_000n);
  });
});
