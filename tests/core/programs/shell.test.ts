/** The shell's language, its processes, and what a hostile script comes to. */
import type { Json } from "../../../core/input.ts";
import { beforeEach, describe, expect, test } from "vitest";
import { snapshot } from "../../../core/index.ts";
import { bootAgain, copy, expectSame, replay } from "../../helpers/replay.ts";
import { Shell } from "./shell.ts";

let shell: Shell;
beforeEach(() => void (shell = new Shell()));

/** Script, stdout, and perhaps status and stderr. */
type Case = [script: string, stdout: string | RegExp, exit?: number, stderr?: string];

function cases(all: Case[]): void {
  for (const [script, stdout, exit = 0, stderr = ""] of all) {
    test(script.length > 70 ? `${script.slice(0, 70)}…` : script, () => {
      const got = shell.sh(script);
      if (typeof stdout === "string") expect(got.stdout).toBe(stdout);
      else expect(got.stdout).toMatch(stdout);
      expect(got.stderr).toBe(stderr);
      expect(got.exit).toBe(exit);
      expect(shell.machine.broken()).toEqual([]);
    });
  }
}

describe("words", () => {
  cases([
    ["echo a  'b  c' \"d  $HOME\" e\\ f", "a b  c d  /root e f\n"],
    ["x='1 2'; for w in $x \"$x\"; do echo \"<$w>\"; done", "<1>\n<2>\n<1 2>\n"],
    ["echo ${x:-no} ${HOME#/r} ${HOME%t} ${#HOME} ${x:=set} $x ${x:+yes}", "no oot /roo 5 set set yes\n"],
    ["p=/a/b/c.tar.gz; echo ${p##*/} ${p#*/} ${p%.*} ${p%%.*}", "c.tar.gz a/b/c.tar.gz /a/b/c.tar /a/b/c\n"],
    ["set -- a 'b c'; for w in \"$@\"; do echo \"<$w>\"; done; echo $# \"$*\"", "<a>\n<b c>\n2 a b c\n"],
    ["IFS=:; set -- $PATH; echo $1 $#", "/sbin 4\n"],
    ["echo $((1+2*3)) $((7/2)) $((1<<4)) $((x=5)) $x $((2>1&&0))", "7 3 16 5 5 0\n"],
    ["echo $(echo a; echo b) `echo c` \"$(printf 'x\\n\\n')\"", "a b c x\n"],
    ["touch /tmp/a1 /tmp/a2 /tmp/.h; cd /tmp; echo a* *2 [!b]1 nothing*", "a1 a2 a2 a1 nothing*\n"],
    ["false; echo $? $(true) $?", "1 1\n"],
    ["cat <<EOF\n$HOME $((1+1))\nEOF\ncat <<'EOF'\n$HOME\nEOF", "/root 2\n$HOME\n"],
    ["echo ~ ~/x '~'", "/root /root/x ~\n"],
  ]);
});

