/**
 * Echoes over the emulated loopback in the host's time: ns of a round trip by a program's own calls, and of one of bench's 1,000
 * connections with its thread, against kecho and against user-echo-server. Prints one JSON object.
 */
import { encodeSockaddr, SOCKADDR_IN_SIZE } from "../../core/abi/sockaddr.ts";
import { AF_INET, INADDR_LOOPBACK, SOCK_STREAM } from "../../core/abi/socket.ts";
import { nameBytes } from "../../core/fs/names.ts";
import type { Kernel } from "../../core/kernel.ts";
import { tool } from "../../core/programs/tool.ts";
import { to } from "../../core/sched/steps.ts";
import { bootKernel, feed } from "./kernel.ts";

const TRIPS = 20_000;
const CONNECTIONS = 1_000;
const ROUNDS = 3;
const WARM_ROUNDS = 3;
const MESSAGE = nameBytes("dummy message");
const SERVER = encodeSockaddr({ family: AF_INET, port: 12345, addr: INADDR_LOOPBACK });

interface TripLocals {
  left: number;
  sock: number;
}

// One connection, over which a message goes out and comes back, so many times.
tool<TripLocals>("echo-trips", "bin", (_p, [count]) => ({ left: Number(count), sock: -1 }), {
  socket: (p) => p.sys("socket", AF_INET, SOCK_STREAM, 0),
  connect: (p, l) => p.sys("connect", (l.sock = p.ret), SERVER, SOCKADDR_IN_SIZE),
  connected: (p) => (p.ret < 0 ? 1 : to("send")),
  send: (p, { sock }) => p.sys("sendto", sock, MESSAGE, MESSAGE.length, 0, 0, 0),
  receive: (p, { sock }) => p.sys("recvfrom", sock, { room: 32 }, 32, 0, 0, 0),
  received: (p, l) => (p.ret !== MESSAGE.length ? 1 : --l.left > 0 ? to("send") : 0),
});

let commands = 0;

function start(k: Kernel, argv: string[]): { callId: string; answer: unknown } {
  const callId = `c${commands++}`;
  const { ended } = feed(k, { type: "program", callId, program: "command", args: { argv, uid: 0, home: "/root" }, uid: 0, member: "bench", home: "/root" });
  return { callId, answer: ended.find((end) => end.callId === callId)?.answer };
}

/** Runs a command to its end, the clock moved as long as it needs; host ns. */
function timed(k: Kernel, argv: string[]): number {
  const began = process.hrtime.bigint();
  const { callId, answer: atOnce } = start(k, argv);
  let answer = atOnce;
  while (answer === undefined) answer = feed(k, { type: "advance", byNs: 100_000_000 }).ended.find((end) => end.callId === callId)?.answer;
  const ns = Number(process.hrtime.bigint() - began);
  if ((answer as { exit: number }).exit !== 0) throw new Error(JSON.stringify(answer));
  return ns;
}

function kernelWith(server: string[]): Kernel {
  const k = bootKernel({ ramMiB: 128, cpus: 4 });
  feed(k, { type: "makeHome", path: "/root", uid: 0 });
  start(k, server);
  return k;
}

function measure(server: string[]): { trip: number; connection: number } {
  const k = kernelWith(server);
  const trips = (): number => timed(k, ["echo-trips", String(TRIPS)]) / TRIPS;
  const connections = (): number => timed(k, ["bench", String(CONNECTIONS), String(ROUNDS)]) / (CONNECTIONS * ROUNDS);
  // The first ones warm the engine up; a server has done that long before.
  for (let round = 0; round < WARM_ROUNDS; round++) {
    trips();
    connections();
  }
  return { trip: trips(), connection: connections() };
}

// As many may wait as in the peer: what is measured is work, not seconds until a SYN is sent again.
const kecho = measure(["insmod", "kecho.ko", `backlog=${CONNECTIONS}`]);
const user = measure(["sh", "-c", "user-echo-server > /dev/null"]);
console.log(JSON.stringify({ kechoTrip: kecho.trip, userTrip: user.trip, kechoConnection: kecho.connection, userConnection: user.connection }));
