/** swapon, swapoff and vmstat: the words and statuses of util-linux and procps. */
import { expect, test } from "vitest";
import { Shell } from "./shell.ts";

const ON = "/dev/vda                                partition\t16380\t\t0\t\t-2\n";
const HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

test("swap is shown, turned off and on again", () => {
  const shell = new Shell({ ramMiB: 16, swapMiB: 16 });
  expect(shell.text("cat /proc/swaps; swapon -s; swapon --show; swapon --show=NAME,SIZE --noheadings --bytes"))
    .toBe(`${HEAD}${ON}${HEAD}${ON}NAME     TYPE      SIZE USED PRIO\n/dev/vda partition  16M   0B   -2\n/dev/vda 16773120\n`);
  expect(shell.text("ls -l /dev/vda")).toMatch(/^brw-rw---- +1 root +root +254, +0 .* \/dev\/vda\n$/);
  expect(shell.sh("swapoff -v /dev/vda && cat /proc/swaps; swapon -s; swapon; grep Swap /proc/meminfo; swapoff -a; echo $?")).toMatchObject({
    stderr: "", stdout: `swapoff /dev/vda\n${HEAD}SwapCached:            0 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n0\n`,
  });
  expect(shell.text("swapon -p 5 /dev/vda; cat /proc/swaps")).toBe(HEAD + ON.replace("-2", "5"));
  expect(shell.text("swapoff -a; swapon /dev/vda; cat /proc/swaps; dmesg | tail -1")).toMatch(/\t-2\n.*Adding 16380k swap on \/dev\/vda\. {2}Priority:-2 extents:1 across:16380k FS\n$/);
});

test("what cannot be, in util-linux's words", () => {
  const shell = new Shell({ ramMiB: 16, swapMiB: 16 });
  const cases: [script: string, exit: number, stderr: string][] = [
    ["swapon /dev/vda", 255, "swapon: /dev/vda: swapon failed: Device or resource busy\n"],
    ["swapon /tmp/none", 255, "swapon: cannot open /tmp/none: No such file or directory\n"],
    ["swapon --ifexists /tmp/none", 0, ""],
    ["umask 077; echo > /tmp/f; swapon /tmp/f", 255, "swapon: /tmp/f: read swap header failed\n"],
    ["swapon --bogus", 1, "swapon: unrecognized option '--bogus'\nTry 'swapon --help' for more information.\n"],
    ["swapon /dev/null", 255, "swapon: /dev/null: insecure permissions 0666, 0600 suggested.\nswapon: /dev/null: read swap header failed\n"],
    ["swapoff", 16, "swapoff: bad usage\nTry 'swapoff --help' for more information.\n"],
    ["swapoff /tmp/none", 4, "swapoff: /tmp/none: swapoff failed: No such file or directory\n"],
    ["swapoff /tmp/f", 4, "swapoff: /tmp/f: swapoff failed: Invalid argument\n"],
    ["echo 0 > /proc/sys/vm/overcommit_ratio; echo 2 > /proc/sys/vm/overcommit_memory; swapoff /dev/vda", 2, "swapoff: /dev/vda: swapoff failed: Cannot allocate memory\n"],
    ["swapoff -a", 32, "swapoff: /dev/vda: swapoff failed: Cannot allocate memory\n"],
  ];
  for (const [script, exit, stderr] of cases) expect([script, shell.sh(script)]).toMatchObject([script, { exit, stderr }]);
  expect(shell.sh("swapoff /dev/vda", { uid: 1000, home: "/tmp" })).toMatchObject({ exit: 16, stderr: "swapoff: Not superuser.\n" });
});

test("vmstat: one report, or some with a pause, in the columns of procps", () => {
  const shell = new Shell({ ramMiB: 16, swapMiB: 16 });
  const head = "procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----\n"
    + " r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st\n";
  const one = shell.text("vmstat");
  expect(one.startsWith(head)).toBe(true);
  expect(one.slice(head.length)).toMatch(/^ 0 {2}0 {6}0 +\d+ {6}0 +\d+ {4}0 {4}0 {5}0 {5}0( +\d+){7}\n$/);
  const before = shell.machine.kernel.state.time.nowNs;
  const lines = shell.text("vmstat 1 3").split("\n");
  expect(shell.machine.kernel.state.time.nowNs - before).toBeGreaterThan(2e9);
  expect(lines).toHaveLength(6);
  const last = lines[4].trim().split(/ +/).map(Number);
  expect(last).toHaveLength(17);
  expect(last.slice(12).reduce((sum, share) => sum + share, 0)).toBeGreaterThan(97);
  expect(last[14]).toBeGreaterThan(95);
  expect(shell.text("vmstat -n -S m 1 1").split("\n")).toHaveLength(4);
  expect(shell.sh("vmstat x")).toMatchObject({ exit: 1, stderr: "vmstat: failed to parse argument: 'x'\n" });
  expect(shell.sh("vmstat 0")).toMatchObject({ exit: 1, stderr: "vmstat: delay must be positive integer\n" });
  expect(shell.sh("vmstat -Q").stderr).toMatch(/^vmstat: invalid option -- 'Q'\n\nUsage:\n vmstat \[options\] \[delay \[count\]\]\n/);
});