describe("commands", () => {
  cases([
    ["true && echo yes || echo no; false && echo yes || echo no; ! true; echo $?", "yes\nno\n1\n"],
    ["if false; then echo a; elif true; then echo b; else echo c; fi", "b\n"],
    ["i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done", "1\n3\n"],
    ["for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done", "1a\n2a\n"],
    ["case file.c in *.h) echo h;; *.[ch]) echo c;; *) echo other;; esac", "c\n"],
    ["f() { local x=in; echo $1 $x; return 3; }; x=out; f arg; echo $? $x", "arg in\n3 out\n"],
    ["(cd /tmp; pwd; exit 4); echo $?; pwd", "/tmp\n4\n/root\n"],
    ["echo one two | while read a b; do echo $b $a; done", "two one\n"],
    ["printf 'a\\nb\\nc\\n' | grep -v b | tr a-z A-Z | tail -1", "C\n"],
    ["echo out; echo err >&2; { echo both; echo too >&2; } > /tmp/f 2>&1; cat /tmp/f", "out\nboth\ntoo\n", 0, "err\n"],
    ["exec 3>/tmp/g; echo three >&3; exec 3>&-; cat < /tmp/g >> /tmp/h; cat /tmp/h", "three\n"],
    ["eval 'x=1; echo $x'; echo 'echo sourced $1' > /tmp/s; . /tmp/s arg", "1\nsourced arg\n"],
    ["set -e; false; echo never", "", 1],
    ["set -e; false || true; if false; then :; fi; echo here", "here\n"],
    ["trap 'echo bye' EXIT; exit 3", "bye\n", 3],
    ["sleep 0.2 & wait $!; echo $?; (exit 7) & wait $!; echo $?", "0\n7\n"],
    ["nosuch; echo $?; /etc; echo $?", "127\n126\n", 0, "sh: nosuch: not found\nsh: /etc: Permission denied\n"],
    ["sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -PIPE $$'; echo $?", "143\n141\n", 0, "Terminated\n"],
    ["yes | head -1; echo x > /dev/full", "y\n", 1, "sh: write error: No space left on device\n"],
    ["trap 'echo got' USR1; kill -USR1 $$; echo after", "got\nafter\n"],
    ["x=5 sh -c 'echo $x'; echo \"[$x]\"; export x=6; sh -c 'echo $x'", "5\n[]\n6\n"],
  ]);
});

describe("options", () => {
  cases([
    ["set -o pipefail; false | true; echo $?; (exit 3) | (exit 4) | true; echo $?; true | true; echo $?; set +o pipefail; false | true; echo $?", "1\n4\n0\n0\n"],
    ["set -eo pipefail; false | cat; echo never", "", 1],
    ["sh -o pipefail -c 'false | true'; echo $?; sh -eu -c 'echo $-'", "1\neu\n"],
    ["set -C; echo a > /tmp/c; echo b > /tmp/c; echo $?; echo c >| /tmp/c; echo d >> /tmp/c; cat /tmp/c; echo e > /dev/null", "1\nc\nd\n", 0, "sh: can't create /tmp/c: File exists\n"],
    ["set -a; q=1; set +a; r=2; sh -c 'echo \"[$q$r]\"'", "[1]\n"],
    ["sh -n -c 'echo never'; echo $?; sh -n -c 'echo )'", "0\n", 2, "sh: syntax error: unexpected \")\"\n"],
    ["set -x -- a b; set -; echo $# $-; set - c; echo $1", "2\nc\n", 0, "+ set -\n"],
    ["set +o | tail -2; set -u; set -o | tail -2", "set +o nounset\nset +o pipefail\nnounset         on\npipefail        off\n"],
    ["set -o nosuch; echo never", "", 2, "sh: set: illegal option -o nosuch\n"],
  ]);
});

