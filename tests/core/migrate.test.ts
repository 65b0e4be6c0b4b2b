/** Snapshots of the format before: brought up to this one, or refused. */
import { expect, test } from "vitest";
import { restore, snapshot, SNAPSHOT_FORMAT } from "../../core/index.ts";
import type { Frame } from "../../core/sched/steps.ts";
import { encodeState } from "../../core/snapshot.ts";
import type { KernelState } from "../../core/state.ts";
import { Shell } from "./programs/shell.ts";

/** The header's last byte, behind the mark of four. */
const FORMAT_AT = 4;

/** The bytes as a program of that format would have kept them. */
function as(format: number, state: KernelState): Uint8Array {
  const bytes = encodeState(state);
  bytes[FORMAT_AT] = format;
  return bytes;
}

interface Main {
  tty: boolean;
  lineBuffered?: boolean;
}

/** The frames of all programs, by the task that has them. */
const mains = ({ sched }: KernelState): Frame<Main>[] =>
  [...sched.tasks.values()].flatMap(({ frames }) => frames.filter(({ code }) => code === "program.main") as Frame<Main>[]);

test("of format 3: what is counted since begins at 0, and a program on a terminal goes on line by line", () => {
  const sh = new Shell();
  sh.text("insmod kecho.ko");
  sh.start({ argv: ["cat"], stdin: null });
  sh.machine.feed({ type: "openTty", command: { argv: ["cat"] }, uid: 0, member: "owner", home: "/root", rows: 24, columns: 80 });
  const { kernel } = sh.machine;
  const old = restore(snapshot(kernel)).state;
  const { tcpSynRetrans, tcpLostRetransmits, synCookies, ...mib } = old.net.mib;
  expect([tcpSynRetrans, tcpLostRetransmits, synCookies]).toEqual([0, 0, 0]);
  old.net.mib = mib as typeof old.net.mib;
  expect(old.net.synBursts).toEqual(new Map());
  for (const users of old.net.tcpPorts.values()) {
    delete (users as Partial<typeof users>).listeners;
    delete (users as Partial<typeof users>).byConnect;
  }
  delete (old.net as Partial<typeof old.net>).synBursts;
  for (const { locals } of mains(old)) delete locals.lineBuffered;

  const { state } = restore(as(3, old));
  expect(encodeState(state)).toEqual(encodeState(kernel.state));
  expect([...state.net.tcpPorts.values()].map(({ listeners }) => listeners)).toEqual([1]);
  expect(mains(state).map(({ locals }) => locals.lineBuffered)).toContain(true);
  expect(mains(state).every(({ locals }) => locals.lineBuffered === locals.tty)).toBe(true);
});

test.each([2, SNAPSHOT_FORMAT + 1])("of format %i: refused", (format) => {
  expect(() => restore(as(format, new Shell().machine.kernel.state))).toThrow(`a snapshot of format ${format}; this program reads 3 to ${SNAPSHOT_FORMAT}`);
});
