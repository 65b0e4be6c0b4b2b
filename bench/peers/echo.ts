/** The smallest express server that reads JSON and answers it. Prints its port. */
import type { AddressInfo } from "node:net";
import express from "express";

const app = express();
app.use(express.json());
app.post("/echo", (request, response) => {
  response.json(request.body);
});
const server = app.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