describe("builtins", () => {
  cases([
    ["break; echo a; f() { break; }; for i in 1 2; do f; echo $i; done; for i in 1 2; do for j in 3; do break 9; done; echo never; done", "a\n1\n2\n"],
    ["for i in 1 2; do (break; echo never); eval break; echo never; done; echo $i", "1\n"],
    ["trap 'exit 9' TERM; kill -TERM $$; echo never", "", 9],
    ["trap -- 'echo bye' EXIT; trap 'false' USR1; (exit 3); kill -USR1 $$; echo $?", "0\nbye\n"],
    ["sh -c 'echo $PPID'; [ $PPID -gt 0 ] && echo $$", /^(\d+)\n\1\n$/],
    ["f() { while getopts ab: o; do echo \"$o=$OPTARG\"; done; echo $OPTIND; }; f -ab val x; f -b1 -a -- -b; f -c", "a=\nb=val\n3\nb=1\na=\n4\n?=\n2\n", 0, "Illegal option -c\n"],
    ["set -- -x -z -y; while getopts :xy: o; do echo \"$o:$OPTARG\"; done; OPTIND=1; getopts x o; echo $o", "x:\n?:z\n::y\nx\n"],
    ["a='x  *'; export c=$a d=\"$a\"; echo \"$c|$d\"; f() { local e=$a f; echo \"$e$f\"; }; f; readonly g=$a; echo \"$g\"; set e=$a; echo $#", "x  *|x  *\nx  *\nx  *\n2\n"],
    ["umask 027; umask -S; umask u=rwx,go=rx; umask; umask g-x; umask", "u=rwx,g=rx,o=\n0022\n0032\n"],
    ["kill -l TERM; kill -l 9; kill -l 143; kill -l nosuch", "15\nKILL\nTERM\n", 1, "sh: unknown signal 'nosuch'\n"],
    ["type if : cd ls; command -v while cd ls; hash -r; hash ls", "if is a shell keyword\n: is a special shell builtin\ncd is a shell builtin\nls is /bin/ls\nwhile\ncd\n/bin/ls\n"],
    ["times | wc -l; printf -- '-%s\\n' x", "2\n-x\n"],
    ["mkdir /tmp/r; ln -s r /tmp/l; cd /tmp/l; pwd; pwd -P; cd ..; pwd; cd -P l; pwd; cd -", "/tmp/l\n/tmp/r\n/tmp\n/tmp/r\n/tmp\n"],
    ["mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; pwd; cd ..; pwd", "/tmp/gone\n/tmp\n"],
    ["printf 'abc\\nd,e' | { read -n 2 x; read y; read -d , z; echo \"$x $y $z\"; }", "ab c d\n"],
    ["sleep 9 | { read -t 0.5 x; echo $?; }; echo hi > /tmp/h; exec 5</tmp/h; read -u 5 h; echo $h", "1\nhi\n"],
    ["read -q x; echo $?; read 1x; echo $?", "2\n2\n", 0, "sh: read: illegal option 'q'\nsh: read: bad variable name\n"],
  ]);
});

describe("what is wrong is told as a shell tells it", () => {
  cases([
    ["echo )", "", 2, "sh: syntax error: unexpected \")\"\n"],
    ["if true", "", 2, "sh: syntax error: unexpected end of file (expecting \"then\")\n"],
    ["echo before\necho 'x", "before\n", 2, "sh: syntax error: unterminated quoted string\n"],
    ["echo ${x?gone}; echo never", "", 2, "sh: x: gone\n"],
    ["echo $((1/0))", "", 2, "sh: divide by zero\n"],
    ["readonly r=1; r=2; echo never", "", 2, "sh: r: is read only\n"],
    ["cat < /nope; echo $?", "1\n", 0, "sh: can't open /nope: no such file\n"],
  ]);
});

test("a script with an interpreter line, and one without, run", () => {
  shell.put("/tmp/with", "#!/bin/sh\necho \"$0 $1\"\nnosuch\n", 0o755);
  shell.put("/tmp/without", "echo plain $1\n", 0o755);
  expect(shell.sh("/tmp/with a; /tmp/without b")).toMatchObject({ stdout: "/tmp/with a\nplain b\n", stderr: "/tmp/with: line 3: nosuch: not found\n" });
});

test("argv runs a program without a shell; its arguments lie on its stack, and /proc shows them", () => {
  expect(shell.run({ argv: ["cat", "/proc/self/cmdline"] }).stdout).toBe("cat\0/proc/self/cmdline\0");
  expect(shell.run({ argv: ["cat", "/proc/self/maps"] }).stdout).toMatch(/ rw-p .*\[stack\]\n/);
  expect(shell.run({ argv: ["readlink", "/proc/self/exe"] }).stdout).toBe("/bin/readlink\n");
  expect(shell.run({ argv: ["cat", "/proc/self/comm"] }).stdout).toBe("cat\n");
  expect(shell.run({ argv: ["nosuch"] })).toMatchObject({ exit: 127, stderr: "sh: nosuch: not found\n" });
});

test("stdin is fed as it is read, and closed at its end", () => {
  const text = "line of input\n".repeat(20_000);
  const { stdout } = shell.run({ argv: ["wc", "-l"], stdin: Buffer.from(text).toString("base64") });
  expect(stdout).toBe("20000\n");
  expect(shell.run({ argv: ["true"], stdin: Buffer.from(text).toString("base64") }).exit).toBe(0);
});

