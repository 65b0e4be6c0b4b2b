/**
 * The same echoes by Node's net module over the host's loopback, both ends in this process: ns each; one line of JSON. By a server that says
 * nothing, and by one that tells of what it does line by line, as user-echo-server does: into a file that keeps nothing.
 */
import { openSync, writeSync } from "node:fs";
import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

const TRIPS = 20_000;
const CONNECTIONS = 1_000;
const ROUNDS = 3;
const WARM_ROUNDS = 3;
const MESSAGE = Buffer.from("dummy message");

const log = openSync("/dev/null", "w");
const say = (line: string): void => void writeSync(log, `${line}\n`);

let clients = 0;

function serve(socket: Socket, tells: boolean): void {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  if (!tells) {
    socket.on("data", (bytes) => void socket.write(bytes));
    return;
  }
  say(`Connection from ${socket.remoteAddress}:${socket.remotePort}, socket assigned: ${++clients}`);
  say(`Add new client (fd=${clients}) and size of client_list is ${clients}`);
  socket.on("data", (bytes) => {
    say("epoll event count: 1");
    say(`Client #${clients} :> ${bytes.toString()}`);
    socket.write(bytes);
    say("Statistics: 1 event(s) handled at: 0.000010 second(s)");
  });
  socket.on("close", () => { say(`After fd=${clients} is closed, current numbers clients = ${--clients}`); });
}

let port = 0;

async function server(tells: boolean): Promise<() => void> {
  const listening = createServer((socket) => { serve(socket, tells); });
  listening.listen({ port: 0, host: "127.0.0.1", backlog: CONNECTIONS });
  await once(listening, "listening");
  ({ port } = listening.address() as AddressInfo);
  return () => void listening.close();
}

async function opened(): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  return socket;
}

/** One message out and back. */
function trip(socket: Socket): Promise<void> {
  return new Promise((done, fail) => {
    let got = 0;
    const take = (bytes: Buffer): void => {
      got += bytes.length;
      if (got < MESSAGE.length) return;
      socket.off("data", take);
      done();
    };
    socket.on("data", take);
    socket.once("error", fail);
    socket.write(MESSAGE);
  });
}

async function trips(): Promise<number> {
  const socket = await opened();
  let left = TRIPS;
  const began = process.hrtime.bigint();
  await new Promise<void>((done) => {
    socket.on("data", () => {
      if (--left === 0) done();
      else socket.write(MESSAGE);
    });
    socket.write(MESSAGE);
  });
  const ns = Number(process.hrtime.bigint() - began);
  socket.destroy();
  return ns / TRIPS;
}

/** All connections at once; each sends, takes its echo, and leaves. */
async function round(): Promise<void> {
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    const socket = await opened();
    await trip(socket);
    socket.end();
    await once(socket, "close");
  }));
}

async function connections(): Promise<number> {
  const began = process.hrtime.bigint();
  for (let done = 0; done < ROUNDS; done++) await round();
  return Number(process.hrtime.bigint() - began) / (CONNECTIONS * ROUNDS);
}

async function measure(tells: boolean): Promise<{ trip: number; connection: number }> {
  const close = await server(tells);
  for (let round = 0; round < WARM_ROUNDS; round++) {
    await trips();
    await connections();
  }
  const measured = { trip: await trips(), connection: await connections() };
  close();
  return measured;
}

const silent = await measure(false);
const telling = await measure(true);
console.log(JSON.stringify({ trip: silent.trip, connection: silent.connection, tellingTrip: telling.trip, tellingConnection: telling.connection }));
