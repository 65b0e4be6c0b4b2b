/** The README's lab runs as it stands, pasted into a shell. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, startServer } from "./server.ts";

/** The shell lines between the markers of a lab. */
function labBlock(name: string): string {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const block = new RegExp(`<!-- ${name}:begin -->\\n\`\`\`sh\\n([\\s\\S]*?)\`\`\`\\n<!-- ${name}:end -->`).exec(readme)?.[1];
  if (block === undefined) throw new Error(`README.md has no ${name} block`);
  return block;
}

function bash(script: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", [], { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(script);
  });
}

test("every line of the README's lab prints what it should", async () => {
  const block = labBlock("vdev");
  expect(block.match(/^SYSLAB=.*$/gm)).toEqual(["SYSLAB=http://127.0.0.1:3000"]);
  const server = await startServer();
  try {
    const { code, stdout, stderr } = await bash(block.replace(/^SYSLAB=.*$/m, `SYSLAB=${server.url}`));
    expect(stderr).toBe("");
    expect(stdout.replace(/^\[ *\d+\.\d{6}\] /gm, "[] ").trimEnd().split("\n")).toEqual([
      "Module                  Size  Used by",
      "slave_device           16384  0",
      "master_device          16384  0",
      "ksocket                16384  2 slave_device,master_device",
      'openat(AT_FDCWD, "/dev/master_device", O_RDWR) = 3',
      'openat(AT_FDCWD, "/dev/slave_device", O_RDWR) = 3',
      "inet_csk_accept",
      "ioctl(3, _IOC(_IOC_NONE, 0x56, 0x77, 0x1234), 0x7ffeffffffc0) = 0",
      "ioctl(3, _IOC(_IOC_NONE, 0x56, 0x77, 0x1234), 0) = 0",
      'openat(AT_FDCWD, "/tmp/in.txt", O_RDONLY) = 4',
      'write(3, "hello from the master", 21) = 21',
      "hello from the master",
      'openat(AT_FDCWD, "/tmp/out.txt", O_RDWR|O_CREAT|O_TRUNC, 0644) = 4',
      'write(4, "hello from the master", 21) = 21',
      "hello from the master",
      "ioctl(3, _IOC(_IOC_NONE, 0x56, 0x79, 0x1234), 0) = 0",
      "ioctl(3, _IOC(_IOC_NONE, 0x56, 0x79, 0x1234), 0) = 0",
      "[] [slave] connected to 127.0.0.1:2325",
      expect.stringMatching(/^\[\] \[master\] accept socket from client: 0x[0-9a-f]{16}$/),
      "[] [master] new connection from 127.0.0.1:32768",
    ]);
    expect(code).toBe(0);
  } finally {
    await server.end();
  }
});

test("the device that interrupts gives its characters", async () => {
  const server = await startServer();
  try {
    const { code, stdout, stderr } = await bash(labBlock("simrupt").replace(/^SYSLAB=.*$/m, `SYSLAB=${server.url}`));
    expect(stderr).toBe("");
    expect(stdout.split("\n").filter((line) => line !== "").map((line) => line.replace(/^\[ *\d+\.\d{6}\] /, "[] ").replace(/CPU#\d/, "CPU#n").replace(/\d+ usec/, "n usec"))).toEqual([
      "Module                  Size  Used by",
      "simrupt                20480  0",
      " !\"#$%&'()*+,-./012",
      "       TIMER:         19          0",
      "     TASKLET:         19          0",
      "[] simrupt: [CPU#n] simrupt_tasklet_func in_softirq: n usec",
      "[] simrupt: [CPU#n] simrupt_work_func",
      "[] release, current cnt: 0",
    ]);
    expect(code).toBe(0);
  } finally {
    await server.end();
  }
});

test("the profiler's samples are those of the pages that were touched", async () => {
  const server = await startServer();
  try {
    const { code, stdout, stderr } = await bash(labBlock("mp3").replace(/^SYSLAB=.*$/m, `SYSLAB=${server.url}`));
    expect(stderr).toBe("");
    const lines = stdout.split("\n").filter((line) => line !== "").map((line) => line.replace(/^\[ *\d+\.\d{6}\] /, "[] "));
    expect(lines.splice(0, 6)).toEqual(Array<string>(6).fill(expect.stringMatching(/^store\(0x[0-9a-f]+, "x", 1\) = 1$/) as string));
    expect(lines).toEqual([
      "node",
      'openat(AT_FDCWD, "/tmp/node", O_RDWR|O_SYNC) = 3',
      ...["3 0 0", "0 0 0", "2 0 0", "0 0 0"].map((faults) => expect.stringMatching(new RegExp(`^\\d+ ${faults}$`)) as string),
      expect.stringMatching(/^\[\] MODULE LOADED with BUFFER_SIZE=524288$/),
      expect.stringMatching(/^\[\] Register Task:\d+$/),
    ]);
    expect(code).toBe(0);
  } finally {
    await server.end();
  }
});

test("the kernel's echo server is quicker than the user's, for a hundred threads at once", async () => {
  const server = await startServer();
  try {
    const { code, stdout, stderr } = await bash(labBlock("kecho").replace(/^SYSLAB=.*$/m, `SYSLAB=${server.url}`));
    expect(stderr).toBe("");
    const lines = stdout.split("\n").filter((line) => line !== "").map((line) => line.replace(/^\[ *\d+\.\d{6}\] /, "[] "));
    const [kecho, user] = lines.slice(3).map((line) => /^(?:kecho|user-echo-server) 100 threads (\d+) us$/.exec(line)).map((found) => Number(found?.[1]));
    expect(lines.slice(0, 3)).toEqual(["hello", "[] kecho: start get response", "[] kecho: get request = "]);
    expect(lines).toHaveLength(5);
    expect(user / kecho).toBeGreaterThan(5);
    expect(code).toBe(0);
  } finally {
    await server.end();
  }
});