test("output that is no UTF-8 comes in base64 too", () => {
  const got = shell.run({ argv: ["printf", "\\377ok"] });
  expect(got.stdout).toBe("\ufffdok");
  expect(Buffer.from(got.stdoutBytes ?? "", "base64")).toEqual(Buffer.from([255, 111, 107]));
});

test("a user's command has the user's rights", () => {
  shell.machine.feed({ type: "makeHome", path: "/home/1000", uid: 1000 });
  const user = { uid: 1000, home: "/home/1000" };
  expect(shell.run({ script: "id -u; echo x > /root/x; echo mine > f; cat f" }, user)).toMatchObject({ stdout: "1000\nmine\n", stderr: expect.stringContaining("can't create /root/x") as string });
  expect(shell.run({ argv: ["rmmod", "x"] }, user).exit).toBe(1);
});

test("a driven process that executes a program runs it, and its parent sees the end", async () => {
  const pid = await shell.machine.createProcess();
  const child = Number((shell.machine.callNow(pid, "fork") as unknown as { ret: number }).ret);
  expect(shell.machine.callNow(child, "execve", { pathname: "/bin/sh", argv: ["sh", "-c", "echo $X > /tmp/said; exit 9"], envp: ["X=hello"] })).toMatchObject({ ret: 0 });
  shell.machine.advance(100);
  expect(shell.machine.callNow(pid, "wait4", { pid: child })).toMatchObject({ ret: child, status: { exited: 9 } });
  expect(shell.machine.text("/tmp/said")).toBe("hello\n");
  expect(shell.machine.callNow(pid, "execve", { pathname: "/proc/version", argv: [] })).toMatchObject({ errno: "EACCES" });
});

test("strace tells a program's calls, and how it ended", () => {
  const { exit, stderr } = shell.run({ argv: ["strace", "cat", "/dev/null", "/nope"] });
  expect(exit).toBe(1);
  const lines = stderr.split("\n");
  expect(lines).toContain("openat(AT_FDCWD, \"/dev/null\", O_RDONLY|O_CLOEXEC) = 3");
  expect(lines).toContain("openat(AT_FDCWD, \"/nope\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)");
  expect(lines.slice(-3)).toEqual(["exit_group(1)                           = ?", "+++ exited with 1 +++", ""]);
  expect(shell.sh("strace insmod ksocket.ko 2>&1 | grep finit")).toMatchObject({ stdout: "finit_module(3, \"\", 0)                  = 0\n" });
});

