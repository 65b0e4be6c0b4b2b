/** dd and tee. */
import { EINTR, errnoMessage } from "../../abi/errno.ts";
import { O_APPEND, O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { NEXT, to } from "../../sched/steps.ts";
import { getopt, readCount, UNITS } from "../options.ts";
import { BUFFER_SIZE } from "../proc.ts";
import { tool } from "../tool.ts";

interface DdLocals {
  from: string;
  into: string;
  bs: number;
  count: number;
  skip: number;
  seek: number;
  truncate: boolean;
  append: boolean;
  nonblock: boolean;
  quiet: boolean;
  in: number;
  out: number;
  whole: [read: number, written: number];
  parts: [read: number, written: number];
  bytes: number;
  length: number;
  status: number;
}

const SIZES = UNITS;

tool<DdLocals>("dd", "bin", (p, args) => {
  const given: { [name: string]: string } = {};
  for (const word of args) {
    const equals = word.indexOf("=");
    if (equals < 0 || !/^(if|of|bs|ibs|obs|count|skip|seek|conv|iflag|oflag|status)$/.test(word.slice(0, equals))) return p.fail(`invalid argument '${word}'`);
    given[word.slice(0, equals)] = word.slice(equals + 1);
  }
  const number = (name: string, fallback: number): number => readCount(given[name] ?? String(fallback), SIZES) ?? NaN;
  const [bs, count, skip, seek] = [number("bs", number("ibs", 512)), number("count", Number.MAX_SAFE_INTEGER), number("skip", 0), number("seek", 0)];
  if (![bs, count, skip, seek].every((value) => value >= 0) || bs === 0) return p.fail(`invalid number '${given.bs ?? given.count}'`);
  const flags = `${given.iflag ?? ""},${given.oflag ?? ""},${given.conv ?? ""}`;
  return {
    from: given.if ?? "", into: given.of ?? "", bs, count, skip, seek, truncate: !flags.includes("notrunc"), append: flags.includes("append"),
    nonblock: flags.includes("nonblock"), quiet: given.status === "none", in: 0, out: 1, whole: [0, 0], parts: [0, 0], bytes: 0, length: 0, status: 0,
  };
}, {
  in: (p, { from, nonblock }) => (from === "" ? to("output") : p.open(from, nonblock ? O_NONBLOCK : 0)),
  opened: (p, l) => {
    if (p.ret < 0) return p.fail(`can't open '${l.from}': ${errnoMessage(-p.ret)}`);
    l.in = p.ret;
    return NEXT;
  },
  output: (p, { into, truncate, append, seek }) =>
    (into === "" ? to("skip") : p.open(into, O_WRONLY | O_CREAT | (truncate && seek === 0 ? O_TRUNC : 0) | (append ? O_APPEND : 0), 0o666)),
  created: (p, l) => {
    if (p.ret < 0) return p.fail(`can't open '${l.into}': ${errnoMessage(-p.ret)}`);
    l.out = p.ret;
    return NEXT;
  },
  skip: (p, l) => (l.skip === 0 ? NEXT : p.sys("lseek", l.in, l.skip * l.bs, 1)),
  seek: (p, l) => (l.seek === 0 ? NEXT : p.sys("lseek", l.out, l.seek * l.bs, 1)),
  read: (p, l) => {
    if (l.whole[0] + l.parts[0] >= l.count) return to("end");
    return p.read(l.in, Math.min(l.bs, BUFFER_SIZE / 2));
  },
  got: (p, l) => {
    if (p.ret === -EINTR) return to("read");
    if (p.ret < 0) {
      p.warn(`${l.from === "" ? "standard input" : l.from}: ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    if (p.ret <= 0) return to("end");
    l.length = p.ret;
    if (p.ret === Math.min(l.bs, BUFFER_SIZE / 2)) l.whole[0]++;
    else l.parts[0]++;
    return p.write(l.out, p.text(p.ret));
  },
  wrote: (p, l) => {
    if (p.ret < 0) {
      p.warn(`${l.into === "" ? "standard output" : l.into}: ${errnoMessage(-p.ret)}`);
      l.status = 1;
      return to("end");
    }
    if (l.length === Math.min(l.bs, BUFFER_SIZE / 2)) l.whole[1]++;
    else l.parts[1]++;
    l.bytes += l.length;
    return to("read");
  },
  end: (p, { whole, parts, bytes, status, quiet }) => {
    if (!quiet) p.err(`${whole[0]}+${parts[0]} records in\n${whole[1]}+${parts[1]} records out\n${bytes} bytes copied\n`);
    return status;
  },
});

interface TeeLocals {
  files: string[];
  append: boolean;
  fds: number[];
  text: string;
  next: number;
  status: number;
}

tool<TeeLocals>("tee", "bin", (p, args) => {
  const { has, rest, problem } = getopt(args, "ai", { append: "a" });
  return problem === "" ? { files: rest, append: "a" in has, fds: [1], text: "", next: 0, status: 0 } : p.fail(problem);
}, {
  open: (p, { files, append }) => (files.length === 0 ? to("read") : p.open(files[0], O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0o666)),
  opened: (p, l) => {
    const file = l.files.shift() ?? "";
    if (p.ret >= 0) l.fds.push(p.ret);
    else {
      p.perror(file);
      l.status = 1;
    }
    return to("open");
  },
  read: (p) => p.read(0, BUFFER_SIZE / 2),
  got: (p, l) => {
    if (p.ret === -EINTR) return to("read");
    if (p.ret <= 0) return l.status;
    l.text = p.text(p.ret);
    l.next = 0;
    return NEXT;
  },
  each: (p, l) => (l.next >= l.fds.length ? to("read") : p.write(l.fds[l.next], l.text)),
  wrote: (p, l) => {
    if (p.ret < 0) {
      p.warn(`write error: ${errnoMessage(-p.ret)}`);
      l.status = 1;
    }
    l.next++;
    return to("each");
  },
});
