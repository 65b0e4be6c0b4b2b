/** Calls: how they answer, sleep, are held, asked for, interrupted; memory, files and traces beside them. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestService, wait, type TestSession } from "../helpers/service.ts";

let service: TestService;
let session: TestSession;
let pid: number;
beforeAll(async () => {
  service = await TestService.start();
  session = await service.session();
  pid = await session.process();
});
afterAll(() => service.stop());

describe("a call", () => {
  test("answers as strace would show it, failures included", async () => {
    const opened = await session.call(pid, "openat", { pathname: "/dev/full", flags: "O_RDWR" });
    expect(opened.status).toBe(200);
    expect(opened.body).toMatchObject({ state: "returned", ret: 3, errno: null });
    expect(opened.body.strace).toMatch(/^openat\(AT_FDCWD, "\/dev\/full", O_RDWR.*\) += 3$/);
    expect((await session.call(pid, "write", { fd: 3, buf: "x" })).body).toMatchObject({ ret: -1, errno: "ENOSPC", errnoNumber: 28, message: "No space left on device" });
    expect((await session.call(pid, "close", { fd: 3 })).body.ret).toBe(0);
    expect((await session.call(pid, "close", { fd: 3 })).body).toMatchObject({ ret: -1, errno: "EBADF" });
  });

  test("is named or numbered, its arguments named, below args, or raw", async () => {
    for (const [call, args] of [
      ["dup", { oldfd: 0 }], [32, { oldfd: 0 }], ["dup", { args: { oldfd: 0 } }], [32, { args: [0] }], ["dup", { args: ["0x0"] }],
    ] as const) {
      const { body } = await session.call(pid, call, args);
      expect(body.strace).toMatch(/^dup\(0\) += \d+$/);
      await session.must(pid, "close", { fd: body.ret });
    }
  });

  test("of 64-bit results answers a string, addresses as 0x…", async () => {
    const { ret } = await session.must(pid, "mmap", { length: 4096, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    expect(ret).toMatch(/^0x7f[0-9a-f]+$/);
    const stored = await session.call(pid, "store", { addr: ret, buf: "hello" });
    expect(stored.body.errno).toBeNull();
    const loaded = await session.call(pid, "load", { addr: ret, length: 5 });
    expect(loaded.body.buf).toEqual({ base64: "aGVsbG8=", text: "hello" });
  });

  test("reads into bytes where the caller accepts them", async () => {
    await session.ask("put", "/fs/tmp/bytes", { raw: Buffer.from([0, 255, 1]) });
    const { ret: fd } = await session.must(pid, "openat", { pathname: "/tmp/bytes", flags: "O_RDONLY" });
    const bytes = await session.call(pid, "read", { fd, count: 10 }, { headers: { Accept: "application/octet-stream" } });
    expect([...bytes.bytes]).toEqual([0, 255, 1]);
    expect(bytes.headers).toMatchObject({ "x-ret": "3", "content-type": "application/octet-stream" });
    const bad = await session.call(pid, "read", { fd: 77, count: 10 }, { headers: { Accept: "application/octet-stream" } });
    expect([bad.status, bad.headers["x-ret"], bad.headers["x-errno"], bad.bytes.length]).toEqual([200, "-1", "EBADF", 0]);
    const json = await session.call(pid, "read", { fd, count: 10 });
    expect(json.body.ret).toBe(0);
  });

  test("that ends the process says how it ended", async () => {
    const gone = await session.process();
    expect((await session.call(gone, "exit_group", { status: 3 })).body).toMatchObject({ state: "ended", exited: 3 });
    expect((await session.call(gone, "getpid")).status).toBe(404);
  });

  test("may fork; the child is driven under its own pid", async () => {
    const { ret: child } = await session.must(pid, "fork");
    expect((await session.must(child, "getppid")).ret).toBe(pid);
    expect((await session.ask("delete", `/processes/${child}`)).status).toBe(204);
    expect((await session.ask("get", `/processes/${child}`)).body.state).toBe("Z");
    expect((await session.call(pid, "wait4", { pid: child })).body).toMatchObject({ ret: child, status: { signaled: "SIGKILL" } });
    expect((await session.ask("get", `/processes/${child}`)).status).toBe(404);
  });
});

describe("a batch", () => {
  test("hands results on, and stops at the first failure", async () => {
    const { body } = await session.batch(pid, [
      { call: "pipe2" },
      { call: "write", args: { fd: { out: 0, at: "/pipefd/1" }, buf: "abc" } },
      { call: "read", args: { fd: { out: 0, at: "/pipefd/0" }, count: { ret: 1, plus: -1 } } },
      { call: "close", args: { fd: 99 } },
      { call: "getpid" },
    ]);
    expect(body.state).toBe("returned");
    expect(body.results.map((result: { ret: number }) => result.ret)).toEqual([0, 3, 2, -1]);
    expect(body.results[2].buf.text).toBe("ab");
    const all = await session.batch(pid, [{ call: "close", args: { fd: 99 } }, { call: "getpid" }], { onError: "continue" });
    expect(all.body.results.map((result: { ret: number }) => result.ret)).toEqual([-1, pid]);
    expect((await session.batch(pid, [{ call: "dup", args: { oldfd: { ret: 1 } } }, { call: "getpid" }])).body.results).toMatchObject([{ errno: "EINVAL" }]);
  });

  test("that sleeps tells what is done, goes on by itself, and is asked for as one call", async () => {
    const { pipefd } = await session.must(pid, "pipe2");
    const reader = (await session.must(pid, "fork")).ret as number;
    const asleep = await session.batch(reader, [{ call: "getpid" }, { call: "read", args: { fd: pipefd[0], count: 4 } }, { call: "getppid" }], wait(0));
    expect(asleep.status).toBe(202);
    expect(asleep.body).toMatchObject({ state: "sleeping", pid: reader, wchan: "pipe_read", results: [{ ret: reader }] });
    expect(asleep.headers["location"]).toBe(`${session.path}/calls/${asleep.body.callId}`);
    await session.must(pid, "write", { fd: pipefd[1], buf: "wake" });
    const { body } = await service.ask("get", asleep.headers["location"]!, { token: session.token });
    expect(body.results.map((result: { ret: unknown }) => result.ret)).toEqual([reader, 4, pid]);
  });
});

describe("sleeping", () => {
  async function sleeper(): Promise<{ reader: number; pipefd: number[] }> {
    const { pipefd } = await session.must(pid, "pipe2");
    return { reader: (await session.must(pid, "fork")).ret as number, pipefd };
  }

  test("a held request is answered when its call ends, another's when its time is up", async () => {
    const { reader, pipefd } = await sleeper();
    const held = session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(20));
    for (let call = null; call === null;) ({ body: { call } } = await session.ask("get", `/processes/${reader}`));
    await session.must(pid, "write", { fd: pipefd[1], buf: "done" });
    expect((await held).body).toMatchObject({ ret: 4, buf: { text: "done" } });
    const began = performance.now();
    const late = await session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(1));
    expect(performance.now() - began).toBeGreaterThan(990);
    expect([late.status, late.body.state, late.headers["preference-applied"]]).toEqual([202, "sleeping", "wait=1"]);
  });

  test("a virtual clock's timer ends the call when the clock is moved", async () => {
    const napper = await session.process();
    const held = session.call(napper, "nanosleep", { req: { tv_sec: 3, tv_nsec: 0 } }, wait(20));
    for (let call = null; call === null;) ({ body: { call } } = await session.ask("get", `/processes/${napper}`));
    await session.ask("post", "/clock/advance", { json: { ms: 3_001 } });
    expect((await held).body).toMatchObject({ state: "returned", ret: 0 });
  });

  test("a real clock's timer ends the call by itself", async () => {
    const real = await service.session({ machine: { clock: "real" } });
    const napper = await real.process();
    const began = performance.now();
    expect((await real.call(napper, "nanosleep", { req: { tv_sec: 0, tv_nsec: 50_000_000 } })).body).toMatchObject({ ret: 0 });
    expect(performance.now() - began).toBeGreaterThan(45);
  });

  test("a call is asked for with Prefer: wait, and answers its end", async () => {
    const { reader, pipefd } = await sleeper();
    const { body: { callId } } = await session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(0));
    expect((await session.ask("get", `/calls/${callId}`)).body.state).toBe("sleeping");
    const asked = session.ask("get", `/calls/${callId}`, wait(20));
    await session.must(pid, "write", { fd: pipefd[1], buf: "x" });
    expect((await asked).body).toMatchObject({ state: "returned", ret: 1 });
    expect((await session.ask("get", `/calls/${callId}`)).body).toMatchObject({ state: "returned", ret: 1 });
  });

  test("DELETE interrupts it, once", async () => {
    const { reader, pipefd } = await sleeper();
    const { body: { callId } } = await session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(0));
    const interrupted = await session.ask("delete", `/calls/${callId}`);
    expect(interrupted.status).toBe(200);
    expect(interrupted.body).toMatchObject({ state: "returned", ret: -1, errno: "EINTR" });
    expect((await session.ask("delete", `/calls/${callId}`)).status).toBe(409);
    expect((await session.ask("delete", "/calls/nosuch")).status).toBe(404);
    expect((await session.must(reader, "getpid")).ret).toBe(reader);
  });

  test("a client that goes away interrupts nothing", async () => {
    const { reader, pipefd } = await sleeper();
    const abort = new AbortController();
    const gone = fetch(`${service.url}${session.path}/processes/${reader}/syscalls/read`, {
      method: "POST", signal: abort.signal, headers: { Authorization: `Bearer ${session.token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ fd: pipefd[0], count: 4 }),
    }).catch(() => null);
    let call: { callId: string } | null = null;
    while (call === null) ({ body: { call } } = await session.ask("get", `/processes/${reader}`));
    abort.abort();
    await gone;
    await session.must(pid, "write", { fd: pipefd[1], buf: "kept" });
    expect((await session.ask("get", `/calls/${(call as { callId: string }).callId}`)).body).toMatchObject({ ret: 4, buf: { text: "kept" } });
  });

  test("a process that is killed in its call ends the held request", async () => {
    const { reader, pipefd } = await sleeper();
    const held = session.call(reader, "read", { fd: pipefd[0], count: 4 }, wait(20));
    for (let call = null; call === null;) ({ body: { call } } = await session.ask("get", `/processes/${reader}`));
    expect((await session.ask("post", `/processes/${reader}/signals`, { json: { signal: "SIGKILL" } })).status).toBe(204);
    expect((await held).body).toMatchObject({ state: "ended", signaled: "SIGKILL" });
  });
});

describe("memory", () => {
  test("is looked at and stored into; what is not mapped is 422", async () => {
    const { ret: address } = await session.must(pid, "mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    const put = await session.ask("put", `/processes/${pid}/memory?address=${address}`, { raw: Buffer.from("bytes") });
    expect(put.status).toBe(204);
    expect((await session.ask("get", `/processes/${pid}/memory?address=${address}&length=7`)).bytes.toString()).toBe("bytes\0\0");
    const unmapped = await session.ask("get", `/processes/${pid}/memory?address=4096&length=1`);
    expect(unmapped.status).toBe(422);
    for (const query of ["", "?address=x&length=1", "?address=1", "?address=1&length=-1", "?address=1&length=99999999999"]) {
      expect((await session.ask("get", `/processes/${pid}/memory${query}`)).status).toBe(422);
    }
  });

  test("a forbidden store is told and the process lives; with onFault=signal it is delivered", async () => {
    const victim = await session.process();
    const refused = await session.ask("put", `/processes/${victim}/memory?address=4096`, { raw: "x" });
    expect(refused.status).toBe(422);
    expect(refused.body).toMatchObject({ signal: "SIGSEGV", siCode: "SEGV_MAPERR", address: "0x1000", stored: 0 });
    expect((await session.must(victim, "getpid")).ret).toBe(victim);
    const killed = await session.ask("put", `/processes/${victim}/memory?address=4096&onFault=signal`, { raw: "x" });
    expect(killed.body).toMatchObject({ status: 422, signal: "SIGSEGV", siCode: "SEGV_MAPERR", address: "0x1000", stored: 0, ended: true });
    expect((await session.call(victim, "getpid")).status).toBe(404);
  });

  test("a store that dies halfway tells how far it came; one whose handler counts the signal lives", async () => {
    const victim = await session.process();
    const { ret } = await session.must(victim, "mmap", { length: 8192, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    const second = `0x${(BigInt(ret) + 4096n).toString(16)}`;
    await session.must(victim, "mprotect", { addr: second, len: 4096, prot: "PROT_READ" });
    const put = () => session.ask("put", `/processes/${victim}/memory?address=${ret}&onFault=signal`, { raw: Buffer.alloc(5000, 7) });
    const told = { status: 422, signal: "SIGSEGV", siCode: "SEGV_ACCERR", address: second, stored: 4096 };
    await session.must(victim, "rt_sigaction", { signum: "SIGSEGV", act: { sa_handler: "count" } });
    const lives = await put();
    expect(lives.body).toMatchObject(told);
    expect(lives.body.ended).toBeUndefined();
    expect((await session.ask("get", `/processes/${victim}`)).body.signals).toEqual({ SIGSEGV: 1 });
    await session.must(victim, "rt_sigaction", { signum: "SIGSEGV", act: { sa_handler: "SIG_DFL" } });
    expect((await put()).body).toMatchObject({ ...told, ended: true });
    expect((await session.ask("get", `/processes/${victim}`)).status).toBe(404);
    const other = await session.process();
    expect((await session.call(other, "store", { addr: 4096, buf: "x" })).body).toMatchObject({ state: "ended", signaled: "SIGSEGV", siCode: "SEGV_MAPERR", faultAddr: "0x1000", stored: 0 });
  });

  test("takes 16 MiB and no more", async () => {
    const large = await session.process();
    const { ret: address } = await session.must(large, "mmap", { length: 16 << 20, prot: "PROT_READ|PROT_WRITE", flags: "MAP_PRIVATE|MAP_ANONYMOUS" });
    const bytes = Buffer.alloc(16 << 20, 7);
    expect((await session.ask("put", `/processes/${large}/memory?address=${address}`, { raw: bytes, type: "application/octet-stream" })).status).toBe(204);
    const read = await session.ask("get", `/processes/${large}/memory?address=${address}&length=${16 << 20}`);
    expect(read.bytes.equals(bytes)).toBe(true);
    const more = await session.ask("put", `/processes/${large}/memory?address=${address}`, { raw: Buffer.alloc((16 << 20) + 1), type: "application/octet-stream" });
    expect(more.status).toBe(413);
    await session.ask("delete", `/processes/${large}`);
  });
});

describe("files", () => {
  test("are written, read, truncated, made and removed", async () => {
    expect((await session.ask("put", "/fs/tmp/f", { raw: "one" })).status).toBe(201);
    expect((await session.ask("put", "/fs/tmp/f", { raw: "two" })).status).toBe(204);
    const read = await session.ask("get", "/fs/tmp/f");
    expect([read.text, read.headers["content-type"]]).toEqual(["two", "application/octet-stream"]);
    const part = await session.ask("get", "/fs/tmp/f?offset=1&length=1");
    expect([part.text, part.headers["x-truncated"]]).toEqual(["w", "true"]);
    expect((await session.ask("get", "/fs/tmp/f?offset=1")).headers["x-truncated"]).toBeUndefined();
    expect((await session.ask("put", "/fs/tmp/dir?dir")).status).toBe(201);
    expect((await session.ask("put", "/fs/tmp/dir?dir")).body).toMatchObject({ status: 409, errno: "EEXIST" });
    expect((await session.ask("put", "/fs/tmp/dir/g?mode=0600", { raw: "" })).status).toBe(201);
    expect((await session.ask("get", "/fs/tmp/dir")).body.entries).toMatchObject([{ name: "g", type: "file", mode: "0600" }]);
    expect((await session.ask("delete", "/fs/tmp/dir")).body).toMatchObject({ status: 409, errno: "ENOTEMPTY" });
    expect((await session.ask("delete", "/fs/tmp/dir/g")).status).toBe(204);
    expect((await session.ask("delete", "/fs/tmp/dir")).status).toBe(204);
    expect((await session.ask("get", "/fs/tmp/dir")).status).toBe(404);
  });

  test("have paths with /, %2F, empty and . segments, and .. as the kernel walks", async () => {
    await session.ask("put", "/fs/tmp/p", { raw: "found" });
    for (const path of ["/fs/tmp/p", "/fs/tmp%2Fp", "/fs//tmp//p", "/fs/./tmp/./p", "/fs/proc/%2e%2e/tmp/p", "/fs/%2Ftmp%2Fp"]) {
      // A client would tidy the path itself: the request is written by hand.
      expect(await rawGet(session.path + path), path).toContain("found");
    }
    await session.ask("put", `/fs/tmp/${encodeURIComponent("ü ?#%")}`, { raw: "odd" });
    expect((await session.ask("get", "/fs/tmp")).body.entries.map((entry: { name: string }) => entry.name)).toContain("ü ?#%");
    expect((await session.ask("get", `/fs/tmp/${encodeURIComponent("ü ?#%")}`)).text).toBe("odd");
  });

  test("of /proc are text, and parsed where that is asked for", async () => {
    const text = await session.ask("get", "/fs/proc/meminfo");
    expect(text.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(text.text).toMatch(/^MemTotal: +\d+ kB\n/);
    expect((await session.ask("get", "/proc/meminfo")).text).toBe(text.text);
    const { body } = await session.ask("get", "/proc/meminfo?format=json");
    expect(body.MemTotal).toBe(Number(/MemTotal: +(\d+)/.exec(text.text)![1]));
    for (const file of ["uptime", "loadavg", "stat", "devices", "misc", "mounts", "filesystems", "version", "cpuinfo", `${pid}/status`, `${pid}/stat`, `${pid}/maps`]) {
      expect((await session.ask("get", `/proc/${file}?format=json`)).status, file).toBe(200);
    }
    expect((await session.ask("get", `/proc/${pid}/status?format=json`)).body).toMatchObject({ Name: "sh", Pid: pid });
    expect((await session.ask("get", "/fs/tmp/f?format=json")).status).toBe(422);
    expect((await session.ask("get", "/proc/self")).status).toBe(404);
  });

  test("looking changes nothing", async () => {
    const before = await session.ask("get", "/clock");
    await session.ask("get", "/fs/proc");
    await session.ask("get", "/fs/tmp/f");
    await session.ask("get", "/sys/kernel");
    expect((await session.ask("get", "/clock")).body).toEqual(before.body);
  });
});

async function rawGet(path: string): Promise<string> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: new URL(service.url).port, path, headers: { Authorization: `Bearer ${session.token}` } }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk)).on("end", () => resolve(text));
    });
    asked.on("error", reject).end();
  });
}

describe("modules", () => {
  test("are inserted, listed, used and removed; refusals carry the tool's words", async () => {
    const made = await session.ask("post", "/modules", { json: { name: "ksocket" } });
    expect([made.status, made.body.name, made.body.variant, made.body.defects]).toEqual([201, "ksocket", "corrected", []]);
    expect(made.headers["location"]).toBe(`${session.path}/modules/ksocket`);
    expect((await session.ask("post", "/modules", { json: { name: "ksocket" } })).body).toMatchObject({
      status: 409, errno: "EEXIST", detail: expect.stringMatching(/^insmod: ERROR: could not insert module ksocket\.ko: File exists/) as string,
    });
    expect((await session.ask("get", "/modules", { headers: { Accept: "text/plain" } })).text).toMatch(/^Module +Size +Used by\nksocket +\d+ +0/);
    expect((await session.ask("delete", "/modules/ksocket")).status).toBe(204);
    const gone = await session.ask("delete", "/modules/ksocket");
    expect(gone.body).toMatchObject({ status: 404, detail: expect.stringMatching(/^rmmod: ERROR: Module ksocket is not currently loaded/) as string });
    expect((await session.ask("post", "/modules", { json: { name: "nosuch" } })).body).toMatchObject({ status: 404, errno: "ENOENT" });
    expect((await session.ask("post", "/modules", { json: { name: "../x" } })).status).toBe(422);
    expect((await session.ask("post", "/modules", { json: { name: "ksocket", variant: "best" } })).status).toBe(422);
  });

  test("the catalogue tells what modinfo tells", async () => {
    const { body } = await service.ask("get", "/v1/modules?limit=200");
    expect(body.items.map((item: { name: string }) => item.name)).toContain("ksocket");
    expect((await service.ask("get", "/v1/modules/ksocket")).body.name).toBe("ksocket");
    expect((await service.ask("get", "/v1/modules/ksocket?variant=seed", { headers: { Accept: "text/plain" } })).text).toMatch(/^filename: +\/lib\/modules\/.*\/seed\/ksocket\.ko\n/);
    expect((await service.ask("get", "/v1/modules/nosuch")).status).toBe(404);
  });
});

describe("the log and the trace", () => {
  test("dmesg is text as dmesg prints, or JSON", async () => {
    expect((await session.ask("get", "/dmesg")).text).toMatch(/^\[ +0\.000000\] Linux version 6\.1\.0-syslab/);
    expect((await session.ask("get", "/dmesg?format=json")).body.records[0]).toMatchObject({ sequence: 0, level: 5 });
  });

  test("the trace has a strace line a call, of one process or all", async () => {
    const traced = await session.process();
    await session.call(traced, "dup", { oldfd: 77 });
    expect((await session.ask("get", `/trace?pid=${traced}`)).text).toMatch(/^dup\(77\) += -1 EBADF \(Bad file descriptor\)\n$/);
    expect((await session.ask("get", "/trace")).text).toContain(`${traced} dup(77)`);
  });
});