test("strace goes on through execve, follows children with -f, and tells the calls that -e names", () => {
  const told = (script: string) => shell.sh(script).stderr.split("\n");
  const one = told("strace -e trace=execve,openat,exit_group sh -c '(cat /dev/null); cat /dev/zero_'");
  expect(one[0]).toMatch(/^execve\("\/bin\/sh", \["sh", "-c", .*\], \["HOME=\/root", .*"\]\) = 0$/);
  expect(one.some((line) => /^(\[pid|openat.*\/dev\/null)/.test(line))).toBe(false); // a child's
  expect(one).toEqual(expect.arrayContaining([
    expect.stringMatching(/^execve\("\/bin\/cat", \["cat", "\/dev\/zero_"\], .* = 0$/),
    "openat(AT_FDCWD, \"/dev/zero_\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)", "+++ exited with 1 +++",
  ]));
  expect(one.join("\n")).not.toContain("_STRACE");
  const all = told("strace -f -e openat sh -c '(cat /dev/null); cat /dev/null'").filter((line) => line.includes("openat"));
  expect(all).toEqual([expect.stringMatching(/^\[pid +\d+\] openat\(.* = 3$/), expect.stringMatching(/^openat\(.* = 3$/)]);
  expect(shell.sh("strace env | grep -c STRACE").stdout).toBe("0\n");
  expect(shell.sh("strace -e nosuch true; strace nosuch; strace; echo a | xargs nosuch").stderr).toBe("strace: invalid system call 'nosuch'\nstrace: can't execute 'nosuch': No such file or directory\n+++ exited with 127 +++\nstrace: must have PROG [ARGS]\nxargs: can't execute 'nosuch': No such file or directory\n");
});

describe("a command that sleeps", () => {
  test("survives a snapshot in the middle of its pipeline", () => {
    const callId = shell.start({ script: "(echo a; sleep 5; echo b) | sed_is_not_here | cat; (echo c; sleep 5; echo d) | tr a-z A-Z | cat" });
    expect(shell.stand(callId)).toMatchObject({ state: "sleeping" });
    const bytes = Buffer.from(snapshot(shell.machine.kernel));
    shell.machine.kernel = copy(shell.machine.kernel);
    expect(Buffer.from(snapshot(shell.machine.kernel)).equals(bytes)).toBe(true);
    shell.machine.advance(11_000);
    expect(shell.stand(callId)).toMatchObject({ state: "program", exit: 0, stdout: "C\nD\n", stderr: "sh: sed_is_not_here: not found\n" });
    expect(shell.machine.broken()).toEqual([]);
  });

  test("is killed with its processes when its call is interrupted", () => {
    const callId = shell.start({ script: "echo begun; sleep 100 | sleep 200" });
    shell.machine.feed({ type: "interruptCall", callId });
    expect(shell.stand(callId)).toMatchObject({ state: "program", exit: 137, stdout: "begun\n" });
    expect(shell.sh("pidof sleep").exit).toBe(1);
  });

  test("replays to the byte, by way of snapshots too", () => {
    shell.sh("for i in 1 2 3; do echo $i | cat > /tmp/$i; done; insmod ksocket.ko; lsmod | tail -1");
    shell.start({ script: "sleep 3 | cat" });
    expectSame(replay(bootAgain(shell.machine), shell.machine.journal, (k, at) => (at % 5 === 0 ? copy(k) : k)), shell.machine.kernel);
  });
});

describe("a hostile script is bounded", () => {
  const isLimited = (script: string): void => {
    const callId = shell.start({ script });
    const { nowNs } = shell.machine.kernel.state.time;
    expect(nowNs).toBeLessThan(3_000_000_000);
    // Others are served, and the script can be ended.
    expect(shell.stand(callId).state).toBe("sleeping");
    shell.machine.feed({ type: "interruptCall", callId });
    shell.machine.advance(100);
    expect(shell.stand(callId)).toMatchObject({ state: "program", exit: 137 });
  };

  test("an endless loop", () => { isLimited("while true; do :; done"); });
  test("a loop that forks", () => { isLimited("while true; do (true); done"); });

  test("endless output is cut with a closed pipe", () => {
    const got = shell.run({ argv: ["yes"] });
    expect(got.exit).toBe(141);
    expect(got.stdout).toHaveLength(1 << 20);
  });

  test("a string that doubles, a function that calls itself, nesting without end", () => {
    expect(shell.sh("x=x; while true; do x=$x$x; done")).toMatchObject({ exit: 2, stderr: "sh: out of memory\n" });
    expect(shell.sh("f() { f; }; f")).toMatchObject({ exit: 2, stderr: "sh: too much nesting\n" });
    expect(shell.sh("(".repeat(5_000)).exit).toBe(2);
    expect(shell.sh(`echo ${"$(".repeat(1_000)}`).exit).toBe(2);
  });

  test("a pattern that other matchers never end with", () => {
    const line = "a".repeat(3_000);
    expect(shell.run({ argv: ["grep", "-cE", "^(a|a|aa)*(a*)*b$"], stdin: Buffer.from(`${line}\n`).toString("base64") })).toMatchObject({ stdout: "0\n", exit: 1 });
  });

  test("too many words, too long a script, a NUL", () => {
    const bad: { [name: string]: Json }[] = [{ argv: [] }, { argv: Array.from({ length: 5_000 }, () => "x") }, { script: "x".repeat(70_000) }, { argv: ["a\0b"] }, {}];
    for (const args of bad) expect(() => shell.start(args)).toThrow(/argv|script/);
  });
});
