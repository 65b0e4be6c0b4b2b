/** The same echoes by Node's net module over the host's loopback, both ends in this process: ns each; one line of JSON. */
import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

const TRIPS = 20_000;
const CONNECTIONS = 1_000;
const ROUNDS = 3;
const WARM_ROUNDS = 3;
const MESSAGE = Buffer.from("dummy message");

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes) => void socket.write(bytes));
});
server.listen({ port: 0, host: "127.0.0.1", backlog: CONNECTIONS });
await once(server, "listening");
const { port } = server.address() as AddressInfo;

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

for (let round = 0; round < WARM_ROUNDS; round++) {
  await trips();
  await connections();
}
console.log(JSON.stringify({ trip: await trips(), connection: await connections() }));
server.close();
