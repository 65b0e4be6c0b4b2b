/** nc: both ends of a connection, and what it says when there is none. */
import { expect, test } from "vitest";
import { Shell } from "./shell.ts";

test("stdin goes out, what comes back is printed, however long", () => {
  const sh = new Shell();
  sh.text("insmod kecho.ko");
  expect(sh.text("(echo hello; sleep 0.3; echo again; sleep 0.3) | nc 127.0.0.1 12345")).toBe("hello\nagain\n");
  expect(sh.text("seq 3000 | nc localhost 12345 | tail -n 1")).toBe("3000\n");
});

test("one nc listens for another", () => {
  const sh = new Shell();
  expect(sh.text("nc -l -p 7777 < /dev/null > /tmp/got & sleep 0.1; echo over | nc 127.0.0.1 7777; wait; cat /tmp/got")).toBe("over\n");
});

test("no such host, no such port, nobody there", () => {
  const sh = new Shell();
  expect(sh.run({ argv: ["nc", "127.0.0.1", "12345"] })).toMatchObject({ exit: 1, stderr: "nc: can't connect to remote host (127.0.0.1): Connection refused\n" });
  expect(sh.run({ argv: ["nc", "nobody.example", "1"] })).toMatchObject({ exit: 1, stderr: "nc: bad address 'nobody.example'\n" });
  expect(sh.run({ argv: ["nc", "127.0.0.1", "70000"] })).toMatchObject({ exit: 1, stderr: "nc: bad port '70000'\n" });
  expect(sh.run({ argv: ["nc"] })).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^Usage: nc /) as string });
});
